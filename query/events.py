"""Reads of events by time: pages, counts, one event with all that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from query import cursor as cursors
from query.condition import check
from query.cursor import Cursor
from query.database import Database
from query.errors import InvalidFilter
from query.expression import Term
from query.fields import Row, chosen, event_fields, payload_fields, select_list, to_row
from query.parameters import Parameters
from query.question import ALIVE, Question
from query.shortcut import Shortcut
from query.sorting import Order, cursor_keys, without_keys

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
    """

    event: Row
    payload: Row | None
    actor: Row | None


@dataclass(frozen=True, slots=True)
class Scope:
    """A further condition on a page that is no filter, for example to newest states only.

    Attributes:
        name: Its name, part of what a cursor is bound to.
        condition: SQL with placeholders.
        parameters: The values of those placeholders.
    """

    name: str
    condition: str
    parameters: Parameters


def page(
    database: Database,
    question: Question,
    *,
    limit: int,
    cursor: str | None = None,
    fields: Sequence[str] = (),
    scope: Scope | None = None,
) -> Page:
    """Read one page of events.

    Every event that was stored before the first page was read and that no retention removed meanwhile is on exactly
    one page. What is stored later appears if it sorts behind the cursor.

    Args:
        database: Where to read.
        question: Which events, in which order.
        limit: Rows at most, 1 to MAX_PAGE_ROWS.
        cursor: ``next_cursor`` of the page before; None for the first page.
        fields: Names of ``query.fields.event_fields``; empty for all.
        scope: A further condition.

    Raises:
        InvalidQuery: Limit, cursor, field or filter is wrong.
        QueryError: The database could not answer; see ``query.errors``.
    """
    names = chosen(event_fields(), fields)
    if not 1 <= limit <= MAX_PAGE_ROWS:
        raise InvalidFilter(str(limit), "not a number of rows", f"1 to {MAX_PAGE_ROWS}")
    check(question.expression, question.clock)
    fingerprint = cursors.digest(question.fingerprint, scope.name if scope else "")
    start = cursors.decode(cursor, fingerprint) if cursor else None
    asked = replace(question, now=start.now) if start else question
    raw = _PageRead(database, asked, names, limit + 1, scope).rows(start.keys if start else ())
    more = len(raw) > limit
    end = Cursor(fingerprint, asked.now, cursor_keys(raw[limit - 1])).encode() if more else None
    return Page([to_row(without_keys(r), names) for r in raw[:limit]], end)


@dataclass(frozen=True, slots=True)
class _PageRead:
    """The statements of one page; ``limit`` counts the row that tells whether there is a further page."""

    database: Database
    question: Question
    names: tuple[str, ...]
    limit: int
    scope: Scope | None

    def rows(self, after: Sequence[str]) -> list[dict[str, Any]]:
        shortcut = None if self.scope else Shortcut.of(self.question)
        if shortcut is None:
            return self.select(after, self.limit)
        found: list[dict[str, Any]] = []
        start = int(after[0]) if after else None
        for times in shortcut.batches(self.database, start, self.limit):
            found += self.select(after, self.limit - len(found), times=times)
            if len(found) == self.limit:
                return found
        if shortcut.exhausted:
            return found
        return found + self.select(after, self.limit - len(found), beyond=shortcut.reached)

    def select(
        self, after: Sequence[str], limit: int, times: Sequence[int] = (), beyond: int | None = None
    ) -> list[dict[str, Any]]:
        parameters = Parameters(dict(self.scope.parameters.values) if self.scope else {})
        order = Order.of(self.question.sort, descending=self.question.descending)
        where = [self.question.where(parameters)]
        if after:
            where.append(order.after(after, parameters))
        if self.scope:
            where.append(self.scope.condition)
        if times:
            listed = parameters.bind(list(times), "Array(Int64)")
            where.append(f"occurred_at IN (arrayMap(t -> fromUnixTimestamp64Micro(t, 'UTC'), {listed}))")
        if beyond is not None:
            sign = "<" if self.question.descending else ">"
            where.append(f"occurred_at {sign} {parameters.moment_of_micros(beyond)}")
        statement = (
            f"SELECT {select_list(event_fields(), self.names)}, {order.selected()} FROM audit_events "  # noqa: S608 - values are bound
            f"WHERE {' AND '.join(where)} ORDER BY {order.order_by()} LIMIT {parameters.bind(limit, 'UInt64')}"
        )
        return self.database.rows(statement, parameters, hint=self.question.hint)


def count(database: Database, question: Question) -> int:
    """Count the events that match, exactly.

    Raises:
        QueryError: See ``page``.
    """
    parameters = Parameters()
    statement = f"SELECT count() AS events FROM audit_events WHERE {question.where(parameters)}"  # noqa: S608 - values are bound
    return int(database.rows(statement, parameters, hint=question.hint)[0]["events"])


def details(database: Database, event_id: str, *, tenant: str | None = None) -> list[Detail]:
    """Return every stored event of an id, the first stored first: several when its service sent it several times.

    Args:
        database: Where to read.
        event_id: UUID of the event.
        tenant: Only of this tenant.

    Raises:
        InvalidFilter: The id is no UUID.
        QueryError: The database could not answer.
    """
    names = tuple(event_fields())
    parameters = Parameters()
    identity = _event_condition(event_id, parameters)
    if tenant is not None:
        identity += f" AND tenant_id = {parameters.text(tenant)}"
    statement = (
        f"SELECT {select_list(event_fields(), names)} FROM audit_events WHERE {identity} AND {ALIVE} "  # noqa: S608 - values are bound
        "ORDER BY ingested_at, kafka_topic_id, kafka_partition, kafka_offset LIMIT 100"
    )
    events = [to_row(r, names) for r in database.rows(statement, parameters)]
    return [Detail(e, _payload(database, e), card(database, e["tenant_id"], e["actor_id"])) for e in events]


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
