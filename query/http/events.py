"""Endpoints of events: lists by URL and by body, one event, latest states, cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from query.access.scoped_reader import ScopedReader
from query.errors import InvalidCursor, InvalidFilter
from query.events import Detail, Page
from query.expression import Term, conjunction
from query.fields import Row
from query.http.asking import JsonBody, question_of_json, question_of_url
from query.http.endpoint import Answer, Call, Handler
from query.http.problems import Problem, invalid
from query.question import Question
from query.states import STATE_KINDS

_GONE = ("deactivated", "deleted")
NOTICE = "the actor is no longer part of the organisation"


def list_events(call: Call, reader: ScopedReader) -> Answer:
    """Answer one page of events."""
    return _page(call, reader, question_of_url(call.values))


def list_runs(call: Call, reader: ScopedReader) -> Answer:
    """Answer one page of the entries of runs."""
    question = question_of_url(call.values)
    return _page(call, reader, question, narrowed=_joined(question, Term("kind", "run_log")))


def latest_states(kind: str) -> Handler:
    """Return what answers one page of the latest states of tasks, exports or webhooks."""

    def answer(call: Call, reader: ScopedReader) -> Answer:
        question = question_of_url(call.values)
        page = _placed(
            lambda: reader.latest_states(
                kind,
                question,
                limit=_limit(call),
                cursor=call.values.text("cursor"),
                fields=call.values.names("fields"),
            )
        )
        return _answered(page, question)

    if kind not in STATE_KINDS:
        raise KeyError(kind)
    return answer


def search_events(call: Call, reader: ScopedReader) -> Answer:
    """Answer one page of events that a JSON body asks for."""
    question, body = question_of_json(call.body), JsonBody(call.body)
    limit = body.number("limit", call.settings.default_rows, 1, call.settings.max_rows)
    cursor, fields = body.text("cursor"), body.texts("fields")
    page = _placed(lambda: reader.page(question, limit=limit, cursor=cursor, fields=fields), in_body=True)
    return _answered(page, question, _total(reader, question) if body.flag("total") else {})


def one_event(call: Call, reader: ScopedReader) -> Answer:
    """Answer everything about one event: each time it was delivered, its bodies, the card of its actor now."""
    event_id = call.path["event_id"]
    try:
        details = reader.details(event_id)
    except InvalidFilter as error:
        raise invalid(error, parameter="event_id") from None
    if not details:
        raise Problem("not-found", "there is no such event: never stored, past its retention, or out of your reach")
    data = [_detail(d) for d in details]
    body = {"data": data, "deliveries": len(data), "conflict": any(d.conflict for d in details)}
    return Answer(body, rows=len(data), target_id=event_id)


def _detail(detail: Detail) -> dict[str, Any]:
    event = dict(detail.event)
    title = event.pop("title")
    return {
        "title": title,
        "event": event,
        "payload": detail.payload,
        "actor": detail.actor,
        "notice": notice(detail.actor),
    }


def notice(card: Row | None) -> str | None:
    """Return what to say about an actor who has left, None about one who has not."""
    return NOTICE if card and (card["deleted"] or card["status"] in _GONE) else None


def actor(call: Call, reader: ScopedReader) -> Answer:
    """Answer the card of an actor as it is now."""
    card = reader.actor(call.path["tenant"], call.path["actor_id"])
    if card is None:
        raise Problem("not-found", "there is no card of this actor, or it is out of your reach")
    return Answer({"actor": card, "notice": notice(card)}, filter_fields=("actor_id", "tenant"), rows=1)


def _page(call: Call, reader: ScopedReader, question: Question, narrowed: Question | None = None) -> Answer:
    asked, cursor = narrowed or question, call.values.text("cursor")
    limit, fields = _limit(call), call.values.names("fields")
    page = _placed(lambda: reader.page(asked, limit=limit, cursor=cursor, fields=fields))
    return _answered(page, asked, _total(reader, asked) if call.values.flag("total") else {})


def _limit(call: Call) -> int:
    return call.values.number("limit", call.settings.default_rows, 1, call.settings.max_rows)


def _joined(question: Question, term: Term) -> Question:
    return Question(
        conjunction(term, question.expression), question.sort, question.descending, question.zone, question.now
    )


def _total(reader: ScopedReader, question: Question) -> Mapping[str, Any]:
    found = reader.total(question)
    return {"total": found.events, "total_is_exact": found.is_exact}


def _answered(page: Page, question: Question, more: Mapping[str, Any] | None = None) -> Answer:
    body = {"data": page.rows, "next_cursor": page.next_cursor, **(more or {})}
    return Answer(body, question, rows=len(page.rows), next_cursor=page.next_cursor)


def _placed(run: Callable[[], Page], *, in_body: bool = False) -> Page:
    """Read a page; what can still be wrong when the question is understood is the cursor or a field."""
    try:
        return run()
    except InvalidCursor as error:
        raise invalid(error, pointer="/cursor") if in_body else invalid(error, parameter="cursor") from None
    except InvalidFilter as error:
        raise invalid(error, pointer="/fields") if in_body else invalid(error, parameter="fields") from None
