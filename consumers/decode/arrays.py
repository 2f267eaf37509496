"""From the buffers of a batch to Arrow arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from consumers.decode import opcodes as op
from consumers.decode.buffers import Buffers
from consumers.decode.layout import Column, Kind, Layout, Shape


def build_arrays(layout: Layout, buffers: Buffers, dictionaries: Mapping[int, pa.Array]) -> dict[str, pa.Array]:
    """Build the arrays of a batch; they keep the buffers alive.

    Args:
        layout: The columns.
        buffers: The decoded batch.
        dictionaries: Words of each dictionary-encoded column, by column index.

    Returns:
        Path -> array with a row per decoded message.
    """
    builder = _Builder(buffers, dictionaries)
    return {path: builder.array(shape) for path, shape in layout.outputs.items()}


class _Builder:
    def __init__(self, buffers: Buffers, dictionaries: Mapping[int, pa.Array]) -> None:
        self._buffers = buffers
        self._dictionaries = dictionaries
        self._offsets: dict[int, pa.Buffer] = {}

    def array(self, shape: Shape) -> pa.Array:
        column, rows = shape.column, self._buffers.rows_of(shape.column)
        match shape.parts:
            case (item,):
                items = self.array(item)
                kind = pa.list_(items.type)
                return pa.Array.from_buffers(kind, rows, [None, self._ends(column)], 0, children=[items])
            case (key, value):
                return self._map(column, rows, self.array(key), self.array(value))
        return self._scalar(column, rows)

    def _map(self, column: Column, rows: int, keys: pa.Array, values: pa.Array) -> pa.Array:
        fields = [pa.field("key", keys.type, nullable=False), pa.field("value", values.type)]
        entries = pa.StructArray.from_arrays([keys, values], fields=fields)
        kind = pa.map_(keys.type, values.type)
        return pa.Array.from_buffers(kind, rows, [None, self._ends(column)], 0, children=[entries])

    def _scalar(self, column: Column, rows: int) -> pa.Array:
        valid, nulls = self._validity(column, rows)
        if column.kind is Kind.TEXT:
            data = pa.py_buffer(self._buffers.bytes_of(column, op.VALUES))
            return pa.Array.from_buffers(column.arrow, rows, [valid, self._ends(column), data], nulls)
        values = self._buffers.bytes_of(column, op.VALUES)[: rows * (column.width_bytes or 4)]
        if column.arrow == pa.bool_():
            values = np.packbits(values, bitorder="little")
        array = pa.Array.from_buffers(column.arrow, rows, [valid, pa.py_buffer(values)], nulls)
        if column.kind is Kind.WORDS:
            return pa.DictionaryArray.from_arrays(array, self._dictionaries[column.index], safe=False)
        if column.symbols:
            return pa.DictionaryArray.from_arrays(array, pa.array(["", *column.symbols]), safe=False)
        return array

    def _validity(self, column: Column, rows: int) -> tuple[pa.Buffer | None, int]:
        if not column.nullable:
            return None, 0
        valid = self._buffers.bytes_of(column, op.VALID)[:rows]
        nulls = rows - int(np.count_nonzero(valid))
        return (pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None), nulls

    def _ends(self, column: Column) -> pa.Buffer:
        """Offsets of a text or list column. An end that was not written is that of the row before."""
        if column.index not in self._offsets:
            written = self._buffers.bytes_of(column, op.OFFSETS).view(np.int32)
            ends = written[: self._buffers.rows_of(column) + 1]
            np.maximum.accumulate(ends, out=ends)
            self._offsets[column.index] = pa.py_buffer(ends)
        return self._offsets[column.index]
