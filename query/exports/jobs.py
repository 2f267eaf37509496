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
from query.exports.columns import Derived
from query.exports.errors import FileDamaged, JobCancelled, JobExpired, JobNotReady, StorageUnusable
from query.exports.job import Entry, Job
from query.exports.keepers import Beat, Keepers
from query.exports.ledger import Ledger
from query.exports.making import FileMaker, OnRows, file_path
from query.exports.request import ExportRequest, Requester, format_of
from query.exports.selection import Pages
from query.exports.storage import Storage

#: Told after each entry: the export with it, and the entry. It must not raise.
Trail = Callable[[Job, Entry], None]

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

    Attributes:
        keepers: Signs of life of the processes that make files.
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
        self._settings, self._trail, self._now = settings, trail, now
        self._storage = Storage(settings.storage, options)
        self._ledger = Ledger(self._storage)
        self._maker = FileMaker(self._storage, settings, derived or {}, now)
        self.keepers = Keepers(self._storage)

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
        self._maker.columns(asked)
        entry = Entry("request", self._now(), asked.requester)
        job = self._ledger.add(str(uuid.uuid4()), asked, entry)
        self._trail(job, entry)
        return job

    def take(self, job_id: str, keeper: str) -> Job:
        """Note which process will make the file of a pending export; see ``keepers``.

        Raises:
            JobUnknown: There is no such export.
        """
        return self._note(self._ledger.job(job_id), Entry("taken", self._now(), data={"keeper": keeper}))

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
            JobCancelled: It was given up meanwhile; it has no file.
            QueryError: It failed; the export is in state ``error`` and has no file.
        """
        job = self._ledger.job(job_id)
        if job.state != "pending":
            raise JobNotReady(job.id, job.state, job.problem)
        try:
            entry = self._maker.make(job, reader, on_rows or ignore_progress)
            self._check_wanted(job_id)
        except JobCancelled:
            self._storage.remove(file_path(job))
            raise
        except BaseException as error:
            self._note(job, Entry("error", self._now(), data={"problem": _problem(error)}))
            raise
        return self._note(job, entry)

    def is_cancelled(self, job_id: str) -> bool:
        """Return whether somebody gave an export up.

        Raises:
            JobUnknown: There is no such export.
        """
        return self._ledger.job(job_id).cancelled

    def fail(self, job_id: str, problem: str) -> Job:
        """Note that a pending export will not be made; one that is not pending stays as it is.

        Raises:
            JobUnknown: There is no such export.
        """
        job = self._ledger.job(job_id)
        return self._failed(job, problem) if job.state == "pending" else job

    def withdraw(self, job_id: str, by: Requester) -> Job:
        """Cancel a pending export, remove the file of a ready one; what failed or expired stays as it is.

        Raises:
            JobUnknown: There is no such export.
        """
        job = self.job(job_id)
        if job.state == "pending":
            problem = f"cancelled by {by.name or by.id}"
            job = self._note(job, Entry("error", self._now(), by, {"problem": problem, "cancelled": True}))
            # Whoever makes it looks for this entry before and removes the file; it may just have looked.
            self._storage.remove(file_path(job))
        elif job.state == "ready":
            self._storage.remove(file_path(job))
            job = self._note(job, Entry("delete", self._now(), by))
        return job

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
        beats = self.keepers.beats()
        return [self._current(job, beats) for job in self._ledger.jobs()]

    def expire(self) -> list[Job]:
        """Remove what has to go: files whose time is over, records older than theirs, what killed processes left.

        Returns:
            The exports that this call expired, or found to be interrupted.
        """
        now = self._now()
        long_ago = now - timedelta(seconds=self._settings.expire_after_s)
        self._storage.remove_partial(long_ago.timestamp())
        changed, beats = [], self.keepers.beats()
        for job in self._ledger.jobs():
            after = self._current(job, beats)
            if after is not job:
                changed.append(after)
            elif job.state != "pending" and now - job.created_at >= timedelta(days=self._settings.record_days):
                self._storage.remove(f"{file_path(job)}.manifest.json")
                self._ledger.remove(job.id)
        self.keepers.forget(long_ago)
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
        with self._storage.reading(file_path(job)) as file:
            yield Download(self._note(job, Entry("download", self._now(), requester)), file)

    def _check_wanted(self, job_id: str) -> None:
        if self.is_cancelled(job_id):
            raise JobCancelled(job_id)

    def _current(self, job: Job, beats: Mapping[str, Beat] | None = None) -> Job:
        """Return an export as it is now, after noting what the clock did to it."""
        now = self._now()
        if job.state_at(now) == "expired" and job.state == "ready":
            # In this order a process that is killed in between leaves no file that nobody removes.
            self._storage.remove(file_path(job))
            return self._note(job, Entry("expired", now))
        if job.state != "pending":
            return job
        if job.keeper and not _is_alive(job.keeper, self.keepers.beats() if beats is None else beats, now):
            return self._failed(job, "the process that made it ended before it was finished; make it again")
        if not job.keeper and now - job.entries[-1].at >= timedelta(seconds=self._settings.expire_after_s):
            return self._failed(job, "it was interrupted and never finished")
        return job

    def _failed(self, job: Job, problem: str) -> Job:
        return self._note(job, Entry("error", self._now(), data={"problem": problem}))

    def _note(self, job: Job, entry: Entry) -> Job:
        self._ledger.append(job.id, entry)
        after = self._seen(job, entry)
        if entry.what != "taken":
            self._trail(after, entry)
        return after

    def _seen(self, job: Job, entry: Entry) -> Job:
        return replace(job, entries=(*job.entries, entry))

    def _check(self, job: Job, expected: str) -> None:
        try:
            with self._storage.reading(file_path(job)) as file:
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


def _is_alive(keeper: str, beats: Mapping[str, Beat], now: datetime) -> bool:
    return keeper in beats and beats[keeper].is_good(now)


def _problem(error: BaseException) -> str:
    return str(error) if isinstance(error, Exception) and str(error) else f"interrupted by {type(error).__name__}"
