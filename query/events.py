"""Reads of events by time: pages, counts, one event with all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from query import cursor as cursors
from query.condition import check
from query.cursor import Cursor
from query.database import Database
from query.deliveries import ShownEvent, groups, sent_fields, shown
from query.errors import InvalidFilter
from query.expression import Term
from query.fields import (
    READ_FIELDS,
    Row,
    chosen,
    event_fields,
    payload_fields,
    select_list,
    shown_fields,
    to_row,
    to_rows,
)
from query.page_read import PageRead, Scope
from query.parameters import Parameters
from query.question import ALIVE, Question
from query.sorting import cursor_keys, event_keys

#: Rows of one page at most; exports walk pages.
MAX_PAGE_ROWS = 10_000

_CARD_FIELDS = (
    "actor_id",
    "actor_type",
    "login",
    "name",
    "email",
    "department",
    "avatar_url",
    "status",
    "roles",
    "updated_at",
    "deleted",
)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows.

    Attributes:
        rows: The rows, in the order that was asked for.
        next_cursor: What continues after the last row; None when there is no further row.
    """

    rows: list[Row]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One stored event and what belongs to it.

    Attributes:
        event: All its fields.
        payload: Its request and response bodies; None when it has none or their time is over.
        actor: The card of its actor as it is now, ``deleted`` when the directory removed it; None without a card.
        conflict: Whether other content, or another time, was sent under the same id.
    """

    event: Row
    payload: Row | None
    actor: Row | None
    conflict: bool = False


def page(
    database: Database,
    question: Question,
    *,
    limit: int,
    cursor: str | None = None,
    fields: Sequence[str] = (),
    scope: Scope | None = None,
) -> Page:
    """Read one page of events; each is shown once, however often it was delivered.

    Every event that was stored before the first page was read and that no retention removed meanwhile is on exactly
    one page. What is stored later appears if it sorts behind the cursor.

    Args:
        database: Where to read.
        question: Which events, in which order.
        limit: Rows at most, 1 to MAX_PAGE_ROWS.
        cursor: ``next_cursor`` of the page before; None for the first page.
        fields: Names of ``query.fields.shown_fields``; empty for all.
        scope: A further condition.

    Raises:
        InvalidQuery: Limit, cursor, field or filter is wrong.
        QueryError: The database could not answer; see ``query.errors``.
    """
    names = chosen(shown_fields(), fields)
    if not 1 <= limit <= MAX_PAGE_ROWS:
        raise InvalidFilter(str(limit), "not a number of rows", f"1 to {MAX_PAGE_ROWS}")
    check(question.expression, question.clock)
    fingerprint = cursors.digest(question.fingerprint, scope.name if scope else "")
    start = cursors.decode(cursor, fingerprint) if cursor else None
    asked = replace(question, now=start.now) if start else question
    found = _events(PageRead(database, asked, names, scope), start, limit)
    kept = found[:limit]
    end = _end(kept, found, fingerprint, asked.now) if len(found) > limit else None
    return Page(to_rows([_told(event) for event in kept], names), end)


def _events(read: PageRead, start: Cursor | None, limit: int) -> list[ShownEvent]:
    """Return the events behind a cursor, more than ``limit`` when there are more."""
    resumed = start is not None and start.shown != ""
    # One group more than a page holds tells whether there is a further page, and may be cut; one less may be left of
    # a group in which a page ended.
    wanted = limit + (2 if resumed else 1)
    grouped = _groups(read, start, wanted)
    found = shown(read.database, read.question, grouped, resumed=resumed, every=_looks_up_all(read))
    events = [event for some in found for event in some]
    if start is None or not resumed:
        return events
    return [e for e in events if event_keys(e.raw) != start.keys or e.digest > start.shown]


def _looks_up_all(read: PageRead) -> bool:
    """Return whether rows without an equal beside them may have one elsewhere, and the answer tells."""
    # A scope leaves rows out; in orders by other than time, only other content can stand elsewhere.
    return ("conflict" in read.names and read.question.sort != "time") or (
        read.scope is not None and not READ_FIELDS.keys().isdisjoint(read.names)
    )


def _groups(read: PageRead, start: Cursor | None, wanted: int) -> list[list[dict[str, Any]]]:
    rows = read.rows(start.keys, wanted, included=start.shown != "") if start else read.rows((), wanted)
    found, asked = groups(rows), wanted
    while len(found) < wanted and len(rows) == asked:
        # Deliveries of the same events took the place of others: the further they reach, the more is read at once.
        asked = min(2 * asked, MAX_PAGE_ROWS)
        rows = read.rows(cursor_keys(rows[-1]), asked)
        found = groups([row for group in found for row in group] + rows)
    return found[:wanted]


def _end(kept: Sequence[ShownEvent], found: Sequence[ShownEvent], fingerprint: str, now: datetime) -> str:
    last, keys = kept[-1], event_keys(kept[-1].raw)
    within = event_keys(found[len(kept)].raw) == keys
    return Cursor(fingerprint, now, keys, last.digest if within else "").encode()


def _told(event: ShownEvent) -> dict[str, Any]:
    event.raw.update(deliveries=event.deliveries, conflict=event.conflict)
    return event.raw


def details(
    database: Database, event_id: str, *, tenant: str | None = None, within: Question | None = None
) -> list[Detail]:
    """Return every stored event of an id, the first stored first: several when its service sent it several times.

    Args:
        database: Where to read.
        event_id: UUID of the event.
        tenant: Only of this tenant.
        within: Only what matches this question.

    Raises:
        InvalidFilter: The id is no UUID.
        QueryError: The database could not answer.
    """
    names = tuple(event_fields())
    parameters = Parameters()
    identity = _event_condition(event_id, parameters)
    if tenant is not None:
        identity += f" AND tenant_id = {parameters.text(tenant)}"
    if within is not None:
        identity += f" AND {within.where(parameters)}"
    statement = (
        f"SELECT {select_list(event_fields(), names)} FROM audit_events WHERE {identity} AND {ALIVE} "  # noqa: S608 - values are bound
        "ORDER BY ingested_at, kafka_topic_id, kafka_partition, kafka_offset LIMIT 100"
    )
    events = to_rows(database.rows(statement, parameters), names)
    sent = [[e[name] for name in sent_fields()] for e in events]
    return [_detail(database, e, conflict=any(s != mine for s in sent)) for e, mine in zip(events, sent, strict=True)]


def _detail(database: Database, event: Row, *, conflict: bool) -> Detail:
    payload, actor = _payload(database, event), card(database, event["tenant_id"], event["actor_id"])
    return Detail(event, payload, actor, conflict)


def _event_condition(event_id: str, parameters: Parameters) -> str:
    try:
        return f"event_id = {parameters.bind(str(UUID(event_id)), 'UUID')}"
    except ValueError:
        term = Term("event", event_id)
        raise InvalidFilter(term.value, "this is no event id", "a UUID") from None


def _payload(database: Database, event: Row) -> Row | None:
    parameters = Parameters()
    names = tuple(payload_fields())
    statement = (
        f"SELECT {select_list(payload_fields(), names)} FROM audit_payloads "  # noqa: S608 - values are bound
        f"WHERE tenant_id = {parameters.text(event['tenant_id'])} "
        f"AND occurred_at = {parameters.moment(event['occurred_at'])} "
        f"AND kafka_topic_id = {parameters.bind(event['kafka_topic_id'], 'UUID')} "
        f"AND kafka_partition = {parameters.bind(event['kafka_partition'], 'Int32')} "
        f"AND kafka_offset = {parameters.bind(event['kafka_offset'], 'Int64')} AND {ALIVE} LIMIT 1"
    )
    found = database.rows(statement, parameters)
    return to_row(found[0], names) if found else None


def card(database: Database, tenant: str, actor_id: str) -> Row | None:
    """Return the card of an actor as the directory has it now, None when it never had one.

    Raises:
        QueryError: The database could not answer.
    """
    parameters = Parameters()
    statement = (
        f"SELECT {', '.join(_CARD_FIELDS)} FROM actors FINAL "  # noqa: S608 - values are bound
        f"WHERE tenant_id = {parameters.text(tenant)} AND actor_id = {parameters.text(actor_id)}"
    )
    found = database.rows(statement, parameters)
    return to_row(found[0], _CARD_FIELDS) if found else None
