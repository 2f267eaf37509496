"""The records of exports, beside their files: what was asked, and one small file for everything that happened.

Entries are only ever added, each under a name of its own. So processes that work on one export at the same time
overwrite nothing of each other and no download is lost from the count, on a directory and on an object store alike,
without locks; and a record outlives its file by construction.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog

from query.exports.errors import JobUnknown, StorageUnusable
from query.exports.job import RANKS, Entry, Job
from query.exports.request import ExportRequest, Requester
from query.exports.storage import Storage
from query.period import micros

_log = structlog.get_logger("query.exports")

_FOLDER = "records"
_REQUEST = "request.json"


class Ledger:
    """Reads and adds records. Thread-safe."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, job_id: str, request: ExportRequest, entry: Entry) -> Job:
        """Add a new export with its first entry."""
        self._write(f"{_FOLDER}/{job_id}/{_REQUEST}", request.to_data())
        self.append(job_id, entry)
        return Job(job_id, request, (entry,))

    def append(self, job_id: str, entry: Entry) -> None:
        """Add what happened to an export."""
        # The time is for those who look into the folder; two entries never share a name.
        name = f"{micros(entry.at)}-{entry.what}-{uuid.uuid4().hex}.json"
        by = asdict(entry.by) if entry.by else None
        data = {"what": entry.what, "at": entry.at.isoformat(), "by": by, "data": dict(entry.data)}
        self._write(f"{_FOLDER}/{job_id}/{name}", data)

    def job(self, job_id: str) -> Job:
        """Return one export.

        Raises:
            JobUnknown: There is none of that id.
            StorageUnusable: Its record cannot be read.
        """
        try:
            canonical = str(uuid.UUID(job_id))
        except ValueError:
            raise JobUnknown(job_id) from None
        found = self._files(f"{_FOLDER}/{canonical}")
        if canonical not in found:
            raise JobUnknown(job_id)
        return self._job(canonical, found[canonical])

    def jobs(self) -> list[Job]:
        """Return every export, the newest first; a damaged record is logged and harms no other.

        Raises:
            StorageUnusable: The records cannot be read.
        """
        found = []
        for job_id, files in self._files(_FOLDER).items():
            try:
                found.append(self._job(job_id, files))
            except StorageUnusable as error:
                _log.error("record of an export is damaged", export_id=job_id, reason=str(error))
        return sorted(found, key=lambda job: (job.created_at, job.id), reverse=True)

    def remove(self, job_id: str) -> None:
        """Remove the record of an export."""
        self._storage.remove_folder(f"{_FOLDER}/{job_id}")

    def _files(self, folder: str) -> dict[str, dict[str, bytes]]:
        files: dict[str, dict[str, bytes]] = {}
        for path, content in self._storage.read_folder(folder).items():
            _, job_id, name = path.split("/")
            files.setdefault(job_id, {})[name] = content
        # A request without entry was cut off before it was begun.
        return {job_id: found for job_id, found in files.items() if _is_begun(found)}

    def _job(self, job_id: str, files: Mapping[str, bytes]) -> Job:
        try:
            request = ExportRequest.from_data(json.loads(files[_REQUEST]))
            entries = [_entry(json.loads(files[name])) for name in files if name != _REQUEST]
        except (ValueError, KeyError, TypeError) as error:
            raise StorageUnusable(self._storage.url, f"the record of export {job_id} is damaged: {error}") from error
        return Job(job_id, request, tuple(sorted(entries, key=lambda entry: (entry.at, RANKS[entry.what]))))

    def _write(self, name: str, data: Mapping[str, Any]) -> None:
        with self._storage.writing(name) as file:
            file.write(json.dumps(data, ensure_ascii=False).encode())


def _is_begun(files: Mapping[str, bytes]) -> bool:
    return _REQUEST in files and len(files) > 1


def _entry(data: Mapping[str, Any]) -> Entry:
    by = Requester(**data["by"]) if data["by"] else None
    return Entry(data["what"], datetime.fromisoformat(data["at"]), by, data["data"])
