"""JSON Schemas of exports of the log, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from query.exports import FORMAT_NAMES
from query.exports.request import Format
from query.http.exports import BODY_KEYS, KINDS, MOST_PURPOSE, STATES
from query.http.row_schemas import answer_schema
from query.question import SortName

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_COUNT: Json = {"type": ["integer", "null"], "minimum": 0}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_MAYBE_MOMENT: Json = {"type": ["string", "null"], "format": "date-time"}
_TEXTS: Json = {"type": "array", "items": _TEXT}


def schemas(search: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Yield the schemas by name.

    Args:
        search: Schema of the body of a search, whose members a request for an export has too.
    """
    yield "ExportJob", _job()
    yield "ExportRequest", _request(search)
    yield "ExportManifest", {"type": "object", "required": ["export_id", "rows", "truncated", "sha256", "filter"]}


def _request(search: Mapping[str, Any]) -> Json:
    own: Json = {
        "format": {"enum": list(FORMAT_NAMES), "default": "csv", "description": "xls gives xlsx, which replaced it."},
        "kind": {
            "enum": list(KINDS),
            "default": "interactive",
            "description": "interactive: the newest rows up to a limit, and it is said when there are more; full: all.",
        },
        "columns": {"oneOf": [_TEXT, _TEXTS], "description": "Fields, time, title …; all by default."},
        "bom": {**_FLAG, "description": "Begin a CSV with a byte order mark."},
        "purpose": {**_TEXT, "maxLength": MOST_PURPOSE, "description": "Why, for the records."},
    }
    members = {**search["properties"], **own}
    return answer_schema({name: members[name] for name in BODY_KEYS}, required=())


def _job() -> Json:
    texts = ("id", "format_asked", "filter", "tz", "purpose", "problem", "summary")
    flags = ("bom", "cancelled", "deleted")
    counts = ("rows", "row_limit", "cells_changed", "bytes")
    progress = answer_schema({"rows": {"type": "integer"}, "total": _COUNT, "waiting": _FLAG})
    return answer_schema(
        {
            **dict.fromkeys(texts, _TEXT),
            **dict.fromkeys(flags, _FLAG),
            **dict.fromkeys(counts, _COUNT),
            "state": {"enum": list(STATES)},
            "created_at": _MOMENT,
            "finished_at": _MAYBE_MOMENT,
            "expires_at": _MAYBE_MOMENT,
            "asked_at": _MOMENT,
            "kind": {"enum": list(KINDS)},
            "format": {"enum": list(get_args(Format))},
            "window": answer_schema({"since": _MAYBE_MOMENT, "until": _MAYBE_MOMENT}),
            "sort": {"enum": list(get_args(SortName))},
            "order": {"enum": ["asc", "desc"]},
            "columns": _TEXTS,
            "requested_by": answer_schema(dict.fromkeys(("id", "type", "name", "origin"), _TEXT)),
            "again_of": {"type": ["string", "null"]},
            "truncated": {"type": ["boolean", "null"]},
            "sha256": {"type": ["string", "null"]},
            "downloads": {"type": "integer", "minimum": 0},
            "progress": {"anyOf": [progress, {"type": "null"}]},
            "links": answer_schema(
                dict.fromkeys(("self", "again", "manifest", "file"), _TEXT), required=("self", "again")
            ),
        }
    )
