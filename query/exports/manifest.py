"""The manifest beside a file: what was asked, what is in the file, and how to prove that it is that file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from query.exports.columns import ExportColumn
from query.exports.formats import versions
from query.exports.request import ExportRequest, Window, format_of, to_tree
from query.syntax import to_text

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Contents:
    """What an export turned out to hold.

    Attributes:
        rows: How many rows.
        row_limit: The limit; None for a full export.
        truncated: Whether there were more rows than the limit.
        cells_changed: Values that the format could not take whole.
        bytes: Size of the file.
        sha256: Its digest, hexadecimal.
    """

    rows: int
    row_limit: int | None
    truncated: bool
    cells_changed: int
    bytes: int
    sha256: str

    @property
    def sentence(self) -> str:
        """Say how many rows there are and whether that is all."""
        if not self.truncated:
            return f"{self.rows} rows, all that match"
        return f"the newest {self.rows} rows; there are more, left out by the limit of {self.row_limit}"


def facts(request: ExportRequest, rows: int, row_limit: int | None, *, truncated: bool) -> dict[str, str]:
    """Return what a reader of the rows has to know, for formats that have a place for it."""
    window = Window.of(request.question).to_data()
    asked = request.question
    return {
        "filter": to_text(asked.expression),
        "since (UTC)": window["since"] or "open",
        "until (UTC)": window["until"] or "open",
        "asked at (UTC)": asked.now.isoformat(),
        "time zone": asked.zone.key,
        "sort": f"{asked.sort}, {'descending' if asked.descending else 'ascending'}",
        "rows": Contents(rows, row_limit, truncated, 0, 0, "").sentence,
        "requested by": request.requester.name or request.requester.id,
    }


def manifest(
    job_id: str,
    file: str,
    request: ExportRequest,
    columns: Sequence[ExportColumn],
    contents: Contents,
    *,
    started_at: datetime,
    finished_at: datetime,
) -> dict[str, Any]:
    """Return the manifest of an export as JSON data.

    Args:
        job_id: Id of the export.
        file: Name of its file.
        request: What was asked.
        columns: Its columns.
        contents: What is in the file.
        started_at: When reading began.
        finished_at: When the file was complete.
    """
    asked, written_as = request.question, format_of(request.format)
    return {
        "manifest_version": _VERSION,
        "export_id": job_id,
        "again_of": request.again_of or None,
        "file": file,
        "format": written_as,
        "format_asked": request.format,
        "kind": "full" if request.full else "interactive",
        "filter": to_text(asked.expression),
        "filter_tree": to_tree(asked.expression),
        "window": Window.of(asked).to_data(),
        "asked_at": asked.now.isoformat(),
        "time_zone": asked.zone.key,
        "sort": {"by": asked.sort, "descending": asked.descending},
        **asdict(contents),
        "columns": [_described(column) for column in columns],
        "versions": versions(written_as),
        "started_at": started_at.isoformat(),
        "finished_at": finished_at.isoformat(),
        "requested_by": request.requester.to_shown(),
        "purpose": request.purpose,
        "scope": request.scope,
    }


def to_bytes(data: Mapping[str, Any]) -> bytes:
    """Return a manifest as it is written beside its file."""
    return json.dumps(data, ensure_ascii=False, indent=2).encode() + b"\n"


def _described(column: ExportColumn) -> dict[str, str]:
    return {"name": column.name, "heading": column.heading, "type": str(column.arrow), "description": column.doc}
