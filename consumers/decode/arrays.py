"""From the buffers of a batch to Arrow arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from consumers.decode import opcodes as op
from consumers.decode.blanks import Blanks, is_worded, list_array, worded
from consumers.decode.buffers import Buffers
from consumers.decode.layout import Column, Kind, Shape


class ArrayBuilder:
    """Builds the arrays of one batch; they keep its buffers alive.

    Args:
        buffers: The decoded and settled batch.
        found: What was found in each strip, see ``settle``.
        words: Words of each dictionary-encoded column, by column index.
        blanks: Makes the columns without values.
    """

    def __init__(self, buffers: Buffers, found: Sequence[int], words: Mapping[int, pa.Array], blanks: Blanks) -> None:
        self._buffers, self._found, self._words, self._blanks = buffers, found, words, blanks
        self._placement = buffers.placement

    def arrays(self) -> tuple[dict[str, pa.Array], frozenset[str]]:
        """Return the arrays by path, with a row per decoded message, and the paths of those without any value."""
        rows = int(self._buffers.counters[0])
        arrays: dict[str, pa.Array] = {}
        blank: list[str] = []
        for path, shape in self._placement.layout.outputs.items():
            if self._found[self._placement.keys[shape.column.index]]:
                arrays[path] = self._array(shape)
            else:
                arrays[path] = self._blanks.array(path, shape, rows)
                blank.append(path)
        return arrays, frozenset(blank)

    def _array(self, shape: Shape) -> pa.Array:
        column, rows = shape.column, self._buffers.rows_of(shape.column)
        if shape.parts:
            return list_array(rows, self._buffer(column, op.OFFSETS), [self._array(part) for part in shape.parts])
        valid, nulls = self._validity(column, rows)
        if column.kind is Kind.TEXT:
            buffers = [valid, self._buffer(column, op.OFFSETS), self._buffer(column, op.VALUES)]
            return pa.Array.from_buffers(column.arrow, rows, buffers, nulls)
        values = pa.Array.from_buffers(column.arrow, rows, [valid, self._buffer(column, op.VALUES)], nulls)
        return worded(values, self._words[column.index]) if is_worded(column) else values

    def _validity(self, column: Column, rows: int) -> tuple[pa.Buffer | None, int]:
        if not column.nullable:
            return None, 0
        nulls = rows - self._found[self._placement.keys[column.index]]
        return (self._buffer(column, op.VALID) if nulls else None), nulls

    def _buffer(self, column: Column, role: int) -> pa.Buffer:
        return self._buffers.buffer(op.slot_of(column.index, role))
