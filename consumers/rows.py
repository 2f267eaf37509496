"""Rows of the tables, from decoded columns and what was added to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.arrays import (
    constant,
    dictionary_array,
    fixed_binary,
    int64s,
    lengths,
    number_array,
    select_rows,
    total_length,
)
from consumers.batch import Bytes, Int32s, Int64s, Messages
from consumers.coded import Words
from consumers.enrich import Enriched
from consumers.enrich.retention import expires_ms, shorter
from consumers.validation import Flag
from consumers.validation.limits import BODIES, event_fields
from schemas.columns import Column, event_columns, payload_columns, wire_columns

#: Decoded paths that are looked up by dictionary code although their columns are no LowCardinality ones.
_JOINED = frozenset({"ip", "actor_id", "retention_class"})

#: Paths of decoded columns that the decoder is to dictionary-encode; enumerations are encoded anyway.
DICTIONARY_COLUMNS: frozenset[str] = _JOINED | frozenset(
    c.path
    for c in wire_columns()
    if c.clickhouse_type == "LowCardinality(String)" and c.path not in event_fields().enums
)

_MILLIS = pa.timestamp("ms", tz="UTC")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The events of a batch that are stored.

    Attributes:
        positions: Their positions in the batch, ascending; int32[n].
        columns: Their decoded columns by path.
        event_ids: UUIDs in RFC byte order; uint8[n, 16].
        received_ms: When they were received, milliseconds since 1970 UTC, 0 when unknown; int64[n].
        skew_ms: How much later than that they say they occurred, milliseconds; int64[n].
        flags: Set of ``Flag.bit`` per row; uint16[n].
        schema_ids: Registry id of their writer schemas; int32[n].
    """

    positions: Int32s
    columns: Mapping[str, pa.Array]
    event_ids: Bytes
    received_ms: Int64s
    skew_ms: Int64s
    flags: npt.NDArray[np.uint16]
    schema_ids: Int32s


class TableForm:
    """Which columns a table has, and their types, found once.

    Args:
        columns: The columns of the table.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._types = [(c.name, c.arrow, c.clickhouse_type.startswith("LowCardinality")) for c in columns]
        self.empty = pa.schema([(name, kind) for name, kind, _ in self._types]).empty_table()
        self.paths = [(column.name, column.path) for column in columns if column.path]

    def table(self, arrays: Mapping[str, pa.Array]) -> pa.Table:
        """Return a table with exactly these columns, in their order and of their types.

        Args:
            arrays: Arrays of equal length by column name; others are left out.
        """
        return pa.Table.from_arrays([_typed(arrays[name], *form) for name, *form in self._types], names=self._names)


@cache
def event_form() -> TableForm:
    """Return the form of ``audit_events``."""
    return TableForm(event_columns())


@cache
def payload_form() -> TableForm:
    """Return the form of ``audit_payloads``."""
    return TableForm(payload_columns())


def kafka_arrays(batch: Messages, positions: Int32s, received_ms: Int64s, schema_ids: Int32s) -> dict[str, pa.Array]:
    """Return the ``kafka_*`` columns, ``received_at`` and ``schema_id`` of some messages of a batch.

    Args:
        batch: The batch.
        positions: Positions of the messages; int32[n].
        received_ms: When they were received, milliseconds since 1970 UTC; int64[n].
        schema_ids: Registry ids of their writer schemas; int32[n].
    """
    rows = len(positions)
    topic_ids = np.tile(np.frombuffer(batch.topic_id.bytes, np.uint8), (rows, 1))
    return {
        "kafka_topic": constant(batch.topic, rows),
        "kafka_topic_id": fixed_binary(topic_ids),
        "kafka_partition": number_array(batch.partitions(positions), pa.int32()),
        "kafka_offset": number_array(batch.offsets[positions], pa.int64()),
        "received_at": number_array(received_ms, _MILLIS),
        "schema_id": number_array(schema_ids, pa.int32()),
    }


def event_table(batch: Messages, accepted: Accepted, enriched: Enriched) -> pa.Table:
    """Return the rows of ``audit_events``; as ``schemas.columns.event_columns``."""
    retained = enriched.retained
    decoded = {name: accepted.columns[path] for name, path in event_form().paths}
    own = {
        "event_id": fixed_binary(accepted.event_ids),
        "clock_skew_ms": number_array(accepted.skew_ms, pa.int64()),
        "validation_flags": flag_array(accepted.flags),
        "retention_class": retained.class_column,
        "retention_days": number_array(retained.days, pa.uint16()),
        "expires_at": number_array(expires_ms(_base_ms(accepted), retained.days), _MILLIS),
    }
    kafka = kafka_arrays(batch, accepted.positions, accepted.received_ms, accepted.schema_ids)
    return event_form().table({**decoded, **enriched.columns, **own, **kafka})


def payload_table(events: pa.Table, accepted: Accepted, enriched: Enriched, payload_days: int) -> pa.Table:
    """Return the rows of ``audit_payloads``, one per event that has a body; as ``schemas.columns.payload_columns``.

    Args:
        events: The rows of ``audit_events`` of the same events.
        accepted: The events.
        enriched: What was added to them.
        payload_days: Days that bodies are kept, unless their event goes earlier.
    """
    bodies = {path: accepted.columns[path] for path in sorted(BODIES)}
    if not any(total_length(array) for array in bodies.values()):
        return payload_form().empty
    rows = np.flatnonzero(_any_filled(list(bodies.values()), len(accepted.positions))).astype(np.int32)
    days = shorter(enriched.retained.days, payload_days)[rows]
    shared = set(events.column_names)
    arrays = {c.name: select_rows(_one(events[c.name]), rows) for c in payload_columns() if c.name in shared}
    arrays |= {c.name: select_rows(bodies[c.path], rows) for c in payload_columns() if c.path in BODIES}
    arrays["retention_days"] = number_array(days, pa.uint16())
    arrays["expires_at"] = number_array(expires_ms(_base_ms(accepted)[rows], days), _MILLIS)
    return payload_form().table(arrays)


def flag_array(flags: npt.NDArray[np.uint16]) -> pa.DictionaryArray:
    """Return the column ``validation_flags``: names joined by commas, in alphabetical order."""
    if not flags.any():
        return constant("", len(flags))
    sets, numbers = np.unique(flags, return_inverse=True)
    words = Words([",".join(flag for flag in Flag if flag.bit & flags_) for flags_ in sets.tolist()])
    return dictionary_array(numbers.astype(np.int32), words.array)


def _typed(array: pa.Array, kind: pa.DataType, encoded: bool) -> pa.Array:
    if isinstance(array, pa.DictionaryArray):
        return array if encoded else array.dictionary_decode()
    return array if array.type == kind else array.cast(kind)


def _base_ms(accepted: Accepted) -> Int64s:
    """Return when the time of each event begins: late events are not born expired."""
    return np.maximum(int64s(accepted.columns["occurred_at"]) // 1000, accepted.received_ms)


def _any_filled(arrays: list[pa.Array], rows: int) -> npt.NDArray[np.bool_]:
    filled = np.zeros(rows, np.bool_)
    for array in arrays:
        if total_length(array):
            filled |= lengths(array) > 0
    return filled


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
