"""Makes the file of one export, and its manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from query.export_settings import ExportSettings
from query.exports.columns import Derived, ExportColumn, columns_of
from query.exports.formats import open_writer
from query.exports.job import Entry, Job
from query.exports.manifest import Contents, facts, manifest, to_bytes
from query.exports.request import ExportRequest, format_of
from query.exports.selection import Pages, Selection
from query.exports.storage import Storage
from query.exports.writing import DigestedFile

#: Told the number of rows written so far; what it raises ends the export.
OnRows = Callable[[int], None]


class FileMaker:
    """Reads the rows of exports and writes their files. Thread-safe."""

    def __init__(
        self,
        storage: Storage,
        settings: ExportSettings,
        derived: Mapping[str, Derived],
        now: Callable[[], datetime],
    ) -> None:
        """Prepare it; nothing is read yet.

        Args:
            storage: Where files go.
            settings: How much, how long.
            derived: Columns made of several fields, by name.
            now: The clock.
        """
        self._storage, self._settings, self._derived, self._now = storage, settings, derived, now

    def columns(self, asked: ExportRequest) -> tuple[ExportColumn, ...]:
        """Return the columns of an export.

        Raises:
            InvalidFilter: There is no column of a name; with the nearest one.
        """
        return columns_of(asked.columns, asked.question.zone, self._derived)

    def make(self, job: Job, reader: Pages, on_rows: OnRows) -> Entry:
        """Make the file and its manifest, and return the entry that says so.

        Raises:
            QueryError: The rows cannot be read.
            StorageUnusable: The file cannot be written.
        """
        asked, columns, started_at = job.request, self.columns(job.request), self._now()
        with self._storage.writing(file_path(job)) as file:
            contents = self._write(asked, columns, reader, DigestedFile(file), on_rows)
        finished_at = self._now()
        about = manifest(
            job.id, job.file_name, asked, columns, contents, started_at=started_at, finished_at=finished_at
        )
        with self._storage.writing(f"{file_path(job)}.manifest.json") as file:
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


def file_path(job: Job) -> str:
    """Return where the file of an export lies in its storage."""
    return f"files/{job.id}.{format_of(job.request.format)}"
