"""Endpoints of exports of the log: ask, follow, fetch, make again, withdraw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any, get_args

from query.access.scoped_reader import ScopedReader
from query.errors import InvalidFilter
from query.exports import FORMAT_NAMES, MEDIA_TYPES, Asked, ExportDesk, InvalidExport, Job, JobNotReady, format_of
from query.exports.job import State
from query.exports.shown import shown
from query.http.asking import JsonBody, question_of_json
from query.http.endpoint import Answer, Call
from query.http.files import OpenFile
from query.http.parameters import Parameter
from query.http.problems import Problem, invalid
from query.period import from_micros, micros

PATH = "/api/v1/export-jobs"
KINDS = ("interactive", "full")
STATES: tuple[str, ...] = get_args(State)

#: Members of the body that are the question, as in a search.
_QUESTION_KEYS = ("query", "filters", "any", "not", "tz", "sort", "order")
BODY_KEYS = (*_QUESTION_KEYS, "format", "kind", "columns", "bom", "purpose")
MOST_PURPOSE = 1000

LIST = (
    Parameter("state", "Only exports in this state.", {"type": "string", "enum": list(STATES)}),
    Parameter("limit", "Exports of the page.", {"type": "integer", "minimum": 1}),
    Parameter("cursor", "`next_cursor` of the page before; repeat its other parameters."),
)


def ask(call: Call, reader: ScopedReader) -> Answer:
    """Take a request for an export."""
    asked = asked_of(call.body)
    try:
        job = desk_of(call).request(call.token, call.caller, asked, reader)
    except InvalidFilter as error:
        # The question is understood by now; what can still be wrong is a column.
        raise invalid(error, pointer="/columns") from None
    return Answer(_told(call, job), asked.question)


def asked_of(body: Mapping[str, Any]) -> Asked:
    """Return what a JSON body asks for.

    Raises:
        Problem: A part is not understood; with a JSON pointer to it.
    """
    reader = JsonBody(body, BODY_KEYS)
    question = question_of_json({name: body[name] for name in _QUESTION_KEYS if name in body})
    name, columns = reader.text("format") or "csv", tuple(reader.texts("columns"))
    try:
        format_of(name)
    except InvalidExport as error:
        raise Problem(
            "invalid-body", str(error), pointer="/format", expected="one of " + ", ".join(FORMAT_NAMES)
        ) from None
    purpose = reader.text("purpose") or ""
    if len(purpose) > MOST_PURPOSE:
        raise Problem("invalid-body", f"/purpose is longer than {MOST_PURPOSE} characters", pointer="/purpose")
    full = reader.chosen("kind", KINDS, "interactive") == "full"
    return Asked(question, name, full, columns, reader.flag("bom"), purpose)


def list_jobs(call: Call, reader: ScopedReader) -> Answer:
    """Answer one page of the exports that the token sees, the newest first."""
    del reader
    values = call.values
    state = values.chosen("state", STATES, "") if "state" in values else ""
    limit = values.number("limit", call.settings.default_rows, 1, call.settings.max_rows)
    jobs = [job for job in desk_of(call).jobs(call.token) if state in ("", job.state)]
    cursor = values.text("cursor")
    left = [job for job in jobs if _place(job) < _decoded(cursor)] if cursor else jobs
    page = left[:limit]
    following = _encoded(page[-1]) if len(left) > limit else None
    body = {"data": told_all(desk_of(call), page), "next_cursor": following}
    names = ("export_state",) if state else ()
    return Answer(body, filter_fields=names, rows=len(page), next_cursor=following)


def one_job(call: Call, reader: ScopedReader) -> Answer:
    """Answer an export: its state, its progress, its parameters."""
    del reader
    return Answer(_told(call, desk_of(call).job(call.token, call.path["job_id"])), rows=1)


def repeat(call: Call, reader: ScopedReader) -> Answer:
    """Take an earlier request again."""
    job = desk_of(call).repeat(call.token, call.caller, call.path["job_id"], reader)
    return Answer(_told(call, job), job.request.question)


def withdraw(call: Call, reader: ScopedReader) -> Answer:
    """Cancel an export, or remove its file."""
    del reader
    return Answer(_told(call, desk_of(call).withdraw(call.token, call.caller, call.path["job_id"])))


def manifest(call: Call, reader: ScopedReader) -> Answer:
    """Answer the manifest of an export; it is kept when the file is not."""
    del reader
    job = desk_of(call).job(call.token, call.path["job_id"])
    if job.manifest is None:
        raise JobNotReady(job.id, job.state, job.problem)
    return Answer(job.manifest, rows=1)


def file(call: Call, reader: ScopedReader) -> Answer:
    """Answer the file of an export."""
    del reader
    return Answer({}, file=open_file(desk_of(call), call, call.path["job_id"]))


def open_file(desk: ExportDesk, who: Any, job_id: str, *, origin: str = "api") -> OpenFile:  # noqa: ANN401 - call or visit
    """Open the file of an export for sending; that counts as a download.

    Args:
        desk: The exports.
        who: Has ``token`` and ``caller``.
        job_id: Id of the export.
        origin: dashboard or api.

    Raises:
        ExportError: It cannot be handed out.
        Forbidden: The token lacks the right.
    """
    with ExitStack() as stack:
        download = stack.enter_context(desk.download(who.token, who.caller, job_id, origin=origin))
        job, made = download.job, download.job.manifest or {}
        media_type = MEDIA_TYPES[format_of(job.request.format)]
        return OpenFile(download.file, job.file_name, media_type, made["bytes"], stack.pop_all().close)


def desk_of(call: Call) -> ExportDesk:
    """Return what makes exports.

    Raises:
        Problem: This process makes none.
    """
    if call.service.exports is None:
        raise Problem("not-found", "this process makes no exports")
    return call.service.exports


def told_all(desk: ExportDesk, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return exports as answers hold them."""
    progress = desk.progress(jobs)
    return [{**shown(job, progress.get(job.id)), "links": _links(job)} for job in jobs]


def _told(call: Call, job: Job) -> dict[str, Any]:
    return told_all(desk_of(call), [job])[0]


def _links(job: Job) -> dict[str, str]:
    own = f"{PATH}/{job.id}"
    links = {"self": own, "again": f"{own}/again"}
    if job.manifest is not None:
        links["manifest"] = f"{own}/manifest"
    return {**links, "file": f"{own}/file"} if job.state == "ready" else links


def _place(job: Job) -> tuple[datetime, str]:
    return job.created_at, job.id


def _encoded(job: Job) -> str:
    return f"{micros(job.created_at)}-{job.id}"


def _decoded(cursor: str) -> tuple[datetime, str]:
    moment, _, job_id = cursor.partition("-")
    if not (moment.isascii() and moment.isdigit() and len(moment) <= len("2524608000000000") and job_id):
        raise Problem("invalid-cursor", "the cursor is not one of this list", parameter="cursor")
    return from_micros(int(moment)), job_id
