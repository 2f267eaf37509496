"""What can go wrong with an export, by what the caller should do about it.

QueryError
├── InvalidQuery
│   └── InvalidExport       correct the request: format, columns
└── ExportError
    ├── JobUnknown          there is no such export
    ├── JobCancelled        nothing: somebody gave the export up
    ├── TooManyJobs         wait: as many exports are being made, and wait, as the settings allow
    ├── JobNotReady         wait, or look at its ``problem``
    ├── JobExpired          make it again: ``ExportJobs.repeat``
    ├── FileDamaged         the stored file is not the one that was written; make it again
    └── StorageUnusable     the place of the files cannot be read or written: look at it, or wait
"""

from __future__ import annotations

from query.errors import InvalidQuery, QueryError


class InvalidExport(InvalidQuery):
    """What is asked for cannot be exported as asked."""


class ExportError(QueryError):
    """Base of what goes wrong with a request that is right."""


class JobUnknown(ExportError):
    """There is no export of that id.

    Attributes:
        job_id: The id.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no export {job_id[:80]!r}")
        self.job_id = job_id


class JobNotReady(ExportError):
    """The export has no file, or is in no state for what was asked.

    Attributes:
        job_id: The id.
        state: pending, ready, error or expired.
    """

    def __init__(self, job_id: str, state: str, problem: str = "") -> None:
        super().__init__(f"export {job_id} is {state}" + (f": {problem}" if problem else ""))
        self.job_id, self.state = job_id, state


class JobCancelled(ExportError):
    """Somebody gave the export up while it was being made.

    Attributes:
        job_id: The id.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"export {job_id} was cancelled")
        self.job_id = job_id


class TooManyJobs(ExportError):
    """No further export is taken now.

    Attributes:
        waiting: How many wait already.
    """

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} exports wait already; ask again when some are finished")
        self.waiting = waiting


class JobExpired(ExportError):
    """The file of the export is no longer kept.

    Attributes:
        job_id: The id.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"the file of export {job_id} has expired; make it again")
        self.job_id = job_id


class FileDamaged(ExportError):
    """The stored file differs from the one that was written.

    Attributes:
        job_id: The id.
    """

    def __init__(self, job_id: str, expected: str, found: str) -> None:
        super().__init__(
            f"the file of export {job_id} has the SHA-256 {found}, and {expected} was written; make it again"
        )
        self.job_id = job_id


class StorageUnusable(ExportError):
    """The place where exports are kept cannot be used.

    Attributes:
        url: The place, as in the settings.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"exports cannot be kept in {url}: {reason}")
        self.url = url
