"""An export as callers see it: the same members over HTTP and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from query.exports.job import Job
from query.exports.keepers import Progress
from query.exports.manifest import Contents
from query.exports.request import Window, format_of
from query.syntax import to_text

#: Members of the manifest that are members of the export too.
_OF_FILE = ("rows", "row_limit", "truncated", "cells_changed", "bytes", "sha256")


def shown(job: Job, progress: Progress | None = None) -> dict[str, Any]:
    """Return an export as data: what was asked, its state, its file.

    Args:
        job: The export.
        progress: How far it is, None when it is not being made.
    """
    made: Mapping[str, Any] = job.manifest or {}
    return {
        "id": job.id,
        "state": job.state,
        "created_at": job.created_at,
        "finished_at": next((e.at for e in reversed(job.entries) if e.what in ("ready", "error")), None),
        "expires_at": job.expires_at,
        **_asked(job),
        **{name: made.get(name) for name in _OF_FILE},
        "downloads": job.downloads,
        "progress": _progress(progress) if job.state == "pending" else None,
        "cancelled": job.cancelled,
        "deleted": job.deleted,
        "problem": job.problem if job.state == "error" else "",
        "summary": _summary(job),
    }


def _asked(job: Job) -> dict[str, Any]:
    request, question = job.request, job.request.question
    return {
        "kind": "full" if request.full else "interactive",
        "format": format_of(request.format),
        "format_asked": request.format,
        "filter": to_text(question.expression),
        "window": Window.of(question).to_data(),
        "tz": question.zone.key,
        "sort": question.sort,
        "order": "desc" if question.descending else "asc",
        "asked_at": question.now,
        "columns": list(request.columns),
        "bom": request.bom,
        "purpose": request.purpose,
        "requested_by": request.requester.to_shown(),
        "again_of": request.again_of or None,
    }


def _progress(progress: Progress | None) -> dict[str, Any]:
    found = progress or Progress()
    return {"rows": found.rows, "total": found.total, "waiting": found.waiting}


def _summary(job: Job) -> str:
    """Say in a sentence what the file holds, and what the reader of it has to know."""
    if job.manifest is None:
        return ""
    contents = Contents(**{name: job.manifest[name] for name in Contents.__slots__})
    said = [contents.sentence]
    if job.request.format.lower() == "xls":
        said.append("xls is written as xlsx, which replaced it")
    if contents.cells_changed:
        said.append(f"{contents.cells_changed} values are too long for a cell and cut; another format holds them whole")
    return "; ".join(said)
