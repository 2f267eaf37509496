"""JSON Schemas of saved searches, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from query.http.row_schemas import answer_schema
from query.http.saved import BODY_KEYS
from query.question import SortName
from query.saved.search import MOST_NAME

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_MOMENT: Json = {"type": "string", "format": "date-time"}
_TEXTS: Json = {"type": "array", "items": _TEXT}


def schemas(search: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Yield the schemas by name.

    Args:
        search: Schema of the body of a search, whose members a saved one has too.
    """
    yield "SavedSearch", _saved()
    yield "SavedSearchRequest", _request(search)


def _request(search: Mapping[str, Any]) -> Json:
    own: Json = {
        "name": {**_TEXT, "minLength": 1, "maxLength": MOST_NAME, "description": "One for each search of a reader."},
        "columns": {"oneOf": [_TEXT, _TEXTS], "description": "Fields to show."},
        "shared": {**_FLAG, "description": "Others who reach the same tenants see it."},
    }
    members = {**search["properties"], **own}
    return answer_schema({name: members[name] for name in BODY_KEYS}, required=("name",))


def _saved() -> Json:
    problem = answer_schema(
        {"detail": _TEXT, "term": _TEXT, "position": {"type": "integer"}, "suggestion": _TEXT}, required=("detail",)
    )
    return answer_schema(
        {
            **dict.fromkeys(("id", "name", "query", "tz", "owner_name"), _TEXT),
            "sort": {"enum": list(get_args(SortName))},
            "order": {"enum": ["asc", "desc"]},
            "columns": _TEXTS,
            **dict.fromkeys(("shared", "mine"), _FLAG),
            **dict.fromkeys(("created_at", "updated_at"), _MOMENT),
            "version": {"type": "integer", "minimum": 1},
            "problem": {
                "anyOf": [problem, {"type": "null"}],
                "description": "Why its text, understood when it was saved, is not any more.",
            },
            "links": answer_schema({"self": _TEXT, "events": _TEXT}),
        }
    )
