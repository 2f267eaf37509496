"""Saved searches: the list of them, keeping one, changing and deleting it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from starlette.datastructures import FormData
from starlette.responses import Response

from query.access.rights import Right
from query.condition import find_filter
from query.errors import InvalidQuery
from query.expression import terms
from query.http.problems import Problem, problem_of
from query.question import SortName
from query.saved import Draft, NameTaken, SavedSearch, SearchDesk, SearchInvalid
from query.saved.search import MOST_NAME
from query.syntax import to_text
from query.web import links
from query.web.page import POST, PageRoute
from query.web.visit import Visit

_JOURNAL = "/journal"
#: Filters by time: without one of them the journal would show the last day only.
_PERIODS = frozenset({"since", "until", "stored_since", "stored_until"})
_WRONG = (InvalidQuery, SearchInvalid, NameTaken)
_ORDERS = tuple(f"{sort} {order}" for sort in get_args(SortName) for order in ("desc", "asc"))


async def searches(visit: Visit) -> Response:
    """Show the searches that the visitor sees."""
    desk = visit.part(SearchDesk)
    found = await visit.service.in_thread(lambda: desk.searches(visit.token))
    return visit.page("searches.html", searches=[_told(visit, search) for search in found])


async def new(visit: Visit) -> Response:
    """Show the form for a question."""
    question = visit.question()
    text = to_text(question.expression)
    draft = Draft("", "" if text == "()" else text, question.zone.key, question.sort, question.descending)
    return _form(visit, draft)


async def save(visit: Visit) -> Response:
    """Keep a search."""
    desk, draft = visit.part(SearchDesk), _draft(await visit.form())
    try:
        saved = await visit.service.in_thread(lambda: desk.save(visit.token, visit.caller, draft))
    except _WRONG as error:
        return _form(visit, draft, error=error)
    return visit.redirect("/searches", notice=f"The search {saved.draft.name} is saved.")


async def edit(visit: Visit) -> Response:
    """Show the form for a search that is kept."""
    search = await _search(visit)
    if search.owner != visit.token.owner:
        raise Problem("forbidden", "this search belongs to somebody else; open it and save it as your own")
    return _form(visit, search.draft, search)


async def change(visit: Visit) -> Response:
    """Replace a search."""
    fields, desk, search = await visit.form(), visit.part(SearchDesk), await _search(visit)
    draft = _draft(fields, search.draft.columns)
    try:
        saved = await visit.service.in_thread(lambda: desk.change(visit.token, visit.caller, search.search_id, draft))
    except _WRONG as error:
        return _form(visit, draft, search, error=error)
    return visit.redirect("/searches", notice=f"The search {saved.draft.name} is changed.")


async def delete(visit: Visit) -> Response:
    """Delete a search."""
    await visit.form()
    desk, search_id = visit.part(SearchDesk), visit.path["search_id"]
    gone = await visit.service.in_thread(lambda: desk.delete(visit.token, visit.caller, search_id))
    return visit.redirect("/searches", notice=f"The search {gone.draft.name} is deleted.")


async def _search(visit: Visit) -> SavedSearch:
    desk, search_id = visit.part(SearchDesk), visit.path["search_id"]
    return await visit.service.in_thread(lambda: desk.search(visit.token, search_id))


def _form(visit: Visit, draft: Draft, search: SavedSearch | None = None, *, error: Exception | None = None) -> Response:
    return visit.page(
        "search.html",
        status=problem_of(error).status if error else 200,
        draft=draft,
        search=search,
        problem=str(error) if error else "",
        orders=_ORDERS,
        order=f"{draft.sort} {'desc' if draft.descending else 'asc'}",
        most_name=MOST_NAME,
    )


def _draft(fields: FormData, columns: tuple[str, ...] = ()) -> Draft:
    sort, _, direction = str(fields.get("order", "")).partition(" ")
    return Draft(
        str(fields.get("name", "")),
        str(fields.get("query", "")).strip(),
        str(fields.get("tz", "")) or "UTC",
        cast(SortName, sort or "time"),
        direction != "asc",
        columns,
        fields.get("shared") == "1",
    )


def _told(visit: Visit, search: SavedSearch) -> Mapping[str, Any]:
    mine = search.owner == visit.token.owner
    return {
        "search": search,
        "draft": search.draft,
        "mine": mine,
        "may_delete": mine or visit.may(Right.TOKENS),
        "problem": str(search.problem or ""),
        "opened": _opened(search),
    }


def _opened(search: SavedSearch) -> str:
    """Return the address of the journal that asks a search, all times when it names none."""
    if search.problem:
        # The journal shows the text with what is wrong with it.
        return links.address(_JOURNAL, [("q", search.draft.query)])
    draft, question = search.draft, search.question()
    has_period = any(find_filter(term).name in _PERIODS for term in terms(question.expression))
    order = "desc" if draft.descending else "asc"
    given = {
        "q": draft.query,
        "period": "" if has_period else "all",
        "tz": draft.zone,
        "sort": draft.sort,
        "order": order,
    }
    return links.address(_JOURNAL, [(name, value) for name, value in given.items() if value])


_NEEDS = (SearchDesk,)

PAGES = (
    PageRoute("/searches", searches, name="searches", section="Saved searches", needs=_NEEDS),
    PageRoute("/searches", save, methods=POST, needs=_NEEDS),
    PageRoute("/searches/new", new, name="search_new", needs=_NEEDS),
    PageRoute("/searches/{search_id}", edit, needs=_NEEDS),
    PageRoute("/searches/{search_id}", change, methods=POST, needs=_NEEDS),
    PageRoute("/searches/{search_id}/delete", delete, methods=POST, needs=_NEEDS),
)
