"""Reads of what surrounds the events: dead letters, and the ranges that were stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from query import cursor as cursors
from query.cursor import Cursor
from query.database import Database
from query.errors import InvalidFilter
from query.events import MAX_PAGE_ROWS, Page
from query.fields import chosen, dead_letter_fields, ingest_batch_fields, select_list, to_rows
from query.parameters import Parameters
from query.question import ALIVE
from query.sorting import Key, Order, cursor_keys

_STORED = Key("ingested_at", "Moment")
_PLACE = (Key("kafka_topic_id", "UUID"), Key("kafka_partition", "Int64"))
_COMPARISONS = {"since": ("ingested_at", ">="), "until": ("ingested_at", "<")}
_COLUMNS = {
    "topic": "kafka_topic",
    "partition": "kafka_partition",
    "offset": "kafka_offset",
    "tenant": "tenant_id",
}
#: Reasons that are told apart at most; a worker knows a few dozen.
_MOST_REASONS = 200


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; what is None does not matter.

    Attributes:
        stage: decode, validate or insert.
        reason_code: Stable name of the reason.
        topic: Name of the topic.
        partition: Its partition.
        tenant: Tenant, as far as it could be decoded.
        event_code: Event code, as far as it could be decoded.
        since: Stored at this time or later.
        until: Stored before this time.
        topic_id: Id of the topic.
        offset: Offset of the message.
    """

    stage: str | None = None
    reason_code: str | None = None
    topic: str | None = None
    partition: int | None = None
    tenant: str | None = None
    event_code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    topic_id: UUID | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which stored ranges; what is None does not matter.

    Attributes:
        topic: Name of the topic.
        partition: Its partition.
        since: Stored at this time or later.
        until: Stored before this time.
        topic_id: Id of the topic.
        holding: Only the range that holds this offset.
    """

    topic: str | None = None
    partition: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    topic_id: UUID | None = None
    holding: int | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Dead letters that were refused for one reason.

    Attributes:
        stage: decode, validate or insert.
        reason_code: Stable name of the reason.
        letters: How many.
        newest: When the last of them was stored.
    """

    stage: str
    reason_code: str
    letters: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class _Listing:
    """A table that is read from the newest row on."""

    table: str
    fields: Mapping[str, tuple[str, ...]]
    order: Order
    always: str

    def page(
        self,
        database: Database,
        asked: Mapping[str, Any],
        *,
        limit: int,
        cursor: str | None,
        fields: Sequence[str],
    ) -> Page:
        if not 1 <= limit <= MAX_PAGE_ROWS:
            raise InvalidFilter(str(limit), "not a number of rows", f"1 to {MAX_PAGE_ROWS}")
        names = chosen(self.fields, fields)
        question = cursors.digest(self.table, repr(sorted(asked.items())))
        after = cursors.decode(cursor, question).keys if cursor else ()
        raw = self._select(database, asked, names, after, limit + 1)
        more = len(raw) > limit
        end = Cursor(question, datetime.now(UTC), cursor_keys(raw[limit - 1])).encode() if more else None
        return Page(to_rows(raw[:limit], names), end)

    def _select(
        self, database: Database, asked: Mapping[str, Any], names: Sequence[str], after: Sequence[str], limit: int
    ) -> list[dict[str, Any]]:
        parameters = Parameters()
        where = [self.always, *(_condition(n, v, parameters) for n, v in asked.items() if v is not None)]
        if after:
            where.append(self.order.after(after, parameters))
        statement = (
            f"SELECT {select_list(self.fields, names)}, {self.order.selected()} FROM {self.table} "  # noqa: S608 - values are bound
            f"WHERE {' AND '.join(where)} ORDER BY {self.order.order_by()} LIMIT {parameters.bind(limit, 'UInt64')}"
        )
        return database.rows(statement, parameters)


def dead_letters(
    database: Database,
    asked: DeadLetterFilter | None = None,
    *,
    limit: int,
    cursor: str | None = None,
    fields: Sequence[str] = (),
) -> Page:
    """Read one page of dead letters, those stored last first; ``key``, ``raw`` and header values are bytes.

    Args:
        database: Where to read.
        asked: Which ones; None for all.
        limit: Rows at most.
        cursor: ``next_cursor`` of the page before.
        fields: Names of ``query.fields.dead_letter_fields``; empty for all.

    Raises:
        InvalidQuery: Limit, cursor or field is wrong.
        QueryError: The database could not answer.
    """
    order = Order((_STORED, *_PLACE, Key("kafka_offset", "Int64")), descending=True)
    listing = _Listing("dead_letters", dead_letter_fields(), order, ALIVE)
    return listing.page(database, asdict(asked or DeadLetterFilter()), limit=limit, cursor=cursor, fields=fields)


def dead_letter_reasons(database: Database, asked: DeadLetterFilter | None = None) -> list[Reason]:
    """Count dead letters by reason, the most frequent first.

    Args:
        database: Where to read.
        asked: Which ones; None for all.

    Raises:
        QueryError: The database could not answer.
    """
    parameters = Parameters()
    given = asdict(asked or DeadLetterFilter())
    where = [ALIVE, *(_condition(n, v, parameters) for n, v in given.items() if v is not None)]
    statement = (
        "SELECT stage, reason_code, count() AS letters, max(ingested_at) AS newest FROM dead_letters "  # noqa: S608 - values are bound
        f"WHERE {' AND '.join(where)} GROUP BY stage, reason_code "
        f"ORDER BY letters DESC, stage, reason_code LIMIT {_MOST_REASONS}"
    )
    return [Reason(**row) for row in database.rows(statement, parameters)]


def ingest_batches(
    database: Database,
    asked: BatchFilter | None = None,
    *,
    limit: int,
    cursor: str | None = None,
    fields: Sequence[str] = (),
) -> Page:
    """Read one page of the manifest, one row for each stored range of offsets, those stored last first.

    Args:
        database: Where to read.
        asked: Which ones; None for all.
        limit: Rows at most.
        cursor: ``next_cursor`` of the page before.
        fields: Names of ``query.fields.ingest_batch_fields``; empty for all.

    Raises:
        InvalidQuery: Limit, cursor or field is wrong.
        QueryError: The database could not answer.
    """
    order = Order((_STORED, *_PLACE, Key("last_offset", "Int64")), descending=True)
    listing = _Listing("ingest_batches", ingest_batch_fields(), order, "1")
    return listing.page(database, asdict(asked or BatchFilter()), limit=limit, cursor=cursor, fields=fields)


def _condition(name: str, value: str | int | datetime | UUID, parameters: Parameters) -> str:
    if isinstance(value, datetime):
        column, comparison = _COMPARISONS[name]
        return f"{column} {comparison} {parameters.moment(value)}"
    if isinstance(value, UUID):
        return f"kafka_{name} = {parameters.bind(str(value), 'UUID')}"
    if name == "holding":
        return f"{parameters.bind(value, 'Int64')} BETWEEN first_offset AND last_offset"
    column = _COLUMNS.get(name, name)
    bound = parameters.bind(value, "Int64") if isinstance(value, int) else parameters.text(value)
    return f"{column} = {bound}"
