"""Exports of the log: the dialog that asks for one, their history, and one of them with its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from starlette.datastructures import FormData
from starlette.responses import Response

from query.access.rights import Right
from query.errors import InvalidFilter, InvalidQuery
from query.exports import (
    FORMAT_NAMES,
    Asked,
    ExportDesk,
    FileDamaged,
    Job,
    JobExpired,
    JobNotReady,
    Prospect,
    TooManyJobs,
)
from query.exports.job import State
from query.exports.manifest import to_bytes
from query.exports.shown import shown
from query.exports.zone import written_in
from query.http.asking import question_of_url
from query.http.exports import MOST_PURPOSE, open_file
from query.http.files import file_response
from query.http.parameters import Values
from query.http.problems import Problem
from query.period import parse_zone
from query.question import Question
from query.syntax import to_text
from query.web.narrowing import of_question
from query.web.page import POST, PageRoute
from query.web.visit import Visit

_ROWS = 50
_ORIGIN = "dashboard"
#: Fields of the form that are no filters begin so: some filters have the same names.
_OWN = "x."
#: What the journal shows, in the form that machines like: a field for each.
SCREEN_COLUMNS = (
    *("time", "title", "event_code", "actor_name", "actor_login", "actor_id", "ip", "geo_country"),
    *("target_type", "target_name", "target_id", "outcome"),
)
STATES: tuple[str, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Dialog:
    """What the dialog was filled in with.

    Attributes:
        pairs: The question, as an address holds it.
        format: Name of the format.
        kind: interactive or full.
        columns: screen, all or own.
        names: Names of columns with commas between, when they are own ones.
        zone: Zone in which times are written.
        purpose: Why.
        bom: Begin a CSV with a byte order mark.
    """

    pairs: tuple[tuple[str, str], ...]
    format: str = "csv"
    kind: str = "interactive"
    columns: str = "screen"
    names: str = ""
    zone: str = ""
    purpose: str = ""
    bom: bool = False

    @classmethod
    def of_form(cls, fields: FormData) -> Dialog:
        """Return what a form holds."""
        given = {name.removeprefix(_OWN): str(value) for name, value in fields.items() if name.startswith(_OWN)}
        texts = {
            name: given[name] for name in ("format", "kind", "columns", "names", "zone", "purpose") if name in given
        }
        pairs = [(name, str(value)) for name, value in fields.multi_items() if not name.startswith(_OWN)]
        return cls(tuple(of_question(pairs)), **texts, bom="bom" in given)

    def question(self, zone: str) -> Question:
        """Return the question; times without a zone of their own are read in a zone.

        Raises:
            Problem: A part is not understood.
        """
        given: dict[str, list[str]] = {"tz": [zone]}
        for name in dict.fromkeys(name for name, _ in self.pairs):
            given[name] = [value for n, value in self.pairs if n == name]
        return question_of_url(Values(given))

    def asked(self, question: Question) -> Asked:
        """Return what is asked for.

        Raises:
            Problem: A field is not understood.
            InvalidQuery: The zone is not understood.
        """
        if self.kind not in ("interactive", "full") or self.columns not in ("screen", "all", "own"):
            raise Problem("invalid-parameter", "the form holds a choice that does not exist; load the page again")
        if len(self.purpose) > MOST_PURPOSE:
            raise Problem("invalid-parameter", f"the purpose is longer than {MOST_PURPOSE} characters")
        own = tuple(name.strip() for name in self.names.split(",") if name.strip())
        if self.columns == "own" and not own:
            raise Problem("invalid-parameter", "name at least one column, or choose all of them")
        columns = {"screen": SCREEN_COLUMNS, "all": (), "own": own}[self.columns]
        written = written_in(question, parse_zone(self.zone or question.zone.key))
        return Asked(written, self.format, self.kind == "full", columns, self.bom, self.purpose.strip())


async def new(visit: Visit) -> Response:
    """Show the dialog for a question."""
    visit.takes_question()
    dialog = Dialog(tuple(of_question(visit.request.query_params.multi_items())))
    return await _dialog(visit, dialog)


async def ask(visit: Visit) -> Response:
    """Take a request."""
    dialog, desk = Dialog.of_form(await visit.form()), visit.part(ExportDesk)
    question = dialog.question(visit.zone.name)
    try:
        asked = dialog.asked(question)
        job = await visit.read(lambda reader: desk.request(visit.token, visit.caller, asked, reader, origin=_ORIGIN))
    except (Problem, InvalidQuery, TooManyJobs) as error:
        return await _dialog(visit, dialog, error)
    visit.record(question)
    return visit.redirect(f"/exports/{job.id}")


async def history(visit: Visit) -> Response:
    """Show the exports that the visitor sees."""
    desk, values = visit.part(ExportDesk), visit.values
    state = values.chosen("state", ("", *STATES), "")
    page = int(values.text("page") or "1") if (values.text("page") or "1").isdecimal() else 1
    found = await visit.service.in_thread(lambda: desk.jobs(visit.token))
    jobs = [job for job in found if state in ("", job.state)]
    first = (max(page, 1) - 1) * _ROWS
    listed = await _shown(visit, jobs[first : first + _ROWS])
    visit.record(rows=len(listed), filter_fields=("export_state",) if state else ())
    return visit.page(
        "exports.html",
        jobs=listed,
        state=state,
        states=STATES,
        page=max(page, 1),
        has_more=len(jobs) > first + _ROWS,
        hours=round(desk.settings.expire_after_s / 3600, 1),
    )


async def one(visit: Visit) -> Response:
    """Show one export."""
    job = await _job(visit)
    visit.record(rows=1)
    return await _one(visit, job)


async def file(visit: Visit) -> Response:
    """Send the file of an export; where it is no longer kept, show what to do."""
    if visit.request.method == "HEAD":
        raise Problem("method-not-allowed", "a file is fetched by GET: every download is counted")
    desk, job = visit.part(ExportDesk), await _job(visit)
    try:
        opened = await visit.service.in_thread(lambda: open_file(desk, visit, job.id, origin=_ORIGIN))
    except (JobExpired, FileDamaged) as error:
        return await _one(visit, await _job(visit), problem=str(error), status=410)
    return visit.finished(file_response(opened))


async def manifest(visit: Visit) -> Response:
    """Send the manifest of an export."""
    job = await _job(visit)
    if job.manifest is None:
        raise JobNotReady(job.id, job.state, job.problem)
    visit.record(rows=1)
    headers = {"Content-Disposition": f'attachment; filename="{job.file_name}.manifest.json"'}
    return visit.finished(Response(to_bytes(job.manifest), media_type="application/json", headers=headers))


async def again(visit: Visit) -> Response:
    """Make an export again, with its parameters."""
    await visit.form()
    desk, job_id = visit.part(ExportDesk), visit.path["job_id"]
    job = await visit.read(lambda reader: desk.repeat(visit.token, visit.caller, job_id, reader, origin=_ORIGIN))
    visit.record(job.request.question)
    return visit.redirect(f"/exports/{job.id}")


async def withdraw(visit: Visit) -> Response:
    """Cancel an export, or remove its file."""
    await visit.form()
    desk, job_id = visit.part(ExportDesk), visit.path["job_id"]
    job = await visit.service.in_thread(lambda: desk.withdraw(visit.token, visit.caller, job_id, origin=_ORIGIN))
    notice = "The export is cancelled." if job.cancelled else "The file is removed; the record stays."
    return visit.redirect(f"/exports/{job.id}", notice=notice)


async def _dialog(visit: Visit, dialog: Dialog, error: Exception | None = None) -> Response:
    question, desk = dialog.question(visit.zone.name), visit.part(ExportDesk)
    prospect: Prospect = await visit.read(lambda reader: desk.prospect(visit.token, question, reader))
    visit.record(question, rows=1)
    return visit.page(
        "export_new.html",
        status=_status(error),
        dialog=dialog,
        question=question,
        prospect=prospect,
        problem=_sentence(error),
        formats=list(FORMAT_NAMES),
        screen=SCREEN_COLUMNS,
        hours=round(desk.settings.expire_after_s / 3600, 1),
        text=to_text(question.expression),
    )


def _status(error: Exception | None) -> int:
    if error is None:
        return 200
    return 503 if isinstance(error, TooManyJobs) else 400


def _sentence(error: Exception | None) -> str:
    if isinstance(error, InvalidFilter):
        return f"There is no column like that: {error}"
    return error.detail if isinstance(error, Problem) else str(error or "")


async def _one(visit: Visit, job: Job, *, problem: str = "", status: int = 200) -> Response:
    (told,) = await _shown(visit, [job])
    return visit.page("export.html", status=status, job=told, problem=problem)


async def _job(visit: Visit) -> Job:
    desk, job_id = visit.part(ExportDesk), visit.path["job_id"]
    return await visit.service.in_thread(lambda: desk.job(visit.token, job_id))


async def _shown(visit: Visit, jobs: Sequence[Job]) -> list[Mapping[str, Any]]:
    progress = await visit.service.in_thread(lambda: visit.part(ExportDesk).progress(jobs))
    return [{**shown(job, progress.get(job.id)), "file_name": job.file_name} for job in jobs]


_NEEDS = (ExportDesk,)


def _page(path: str, handler: Any, **more: Any) -> PageRoute:  # noqa: ANN401 - a handler and fields of a PageRoute
    return PageRoute(path, handler, right=Right.EXPORT, group="Exports", needs=_NEEDS, **more)


PAGES = (
    _page("/exports", history, name="exports", section="Exports of the log"),
    _page("/exports", ask, methods=POST),
    _page("/exports/new", new, name="export_new"),
    _page("/exports/{job_id}", one),
    _page("/exports/{job_id}/file", file),
    _page("/exports/{job_id}/manifest", manifest),
    _page("/exports/{job_id}/again", again, methods=POST),
    _page("/exports/{job_id}/withdraw", withdraw, methods=POST),
)
