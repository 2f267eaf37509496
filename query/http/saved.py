"""Endpoints of saved searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.errors import InvalidFilter
from query.http.asking import JsonBody, question_of_json
from query.http.endpoint import Answer, Call
from query.http.problems import Problem
from query.saved import Draft, SavedSearch, SearchDesk
from query.syntax import to_text

PATH = "/api/v1/searches"
#: Members of the body that are the question, as in a search.
_QUESTION_KEYS = ("query", "filters", "any", "not", "tz", "sort", "order")
BODY_KEYS = ("name", *_QUESTION_KEYS, "columns", "shared")


def list_searches(call: Call, reader: ScopedReader) -> Answer:
    """Answer the searches that the token sees, by name."""
    del reader
    found = desk_of(call).searches(call.token)
    return Answer({"data": [shown(search, call.token) for search in found]}, rows=len(found))


def one_search(call: Call, reader: ScopedReader) -> Answer:
    """Answer one search."""
    del reader
    return _answer(call, desk_of(call).search(call.token, call.path["search_id"]))


def save(call: Call, reader: ScopedReader) -> Answer:
    """Keep a new search."""
    del reader
    return _answer(call, desk_of(call).save(call.token, call.caller, draft_of(call.body)))


def change(call: Call, reader: ScopedReader) -> Answer:
    """Replace a search."""
    del reader
    draft = draft_of(call.body)
    return _answer(call, desk_of(call).change(call.token, call.caller, call.path["search_id"], draft))


def delete(call: Call, reader: ScopedReader) -> Answer:
    """Delete a search; answers what it was."""
    del reader
    return _answer(call, desk_of(call).delete(call.token, call.caller, call.path["search_id"]))


def draft_of(body: Mapping[str, Any]) -> Draft:
    """Return what a JSON body wants to keep; a question in text form is kept as it is written.

    Raises:
        Problem: A part is not understood; with a JSON pointer to it.
    """
    reader = JsonBody(body, BODY_KEYS)
    name = reader.text("name")
    if name is None:
        raise Problem("invalid-body", "/name is missing; expected a text", pointer="/name", expected="a text")
    question = question_of_json({key: body[key] for key in _QUESTION_KEYS if key in body})
    text, shared = body.get("query", ""), reader.flag("shared")
    as_written = isinstance(text, str) and not (body.get("filters") or body.get("not"))
    query = text if as_written else to_text(question.expression)
    columns = tuple(reader.texts("columns"))
    return Draft(name, query, question.zone.key, question.sort, question.descending, columns, shared)


def desk_of(call: Call) -> SearchDesk:
    """Return what keeps searches.

    Raises:
        Problem: This process keeps none.
    """
    if call.service.searches is None:
        raise Problem("not-found", "this process keeps no searches")
    return call.service.searches


def shown(search: SavedSearch, token: Token) -> dict[str, Any]:
    """Return a search as answers hold it.

    Args:
        search: The search.
        token: Who asks.
    """
    draft = search.draft
    order = "desc" if draft.descending else "asc"
    return {
        "id": search.search_id,
        "name": draft.name,
        "query": draft.query,
        "tz": draft.zone,
        "sort": draft.sort,
        "order": order,
        "columns": list(draft.columns),
        "shared": draft.shared,
        "owner_name": search.owner_name,
        "mine": search.owner == token.owner,
        "created_at": search.created_at,
        "updated_at": search.updated_at,
        "version": search.version,
        "problem": _problem(search),
        "links": {"self": f"{PATH}/{search.search_id}", "events": f"/api/v1/events?{urlencode(parameters(draft))}"},
    }


def parameters(draft: Draft) -> dict[str, str]:
    """Return the parameters of an address that asks a search."""
    order = "desc" if draft.descending else "asc"
    asked = {"q": draft.query, "tz": draft.zone, "sort": draft.sort, "order": order, "fields": ",".join(draft.columns)}
    return {name: value for name, value in asked.items() if value}


def _answer(call: Call, search: SavedSearch) -> Answer:
    return Answer(shown(search, call.token), rows=1)


def _problem(search: SavedSearch) -> dict[str, Any] | None:
    error = search.problem
    if error is None:
        return None
    if not isinstance(error, InvalidFilter):
        return {"detail": str(error)}
    told = {"term": error.term, "position": error.position, "suggestion": error.suggestion}
    return {"detail": str(error), **{name: value for name, value in told.items() if value not in (None, "")}}
