"""How the columns of a table lie in memory, found once per schema, for the compiled writer of the canonical form."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import Column
from sinks.compiled.task import Form, Kind

LOW_CARDINALITY = "LowCardinality(String)"
#: Plans kept; a process meets few schemas, as encoding is decided by the code that builds rows.
_KEPT = 8


def flatten(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array, its extension type taken off."""
    if isinstance(column, pa.ChunkedArray):
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column


class Plan:
    """The columns of one schema in the order of the canonical form.

    Args:
        columns: Columns of the table as stored.
        schema: Arrow schema of rows that have them, with others perhaps.

    Attributes:
        columns: As given.
        schema: As given.
        forms: One ``Form`` per column; int64[columns, PLAN_WIDTH].
        heads: Names and types of the columns; uint8.
    """

    def __init__(self, columns: Sequence[Column], schema: pa.Schema) -> None:
        self.columns, self.schema = columns, schema
        ordered = sorted(columns, key=lambda c: c.name.encode())
        self._names = [c.name for c in ordered]
        kinds = [_storage(schema.field(name).type) for name in self._names]
        self._encoded = [i for i, c in enumerate(ordered) if _encoded_needlessly(c, kinds[i])]
        heads = [_head(c) for c in ordered]
        starts = np.cumsum([0, *map(len, heads)]).tolist()
        self.heads: npt.NDArray[np.uint8] = np.frombuffer(b"".join(heads), np.uint8)
        forms = [_form(*given) for given in zip(ordered, kinds, starts, map(len, heads), strict=False)]
        self.forms: npt.NDArray[np.int64] = np.array(forms, np.int64)

    def batch(self, rows: pa.Table) -> pa.RecordBatch:
        """Return rows of the schema as one batch, its columns as the plan has them."""
        chosen = rows.select(self._names)
        for i in self._encoded:
            chosen = chosen.set_column(i, self._names[i], _decoded(flatten(chosen.column(i))))
        batches = chosen.to_batches()
        if len(batches) != 1:
            batches = chosen.unify_dictionaries().combine_chunks().to_batches()
        (batch,) = batches
        return batch


_plans: list[Plan] = []


def plan_of(columns: Sequence[Column], schema: pa.Schema) -> Plan:
    """Return the plan of a schema, kept from before if it is known."""
    for plan in _plans:
        if (plan.columns is columns or plan.columns == columns) and plan.schema.equals(schema):
            return plan
    plan = Plan(columns, schema)
    _plans.insert(0, plan)
    del _plans[_KEPT:]
    return plan


def _head(column: Column) -> bytes:
    name, kind = column.name.encode(), column.clickhouse_type.encode()
    return struct.pack("<HH", len(name), len(kind)) + name + kind


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _encoded_needlessly(column: Column, kind: pa.DataType) -> bool:
    """Tell whether a column is dictionary-encoded although its canonical form has no distinct values."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    elif column.clickhouse_type == LOW_CARDINALITY:
        return False
    return bool(pa.types.is_dictionary(kind))


def _decoded(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    if array.null_count:
        return pa.array(array.to_pylist(), pa.list_(array.type.value_type.value_type))
    return pa.ListArray.from_arrays(array.offsets, array.values.dictionary_decode())


def _form(column: Column, kind: pa.DataType, head: int, head_bytes: int) -> Form:
    code_width = 0
    if pa.types.is_dictionary(kind):
        code_width = kind.index_type.bit_width // 8 if column.clickhouse_type == LOW_CARDINALITY else 0
        kind = kind.value_type
    shape, width = _shape(kind)
    if column.clickhouse_type == LOW_CARDINALITY:
        shape = Kind.WORDS
    items = [*_inner(kind), (0, 0), (0, 0)][:2]
    nullable = column.clickhouse_type.startswith("Nullable(")
    return Form(int(shape), width, int(nullable), code_width, *items[0], *items[1], head, head_bytes)


def _inner(kind: pa.DataType) -> list[tuple[int, int]]:
    """Return kind and width of what is inside a list or map."""
    if pa.types.is_map(kind):
        inside = [kind.key_type, kind.item_type]
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inside = [kind.value_type.value_type if pa.types.is_dictionary(kind.value_type) else kind.value_type]
    else:
        return []
    return [(int(shape), width) for shape, width in map(_shape, inside)]


_OFFSETS: tuple[tuple[Any, Kind, int], ...] = (
    (pa.types.is_string, Kind.TEXT, 4),
    (pa.types.is_binary, Kind.TEXT, 4),
    (pa.types.is_large_string, Kind.TEXT, 8),
    (pa.types.is_large_binary, Kind.TEXT, 8),
    (pa.types.is_map, Kind.MAP, 4),
    (pa.types.is_list, Kind.LIST, 4),
    (pa.types.is_large_list, Kind.LIST, 8),
    (pa.types.is_boolean, Kind.BITS, 0),
)


def _shape(kind: pa.DataType) -> tuple[Kind, int]:
    """Return how values lie in memory, and the bytes of a value or of an offset."""
    for is_it, shape, width in _OFFSETS:
        if is_it(kind):
            return shape, width
    return Kind.FIXED, kind.byte_width
