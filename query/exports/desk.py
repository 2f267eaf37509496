"""Exports for callers with tokens: who may ask for which, see which, and fetch which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import structlog

from query.access.errors import AccessError, Forbidden
from query.access.identity import Identity
from query.access.recording import AccessCode, Caller, Read, Recorder, filter_names, window
from query.access.rights import Right
from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.errors import InvalidQuery, QueryError, QueryTooExpensive
from query.events import Page
from query.export_settings import ExportSettings
from query.exports.errors import ExportError, JobUnknown
from query.exports.job import Job
from query.exports.jobs import Download, ExportJobs
from query.exports.keepers import Progress
from query.exports.making import OnRows
from query.exports.request import ExportRequest, Requester
from query.exports.rights import ReadRights
from query.exports.runner import ExportRunner
from query.question import Question

log = structlog.get_logger("query.exports")

#: Route under which the reads of exports are recorded.
_RESOURCE = "/api/v1/export-jobs"
_UNREADABLE = "the log could not be read; its administrators find the reason in the log of the server. Make it again"

Lent = Callable[[Token], AbstractContextManager[ScopedReader]]


@dataclass(frozen=True, slots=True)
class Asked:
    """An export as somebody asks for it; see ``query.exports.ExportRequest``."""

    question: Question
    format: str = "csv"
    full: bool = False
    columns: tuple[str, ...] = ()
    bom: bool = False
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What an export would hold.

    Attributes:
        rows: Rows that match; None when counting them is too expensive.
        limit: Rows of an interactive export at most.
    """

    rows: int | None
    limit: int

    @property
    def is_cut(self) -> bool:
        """Whether an interactive export leaves rows out, as far as is known."""
        return self.rows is not None and self.rows > self.limit

    def total(self, *, full: bool) -> int | None:
        """Return how many rows an export will have, None when that is not known."""
        return self.rows if full or self.rows is None else min(self.rows, self.limit)


class ExportDesk:
    """Takes requests for exports, has their files made, shows and hands out. Thread-safe; closed by its owner.

    A token sees the exports that were asked for in its name, and an administrator every one, as far as the rows in them
    were read under rights that the token has itself. Every method may raise ``StorageUnusable``; those with a token
    raise ``Forbidden`` when it lacks the right to export.
    """

    def __init__(
        self, opened: Callable[[], ExportJobs], settings: ExportSettings, lent: Lent, recorder: Recorder
    ) -> None:
        """Open it, and look after the storage from now on.

        Args:
            opened: Opens the exports; asked again when it raised ``StorageUnusable``.
            settings: Limits.
            lent: Lends a reader within the rights of a token.
            recorder: Told of reads by exports, and of downloads.
        """
        self._open, self._lent, self._recorder, self.settings = opened, lent, recorder, settings
        self._lock = threading.Lock()
        self._opened: ExportJobs | None = None
        self._runner = ExportRunner(self._jobs, settings)

    def prospect(self, token: Token, question: Question, reader: ScopedReader) -> Prospect:
        """Return what an export of a question would hold.

        Raises:
            QueryError: The question cannot be answered.
            Forbidden: The token may not ask it.
        """
        _check_right(token)
        # What counting does not refuse, for example an order by what is masked, is refused here and not much later.
        reader.page(question, limit=1, fields=["event_id"])
        try:
            rows = reader.count(question)
        except QueryTooExpensive as error:
            log.info("export_not_counted", reason=str(error))
            return Prospect(None, self.settings.interactive_rows)
        return Prospect(rows, self.settings.interactive_rows)

    def request(self, token: Token, caller: Caller, asked: Asked, reader: ScopedReader, *, origin: str = "api") -> Job:
        """Take a request; its file is made from now on.

        Args:
            token: Whose rights count.
            caller: Who asks.
            asked: What is asked for.
            reader: Reads within the rights of the token, now.
            origin: dashboard or api.

        Raises:
            InvalidQuery: Filter, format or a column is not understood.
            TooManyJobs: Too many exports wait.
            QueryError: The question cannot be answered.
        """
        prospect = self.prospect(token, asked.question, reader)
        self._runner.check_room()
        request = ExportRequest(
            asked.question,
            requester_of(token, caller, origin),
            asked.format,
            full=asked.full,
            columns=asked.columns,
            bom=asked.bom,
            purpose=asked.purpose or caller.purpose,
            scope=ReadRights.of(token).to_text(),
        )
        return self._begun(token, caller, self._jobs().request(request), prospect)

    def repeat(self, token: Token, caller: Caller, job_id: str, reader: ScopedReader, *, origin: str = "api") -> Job:
        """Take an earlier request again, with its parameters and the rights of whoever asks now; see ``request``.

        Raises:
            JobUnknown: There is no such export for this token.
        """
        earlier = self.job(token, job_id)
        prospect = self.prospect(token, earlier.request.question, reader)
        self._runner.check_room()
        rights = ReadRights.of(token).to_text()
        job = self._jobs().repeat(earlier.id, requester_of(token, caller, origin), scope=rights)
        return self._begun(token, caller, job, prospect)

    def jobs(self, token: Token) -> list[Job]:
        """Return the exports that a token sees, the newest first."""
        _check_right(token)
        return [job for job in self._jobs().jobs() if _is_visible(job, token)]

    def job(self, token: Token, job_id: str) -> Job:
        """Return one export.

        Raises:
            JobUnknown: There is none of this id, or the token does not see it; that is not told apart.
        """
        _check_right(token)
        job = self._jobs().job(job_id)
        if not _is_visible(job, token):
            raise JobUnknown(job_id)
        return job

    def progress(self, jobs: Sequence[Job]) -> dict[str, Progress]:
        """Return how far those of some exports are that are being made, by id."""
        pending = [job for job in jobs if job.state == "pending"]
        own = {job.id: self._runner.progress(job.id) for job in pending}
        beats = self._jobs().keepers.beats() if None in own.values() else {}
        told = {job_id: progress for beat in beats.values() for job_id, progress in beat.jobs.items()}
        return {job.id: own[job.id] or told.get(job.id) or Progress() for job in pending}

    @contextmanager
    def download(self, token: Token, caller: Caller, job_id: str, *, origin: str = "api") -> Iterator[Download]:
        """Open the file of an export; that is counted, and recorded as a read.

        Raises:
            JobUnknown: There is no such export for this token.
            ExportError: Its file cannot be handed out; see ``ExportJobs.download``.
        """
        job = self.job(token, job_id)
        with self._jobs().download(job.id, requester_of(token, caller, origin)) as download:
            self._record("access.download", token, caller, download.job)
            yield download

    def withdraw(self, token: Token, caller: Caller, job_id: str, *, origin: str = "api") -> Job:
        """Cancel an export that is being made, or remove its file.

        Raises:
            JobUnknown: There is no such export for this token.
        """
        job = self._jobs().withdraw(self.job(token, job_id).id, requester_of(token, caller, origin))
        if job.cancelled:
            self._runner.cancel(job.id)
        return job

    def close(self) -> None:
        """Stop making files; what is not finished has failed, and says why. Idempotent."""
        self._runner.close()

    def _jobs(self) -> ExportJobs:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _begun(self, token: Token, caller: Caller, job: Job, prospect: Prospect) -> Job:
        def make(on_rows: OnRows) -> None:
            with self._lent(token) as reader:
                made = self._jobs().run(job.id, _Pages(reader, job.id), on_rows)
            self._record("access.export", token, caller, made)

        self._runner.submit(job.id, make, prospect.total(full=job.request.full))
        return job

    def _record(self, code: AccessCode, token: Token, caller: Caller, job: Job) -> None:
        question = job.request.question
        rows = (job.manifest or {}).get("rows")
        names, period = filter_names(question), window(question)
        self._recorder.read(
            Read(
                code, token, caller, _RESOURCE, names, period, question.fingerprint, rows, job.id, target_type="export"
            )
        )


class _Pages:
    """The pages of a reader; what only operators should know of a failure is logged and not told."""

    def __init__(self, reader: ScopedReader, job_id: str) -> None:
        self._reader, self._job_id = reader, job_id

    def page(
        self, question: Question, *, limit: int = 50, cursor: str | None = None, fields: Sequence[str] = ()
    ) -> Page:
        try:
            return self._reader.page(question, limit=limit, cursor=cursor, fields=fields)
        except (InvalidQuery, QueryTooExpensive, AccessError):
            raise
        except QueryError as error:
            log.error("export_unreadable", export_id=self._job_id, kind=type(error).__name__, reason=str(error))
            raise ExportError(_UNREADABLE) from error


def requester_of(token: Token, caller: Caller, origin: str) -> Requester:
    """Return who asks, as the records of exports name them.

    Args:
        token: By which token.
        caller: From where.
        origin: dashboard or api.
    """
    user_id = token.subject if isinstance(token, Identity) else token.scope.actor_id
    kind = "user" if user_id else "api_token"
    more = {"owner": token.owner, "ip": caller.ip, "request_id": caller.request_id}
    return Requester(user_id or token.token_id, kind, token.name, origin, **more)


def _check_right(token: Token) -> None:
    if not token.may(Right.EXPORT):
        raise Forbidden("exports", Right.EXPORT)


def _is_visible(job: Job, token: Token) -> bool:
    own = job.request.requester.owner == token.owner
    return (own or token.may(Right.TOKENS)) and ReadRights.from_text(job.request.scope).within(ReadRights.of(token))
