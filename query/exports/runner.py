"""Makes the files of exports beside whatever else the process does: some at a time, the others wait their turn."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from query.errors import QueryError
from query.export_settings import ExportSettings
from query.exports.errors import ExportError, JobCancelled, StorageUnusable, TooManyJobs
from query.exports.jobs import ExportJobs
from query.exports.keepers import Beat, Progress
from query.exports.making import OnRows

log = structlog.get_logger("query.exports")

#: Signs of life that may be missed: a machine under load is late.
_MISSED = 6
#: Seconds between two looks for what has to expire, at most.
_SWEEP_S = 300.0
STOPPED = "the server was stopped before it was finished; make it again"

#: Makes one file, told whom to tell about the progress.
Make = Callable[[OnRows], object]


class ExportStopped(ExportError):
    """The process stops before the export is finished."""


@dataclass(slots=True)
class _Task:
    """One export that is being made, or waits."""

    total: int | None
    rows: int = 0
    waiting: bool = True
    cancelled: bool = False

    @property
    def progress(self) -> Progress:
        total = None if self.total is None else max(self.total, self.rows)
        return Progress(self.rows, total, self.waiting)


class ExportRunner:
    """Makes files on a bounded number of threads, gives signs of life, and removes what has expired. Thread-safe."""

    def __init__(self, opened: Callable[[], ExportJobs], settings: ExportSettings) -> None:
        """Start to look after a storage; nothing is made yet.

        Args:
            opened: Returns the exports; may raise ``StorageUnusable``, then it is asked again.
            settings: How many at once, how many may wait, how often a sign of life is given.
        """
        self._opened, self._settings = opened, settings
        self._id = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}
        self._stopping = threading.Event()
        self._swept_at = float("-inf")
        self._threads = ThreadPoolExecutor(settings.at_once, thread_name_prefix="export")
        self._keeper = threading.Thread(target=self._keep, name="export-keeper", daemon=True)
        self._keeper.start()

    def check_room(self) -> None:
        """Prove that one more export is taken.

        Raises:
            TooManyJobs: It is not.
        """
        with self._lock:
            waiting = sum(task.waiting for task in self._tasks.values())
            if len(self._tasks) >= self._settings.at_once + self._settings.waiting or self._stopping.is_set():
                raise TooManyJobs(waiting)

    def submit(self, job_id: str, make: Make, total: int | None) -> None:
        """Make the file of a pending export as soon as there is a thread for it.

        Args:
            job_id: Id of the export.
            make: Makes its file.
            total: Rows that it will have, None when that is not known.

        Raises:
            StorageUnusable: It cannot be noted who makes it.
        """
        jobs = self._opened()
        with self._lock:
            self._tasks[job_id] = _Task(total)
        # In this order nobody finds an export of a process that seems not to live.
        self._beat(jobs)
        jobs.take(job_id, self._id)
        self._threads.submit(self._made, job_id, make)

    def progress(self, job_id: str) -> Progress | None:
        """Return how far an export of this process is, None when it makes no such export."""
        with self._lock:
            task = self._tasks.get(job_id)
            return task.progress if task else None

    def cancel(self, job_id: str) -> None:
        """Stop making an export that was given up; one that is not made here is well."""
        with self._lock:
            if job_id in self._tasks:
                self._tasks[job_id].cancelled = True

    def close(self) -> None:
        """Stop: what is being made and what waits has failed, and says why. Idempotent."""
        self._stopping.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._keeper.join()
        with self._lock:
            left, self._tasks = list(self._tasks), {}
        try:
            jobs = self._opened()
            for job_id in left:
                jobs.fail(job_id, STOPPED)
            jobs.keepers.leave(self._id)
        except StorageUnusable as error:
            log.warning("exports_not_settled", reason=str(error), exports=left)

    def _made(self, job_id: str, make: Make) -> None:
        with self._lock:
            task = self._tasks[job_id]
            task.waiting = False

        def on_rows(rows: int) -> None:
            task.rows = rows
            if task.cancelled:
                raise JobCancelled(job_id)
            if self._stopping.is_set():
                raise ExportStopped(STOPPED)

        try:
            on_rows(0)
            make(on_rows)
        except JobCancelled:
            log.info("export_cancelled", export_id=job_id)
        except Exception as error:
            # Its record says why as well; whoever asked reads it there.
            log.warning("export_failed", export_id=job_id, kind=type(error).__name__, reason=str(error))
            self._settle(job_id, str(error) or type(error).__name__)
        with self._lock:
            self._tasks.pop(job_id, None)

    def _settle(self, job_id: str, problem: str) -> None:
        """Note a failure that came before the file was begun; one that is noted stays as it is."""
        try:
            self._opened().fail(job_id, problem)
        except ExportError as error:
            log.error("export_not_settled", export_id=job_id, reason=str(error))

    def _keep(self) -> None:
        told = ""
        while True:
            try:
                self._look_after(self._opened())
                told = ""
            except QueryError as error:
                # The storage is away: said once, and tried again.
                if str(error) != told:
                    log.warning("exports_not_kept", reason=str(error))
                told = str(error)
            except Exception as error:
                log.error("exports_not_kept", kind=type(error).__name__, exc_info=error)
            if self._stopping.wait(self._settings.heartbeat_s):
                return

    def _look_after(self, jobs: ExportJobs) -> None:
        with self._lock:
            mine = list(self._tasks)
        if mine:
            self._beat(jobs)
        for job_id in mine:
            if jobs.is_cancelled(job_id):
                self.cancel(job_id)
        if time.monotonic() - self._swept_at >= min(_SWEEP_S, self._settings.expire_after_s / 4):
            self._swept_at = time.monotonic()
            for job in jobs.expire():
                log.info("export_settled", export_id=job.id, state=job.state)

    def _beat(self, jobs: ExportJobs) -> None:
        with self._lock:
            progress = {job_id: task.progress for job_id, task in self._tasks.items()}
        jobs.keepers.beat(self._id, Beat(datetime.now(UTC), self._settings.heartbeat_s * _MISSED, progress))
