"""Exports from the request to the expiry of their file."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from query.condition import check
from query.export_settings import ExportSettings
from query.exports.columns import Derived, ExportColumn, columns_of
from query.exports.errors import FileDamaged, JobExpired, JobNotReady, StorageUnusable
from query.exports.formats import open_writer
from query.exports.job import Entry, Job
from query.exports.ledger import Ledger
from query.exports.manifest import Contents, facts, manifest, to_bytes
from query.exports.request import ExportRequest, Requester, format_of
from query.exports.selection import Pages, Selection
from query.exports.storage import Storage
from query.exports.writing import DigestedFile

#: Told after each entry: the export with it, and the entry. It must not raise.
Trail = Callable[[Job, Entry], None]
#: Told the number of rows written so far.
OnRows = Callable[[int], None]

_CHUNK_BYTES = 1 << 20


def _now() -> datetime:
    return datetime.now(UTC)


def ignore_progress(rows: int) -> None:
    """Take the number of rows written so far and do nothing with it."""


def no_trail(job: Job, entry: Entry) -> None:
    """Take what happened and leave no trail of it."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is being downloaded.

    Attributes:
        job: Its export.
        file: The file, from its beginning.
    """

    job: Job
    file: BinaryIO


class ExportJobs:
    """Makes exports, keeps them and hands them out. Thread-safe, and safe beside other processes on one storage.

    Whoever may see which export is decided by the caller: ``Job.request`` holds requester, tenant and scope.
    """

    def __init__(
        self,
        settings: ExportSettings,
        *,
        derived: Mapping[str, Derived] | None = None,
        trail: Trail = no_trail,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """Open the storage of the settings.

        Args:
            settings: Where, how much, how long.
            derived: Columns made of several fields, by name; the same ones for all exports of a storage.
            trail: Told everything that happens, for the audit events.
            now: The clock.

        Raises:
            StorageUnusable: The storage cannot be opened.
        """
        options = {name: value.get_secret_value() for name, value in settings.storage_options.items()}
        self._settings, self._derived, self._trail, self._now = settings, derived or {}, trail, now
        self._storage = Storage(settings.storage, options)
        self._ledger = Ledger(self._storage)

    def request(self, asked: ExportRequest) -> Job:
        """Record a request; ``run`` makes its file, now or later, here or elsewhere.

        Returns:
            The export in state ``pending``.

        Raises:
            InvalidQuery: Filter, format or a column is not understood; nothing is recorded.
            StorageUnusable: It cannot be recorded.
        """
        check(asked.question.expression, asked.question.clock)
        format_of(asked.format)
        self._columns(asked)
        entry = Entry("request", self._now(), asked.requester)
        job = self._ledger.add(str(uuid.uuid4()), asked, entry)
        self._trail(job, entry)
        return job

    def run(self, job_id: str, reader: Pages, on_rows: OnRows | None = None) -> Job:
        """Make the file of a pending export.

        Args:
            job_id: Id of the export.
            reader: Who reads its rows, with the rights of its requester.
            on_rows: Told about the progress.

        Returns:
            The export in state ``ready``.

        Raises:
            JobUnknown: There is no such export.
            JobNotReady: It is not pending.
            QueryError: It failed; the export is in state ``error`` and has no file.
        """
        job = self._ledger.job(job_id)
        if job.state != "pending":
            raise JobNotReady(job.id, job.state, job.problem)
        try:
            entry = self._produced(job, reader, on_rows or ignore_progress)
        except BaseException as error:
            self._note(job, Entry("error", self._now(), data={"problem": _problem(error)}))
            raise
        return self._note(job, entry)

    def make(self, asked: ExportRequest, reader: Pages, on_rows: OnRows | None = None) -> Job:
        """Record a request and make its file; see ``request`` and ``run``."""
        return self.run(self.request(asked).id, reader, on_rows)

    def repeat(self, job_id: str, requester: Requester, *, scope: str = "") -> Job:
        """Ask for an export again, with the parameters of an earlier one, relative times included.

        Returns:
            A new export in state ``pending``; ``run`` makes its file.

        Raises:
            JobUnknown: There is no such export.
            InvalidQuery: A filter or column of it no longer exists.
        """
        job = self._ledger.job(job_id)
        return self.request(replace(job.request, requester=requester, scope=scope, again_of=job.id))

    def job(self, job_id: str) -> Job:
        """Return one export.

        Raises:
            JobUnknown: There is no such export.
        """
        return self._current(self._ledger.job(job_id))

    def jobs(self) -> list[Job]:
        """Return every export, the newest first; those whose time is over have expired."""
        return [self._current(job) for job in self._ledger.jobs()]

    def expire(self) -> list[Job]:
        """Remove what has to go: files whose time is over, records older than theirs, what killed processes left.

        Returns:
            The exports that this call expired, or found to be interrupted.
        """
        now = self._now()
        self._storage.remove_partial((now - timedelta(seconds=self._settings.expire_after_s)).timestamp())
        changed = []
        for job in self._ledger.jobs():
            after = self._current(job)
            if after is not job:
                changed.append(after)
            elif job.state != "pending" and now - job.created_at >= timedelta(days=self._settings.record_days):
                self._storage.remove(f"{_path(job)}.manifest.json")
                self._ledger.remove(job.id)
        return changed

    @contextmanager
    def download(self, job_id: str, requester: Requester) -> Iterator[Download]:
        """Open the file of an export; that is counted and audited as a download.

        Raises:
            JobUnknown: There is no such export.
            JobNotReady: It has no file yet, or failed.
            JobExpired: Its file is no longer kept.
            FileDamaged: Its file is not the one that was written.
        """
        job = self.job(job_id)
        if job.state == "expired":
            raise JobExpired(job.id)
        if job.state != "ready" or job.manifest is None:
            raise JobNotReady(job.id, job.state, job.problem)
        self._check(job, job.manifest["sha256"])
        with self._storage.reading(_path(job)) as file:
            yield Download(self._note(job, Entry("download", self._now(), requester)), file)

    def _columns(self, asked: ExportRequest) -> tuple[ExportColumn, ...]:
        return columns_of(asked.columns, asked.question.zone, self._derived)

    def _produced(self, job: Job, reader: Pages, on_rows: OnRows) -> Entry:
        asked, columns, started_at = job.request, self._columns(job.request), self._now()
        with self._storage.writing(_path(job)) as file:
            contents = self._write(asked, columns, reader, DigestedFile(file), on_rows)
        finished_at = self._now()
        about = manifest(
            job.id, job.file_name, asked, columns, contents, started_at=started_at, finished_at=finished_at
        )
        with self._storage.writing(f"{_path(job)}.manifest.json") as file:
            file.write(to_bytes(about))
        expires_at = finished_at + timedelta(seconds=self._settings.expire_after_s)
        return Entry("ready", finished_at, data={"manifest": about, "expires_at": expires_at.isoformat()})

    def _write(
        self,
        asked: ExportRequest,
        columns: tuple[ExportColumn, ...],
        reader: Pages,
        file: DigestedFile,
        on_rows: OnRows,
    ) -> Contents:
        limit = None if asked.full else self._settings.interactive_rows
        fields = list(dict.fromkeys(f for column in columns for f in column.fields))
        chosen = Selection(reader, asked.question, fields, limit, self._settings.page_rows)
        with open_writer(format_of(asked.format), file, columns, bom=asked.bom) as writer:
            for rows in chosen.batches():
                writer.write(rows)
                on_rows(chosen.rows)
            writer.finish(facts(asked, chosen.rows, limit, truncated=chosen.truncated))
            changed = writer.cells_changed
        return Contents(chosen.rows, limit, chosen.truncated, changed, file.bytes, file.sha256)

    def _current(self, job: Job) -> Job:
        """Return an export as it is now, after noting what the clock did to it."""
        now = self._now()
        if job.state_at(now) == "expired" and job.state == "ready":
            # In this order a process that is killed in between leaves no file that nobody removes.
            self._storage.remove(_path(job))
            return self._note(job, Entry("expired", now))
        since = job.entries[-1].at
        if job.state == "pending" and now - since >= timedelta(seconds=self._settings.expire_after_s):
            return self._note(job, Entry("error", now, data={"problem": "it was interrupted and never finished"}))
        return job

    def _note(self, job: Job, entry: Entry) -> Job:
        self._ledger.append(job.id, entry)
        after = self._seen(job, entry)
        self._trail(after, entry)
        return after

    def _seen(self, job: Job, entry: Entry) -> Job:
        return replace(job, entries=(*job.entries, entry))

    def _check(self, job: Job, expected: str) -> None:
        try:
            with self._storage.reading(_path(job)) as file:
                found = _digest(file)
        except FileNotFoundError as error:
            raise StorageUnusable(self._storage.url, f"the file of export {job.id} is missing") from error
        if found != expected:
            raise FileDamaged(job.id, expected, found)


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _path(job: Job) -> str:
    return f"files/{job.id}.{format_of(job.request.format)}"


def _problem(error: BaseException) -> str:
    return str(error) if isinstance(error, Exception) and str(error) else f"interrupted by {type(error).__name__}"
