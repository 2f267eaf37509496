"""Arrow arrays as numpy views, so that whole columns are checked and joined without a Python object per row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.batch import Bytes, Int32s, Int64s

Bools = npt.NDArray[np.bool_]


def _buffer(array: pa.Array, index: int, dtype: type[np.generic], count: int) -> npt.NDArray[np.generic]:
    buffer = array.buffers()[index]
    if buffer is None or count == 0:
        return np.zeros(count, dtype)
    return np.frombuffer(buffer, dtype, count)


def string_offsets(array: pa.StringArray) -> Int32s:
    """Return where each string starts in ``string_data``, and the end of the last one; int32[n + 1]."""
    first = array.offset
    return _buffer(array, 1, np.int32, first + len(array) + 1)[first:].astype(np.int32, copy=False)


def string_data(array: pa.StringArray) -> Bytes:
    """Return the bytes that ``string_offsets`` points into; uint8[total]."""
    buffer = array.buffers()[2]
    return np.zeros(0, np.uint8) if buffer is None else np.frombuffer(buffer, np.uint8)


def list_offsets(array: pa.ListArray | pa.MapArray) -> Int32s:
    """Return where each list or map starts among its items, and the end of the last one; int32[n + 1]."""
    first = array.offset
    return _buffer(array, 1, np.int32, first + len(array) + 1)[first:].astype(np.int32, copy=False)


def lengths(array: pa.Array) -> Int32s:
    """Return the bytes of each string, or the items of each list or map; int32[n]."""
    offsets = string_offsets(array) if pa.types.is_string(array.type) else list_offsets(array)
    return np.diff(offsets)


def total_length(array: pa.Array) -> int:
    """Return the bytes of all strings, or the items of all lists or maps, without touching rows."""
    offsets = string_offsets(array) if pa.types.is_string(array.type) else list_offsets(array)
    return int(offsets[-1] - offsets[0])


def codes(array: pa.DictionaryArray) -> Int32s:
    """Return the dictionary code of each row; int32[n]."""
    first = array.offset
    return _buffer(array, 1, np.int32, first + len(array))[first:].astype(np.int32, copy=False)


def int64s(array: pa.Array) -> Int64s:
    """Return the values of an int64 or timestamp column; a null reads as anything; int64[n]."""
    first = array.offset
    return _buffer(array, 1, np.int64, first + len(array))[first:].astype(np.int64, copy=False)


def _bits(buffer: pa.Buffer, first: int, count: int) -> Bools:
    packed = np.frombuffer(buffer, np.uint8, (first + count + 7) // 8)
    return np.unpackbits(packed, count=first + count, bitorder="little")[first:].astype(np.bool_)


def bools(array: pa.BooleanArray) -> Bools:
    """Return the values of a boolean column; bool[n]."""
    return _bits(array.buffers()[1], array.offset, len(array)) if len(array) else np.zeros(0, np.bool_)


def valid(array: pa.Array) -> Bools:
    """Return where a column is not null; bool[n]."""
    buffer = array.buffers()[0]
    return np.ones(len(array), np.bool_) if buffer is None else _bits(buffer, array.offset, len(array))


def dictionary_array(row_codes: Int32s, words: pa.StringArray) -> pa.DictionaryArray:
    """Return a dictionary-encoded string column.

    Args:
        row_codes: Code of each row, all within ``words``; int32[n].
        words: The dictionary, without repeats.
    """
    indices = pa.Array.from_buffers(pa.int32(), len(row_codes), [None, pa.py_buffer(np.ascontiguousarray(row_codes))])
    return pa.DictionaryArray.from_arrays(indices, words, safe=False)


def constant(text: str, rows: int) -> pa.DictionaryArray:
    """Return a dictionary-encoded column of one string."""
    return dictionary_array(np.zeros(rows, np.int32), pa.array([text], pa.string()))


def fixed_binary(values: Bytes) -> pa.FixedSizeBinaryArray:
    """Return a fixed-size binary column of the rows of ``values``; uint8[n, width]."""
    rows, width = values.shape
    return pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(np.ascontiguousarray(values))])


def number_array(values: npt.NDArray[np.generic], type_: pa.DataType) -> pa.Array:
    """Return a column without nulls over the memory of ``values``, whose width is that of ``type_``."""
    return pa.Array.from_buffers(type_, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def is_blank(array: pa.Array) -> bool:
    """Tell at the price of one look whether all rows of a column are surely alike: all empty, or all null."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_list(kind) or pa.types.is_map(kind):
        return not array.null_count and total_length(array) == 0
    return bool(array.null_count == len(array))


def select_rows(array: pa.Array, rows: Int32s) -> pa.Array:
    """Return some rows of a column.

    Args:
        array: A column of a decoded batch; a dictionary is kept as it is.
        rows: Positions of the wanted rows, ascending; int32[k].
    """
    if pa.types.is_dictionary(array.type):
        return dictionary_array(codes(array)[rows], array.dictionary)
    if is_blank(array):
        # Absent blocks make most columns blank; any k rows of them are the same.
        return array.slice(0, len(rows))
    return array.take(pa.array(rows))
