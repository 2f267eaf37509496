"""Batches for tests: complete rows of every table from the few values that a test is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa

from sinks.rows import COLUMNS, DEAD_LETTERS, EVENTS, PAYLOADS, schema_of
from sinks.sink import OffsetRange, SinkBatch

#: Milliseconds of 2100-01-01, so that rows of tests do not expire.
EXPIRES_AT_MS = 4_102_444_800_000
#: Milliseconds of 2026-01-01.
RECEIVED_AT_MS = 1_767_225_600_000


def rows(table: str, values: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows of a table; columns that a row does not name hold the default of their type.

    Args:
        table: Name of the table.
        values: Rows by column name; times in the unit of their column since 1970.
    """
    schema = schema_of(table)
    nullable = {c.name for c in COLUMNS[table]() if c.clickhouse_type.startswith("Nullable(")}
    defaults = {field.name: None if field.name in nullable else default(field.type) for field in schema}
    columns = [pa.array([row.get(field.name, defaults[field.name]) for row in values], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def default(kind: pa.DataType) -> object:
    """Return the value that stands for nothing in a column of this type."""
    if pa.types.is_fixed_size_binary(kind):
        return bytes(kind.byte_width)
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return []
    if pa.types.is_binary(kind):
        return b""
    if pa.types.is_boolean(kind):
        return False
    return "" if pa.types.is_string(kind) else 0


@dataclass(frozen=True, slots=True)
class RefusedRows:
    """Builds the dead letters of offsets that a sink refuses.

    Attributes:
        range: Range of the batch.
    """

    range: OffsetRange

    def dead_letters(self, reasons: Mapping[int, str], *, stage: str, reason_code: str) -> pa.Table:
        """See ``sinks.sink.DeadLetterSource``."""
        named = {"stage": stage, "reason_code": reason_code}
        return rows(DEAD_LETTERS, [{**origin(self.range, o), **named, "reason": r} for o, r in sorted(reasons.items())])


def origin(range_: OffsetRange, offset: int) -> dict[str, Any]:
    """Return the columns that every row of a range has."""
    return {
        "kafka_topic": range_.topic,
        "kafka_topic_id": range_.topic_id.bytes,
        "kafka_partition": range_.partition,
        "kafka_offset": offset,
        "received_at": RECEIVED_AT_MS,
        "expires_at": EXPIRES_AT_MS,
    }


def event(range_: OffsetRange, offset: int, **values: object) -> dict[str, Any]:
    """Return a row of ``audit_events`` with an identity of its own."""
    identity = {
        "event_id": UUID(int=offset + 1).bytes,
        "tenant_id": f"tenant-{offset % 3}",
        "occurred_at": RECEIVED_AT_MS * 1000 + offset,
        "event_code": "campaign.activate",
        "actor_id": f"actor-{offset}",
        "retention_days": 180,
    }
    return {**identity, **origin(range_, offset), **values}


def batch(  # every part of a batch can be given, and most tests give one or two
    range_: OffsetRange,
    *,
    dead: Sequence[int] = (),
    payloads: Sequence[int] = (),
    filtered: Sequence[int] = (),
    skipped: Sequence[int] = (),
    values: Mapping[int, Mapping[str, Any]] | None = None,
) -> SinkBatch:
    """Return a batch in which every offset of a range becomes an event, unless it is named otherwise.

    Args:
        range_: The range.
        dead: Offsets that are dead letters.
        payloads: Offsets whose events have a body.
        filtered: Offsets that a setting left out.
        skipped: Offsets without a message.
        values: Values of events by offset and column.
    """
    absent = {*dead, *filtered, *skipped}
    offsets = [o for o in range(range_.first, range_.last + 1) if o not in absent]
    events = [event(range_, o, **(values or {}).get(o, {})) for o in offsets]
    bodies = [{**e, "api_request_body": f"body {e['kafka_offset']}"} for e in events if e["kafka_offset"] in payloads]
    letters = [{**origin(range_, o), "stage": "decode", "reason_code": "too_short", "raw": b"\x00\xff"} for o in dead]
    return SinkBatch(
        range=range_,
        events=rows(EVENTS, events),
        payloads=rows(PAYLOADS, bodies),
        dead_letters=rows(DEAD_LETTERS, letters),
        filtered=len(filtered),
        skipped=len(skipped),
        schema_ids=(1,),
        dead_letter_source=RefusedRows(range_),
    )
