"""Columns in which no row has a value: most blocks are absent, and what is absent is not built anew for every batch."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from consumers.decode.layout import Column, Kind, Shape

_LEAST_ROWS = 1024
#: Zeros that all blank arrays share, per row: the widest value but for long fixed ones.
_ZEROS_PER_ROW = 16


class Blanks:
    """Makes blank arrays: slices of one that is as long as the longest batch so far. Used by one thread."""

    def __init__(self) -> None:
        self._arrays: dict[str, pa.Array] = {}
        self._zeros = pa.py_buffer(b"")

    def array(self, path: str, shape: Shape, rows: int) -> pa.Array:
        """Return the column under a path with nothing in it: null, empty, zero or False in every row.

        A dictionary-encoded one has a dictionary of the empty string alone, whatever the column's dictionary holds.
        """
        whole = self._arrays.get(path)
        if whole is None or len(whole) < rows:
            whole = self._arrays[path] = self._build(shape, max(_LEAST_ROWS, 1 << (rows - 1).bit_length()))
        return whole.slice(0, rows)

    def _build(self, shape: Shape, rows: int) -> pa.Array:
        column = shape.column
        zeros = self._enough_zeros((rows + 1) * max(_ZEROS_PER_ROW, column.width_bytes))
        if column.kind is Kind.LIST:
            inside = [self._build(part, 0) for part in shape.parts]
            return list_array(rows, zeros, inside)
        valid, nulls = (zeros, rows) if column.nullable else (None, 0)
        if column.kind is Kind.TEXT:
            return pa.Array.from_buffers(column.arrow, rows, [valid, zeros, zeros], nulls)
        values = pa.Array.from_buffers(column.arrow, rows, [valid, zeros], nulls)
        return worded(values, words_of(column)) if is_worded(column) else values

    def _enough_zeros(self, size: int) -> pa.Buffer:
        if self._zeros.size < size:
            self._zeros = pa.py_buffer(np.zeros(size, np.uint8))
        return self._zeros


_NO_WORDS = pa.array([""], pa.string())


def is_worded(column: Column) -> bool:
    """Tell whether a column is dictionary-encoded."""
    return column.kind is Kind.WORDS or bool(column.symbols)


def words_of(column: Column) -> pa.Array:
    """Return the words of a dictionary-encoded column that are known before any message: the symbols of an enum."""
    return pa.array(["", *column.symbols], pa.string()) if column.symbols else _NO_WORDS


def worded(codes: pa.Array, words: pa.Array) -> pa.DictionaryArray:
    """Return codes and their words as one array."""
    return pa.DictionaryArray.from_arrays(codes, words, safe=False)


def list_array(rows: int, ends: pa.Buffer, inside: list[pa.Array]) -> pa.Array:
    """Return a list of one array, or a map of two: keys and values."""
    if len(inside) == 1:
        return pa.Array.from_buffers(pa.list_(inside[0].type), rows, [None, ends], 0, children=inside)
    keys, values = inside
    fields = [pa.field("key", keys.type, nullable=False), pa.field("value", values.type)]
    entries = pa.StructArray.from_arrays(inside, fields=fields)
    return pa.Array.from_buffers(pa.map_(keys.type, values.type), rows, [None, ends], 0, children=[entries])
