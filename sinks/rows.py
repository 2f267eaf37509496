"""Rows of the stored tables as Arrow data: their columns, their shape for an insert, their offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import (
    ACTOR_COLUMNS,
    DEAD_LETTER_BINARY,
    DEAD_LETTER_COLUMNS,
    Column,
    event_columns,
    payload_columns,
)
from sinks.digest import flatten
from sinks.sink import JointRows, SinkBatch

EVENTS, PAYLOADS, DEAD_LETTERS = "audit_events", "audit_payloads", "dead_letters"
MANIFESTS, ACTORS = "ingest_batches", "actors"
#: Groups of ranges that are not completed by their writer alone.
BROKEN_GROUPS = "broken_groups"

#: Table -> its columns in table order, without ``ingested_at``.
COLUMNS: Mapping[str, Callable[[], Sequence[Column]]] = {
    EVENTS: event_columns,
    PAYLOADS: payload_columns,
    DEAD_LETTERS: lambda: DEAD_LETTER_COLUMNS,
    ACTORS: lambda: ACTOR_COLUMNS,
}

#: A block stays whole below these: ClickHouse cuts larger ones, and a cut block is not deduplicated as one.
MAX_BLOCK_ROWS = 1_048_449
MAX_BLOCK_BYTES = 256 * 1024 * 1024

Offsets = npt.NDArray[np.int64]


@cache
def schema_of(table: str) -> pa.Schema:
    """Return the Arrow schema of rows for a table, text columns undictionaried, raw bytes as binary."""
    return pa.schema([(c.name, _arrow_type(table, c)) for c in COLUMNS[table]()])


def _arrow_type(table: str, column: Column) -> pa.DataType:
    if table != DEAD_LETTERS or column.name not in DEAD_LETTER_BINARY:
        return column.arrow
    return pa.list_(pa.binary()) if column.clickhouse_type.startswith("Array") else pa.binary()


def insertable(table: str, rows: pa.Table) -> pa.Table:
    """Bring rows into the shape in which they are sent: columns in table order, one chunk, small dictionaries.

    Raises:
        ValueError: A column is missing or of another type, or the block is too large to stay whole.
    """
    schema = schema_of(table)
    present = set(rows.column_names)
    missing = [name for name in schema.names if name not in present]
    if missing:
        raise ValueError(f"rows for {table} lack the columns {', '.join(missing)}")
    arrays = [_sendable(flatten(rows[field.name]), field) for field in schema]
    block = pa.Table.from_arrays(arrays, names=schema.names)
    if block.num_rows >= MAX_BLOCK_ROWS or block.nbytes >= MAX_BLOCK_BYTES:
        raise ValueError(
            f"{block.num_rows} rows with {block.nbytes} bytes for {table} are too large for one block"
            f" (fewer than {MAX_BLOCK_ROWS} rows and {MAX_BLOCK_BYTES} bytes)"
        )
    return block


def _sendable(array: pa.Array, field: pa.Field) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        # Dictionaries grow across batches; more entries than rows cost more to send than the values themselves.
        return array if len(array.dictionary) <= max(256, len(array)) else array.dictionary_decode()
    if array.type.equals(field.type) or _dictionary_inside(array.type):
        return array
    try:
        return array.cast(field.type)
    except pa.ArrowInvalid as error:
        raise ValueError(f"column {field.name} cannot be sent as {field.type}: {error}") from error


def _dictionary_inside(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_dictionary(kind.value_type))


def joint_rows(batches: Sequence[SinkBatch]) -> JointRows:
    """Put the rows of batches together, in their order."""
    return JointRows(
        joined(EVENTS, [b.events for b in batches]),
        joined(PAYLOADS, [b.payloads for b in batches]),
        joined(DEAD_LETTERS, [b.dead_letters for b in batches]),
    )


def joined(table: str, parts: Sequence[pa.Table]) -> pa.Table:
    """Put rows for a table together, in the order of the parts, each column in one chunk.

    Args:
        table: Name of the table.
        parts: Rows with all of its columns, in any encoding; without any rows the result is empty.
    """
    filled = [rows for rows in parts if rows.num_rows]
    if len(filled) == 1:
        return filled[0]
    if not filled:
        return schema_of(table).empty_table()
    schema = schema_of(table)
    columns = [_joined_column([flatten(rows[field.name]) for rows in filled], field.type) for field in schema]
    return pa.Table.from_arrays(columns, names=schema.names)


def _joined_column(arrays: Sequence[pa.Array], kind: pa.DataType) -> pa.Array:
    rows, first = sum(map(len, arrays)), arrays[0].type
    alike = all(a.type.equals(first) for a in arrays)
    if not alike:
        return pa.concat_arrays([a if a.type.equals(kind) else a.cast(kind) for a in arrays])
    if not pa.types.is_dictionary(first):
        return pa.concat_arrays(arrays)
    if all(len(a.dictionary) <= rows for a in arrays):
        return flatten(pa.chunked_array(arrays))
    # Dictionaries that grew over many batches hold more than these rows need.
    return pa.concat_arrays([a.dictionary_decode() for a in arrays])


def offsets_of(rows: pa.Table) -> Offsets:
    """Return the Kafka offsets of rows; int64[n]."""
    values: Offsets = flatten(rows["kafka_offset"]).to_numpy(zero_copy_only=False)
    return values


def without(rows: pa.Table, offsets: Iterable[int]) -> pa.Table:
    """Return the rows whose Kafka offset is not among ``offsets``."""
    done = np.fromiter(offsets, np.int64)
    if rows.num_rows == 0 or len(done) == 0:
        return rows
    return rows.filter(pa.array(~np.isin(offsets_of(rows), done)))


def only(rows: pa.Table, offsets: Iterable[int]) -> pa.Table:
    """Return the rows whose Kafka offset is among ``offsets``."""
    if rows.num_rows == 0:
        return rows
    return rows.filter(pa.array(np.isin(offsets_of(rows), np.fromiter(offsets, np.int64))))


def plain(table: str, rows: pa.Table) -> pa.Table:
    """Return rows without any dictionary encoding or extension type, text as raw bytes, so that rows built by a worker and rows read back join."""
    arrays = []
    for field in schema_of(table):
        array = flatten(rows[field.name])
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        arrays.append(
            pa.array(array.to_pylist(), field.type) if _dictionary_inside(array.type) else array.cast(_raw(field.type))
        )
    return pa.Table.from_arrays([a.cast(_raw(a.type)) for a in arrays], names=schema_of(table).names)


def _raw(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string(kind):
        return pa.binary()
    if pa.types.is_list(kind):
        return pa.list_(_raw(kind.value_type))
    return pa.map_(_raw(kind.key_type), _raw(kind.item_type)) if pa.types.is_map(kind) else kind
