"""Blocks in ClickHouse's Native format, built from Arrow columns without touching single values.

Native is how ClickHouse holds a block in memory: column after column, low-cardinality text as dictionary and codes. So
the server copies where it would have to convert, and a column whose every value is the default is left out altogether:
the server fills it with the same value.

Source: ClickHouse src/Formats/NativeWriter.cpp and src/DataTypes/Serializations/Serialization*.cpp, without a client
protocol version, as in ``FORMAT Native`` over HTTP and from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sinks.clickhouse_errors import RowsRefused

Numbers = npt.NDArray[Any]
Piece = Numbers | bytes

#: Pieces below this many bytes are sent together, as every write has its price.
SMALL_BYTES = 1 << 15

#: Code of ClickHouse for a null where none may be; here it is found before anything is sent.
CANNOT_INSERT_NULL = 349

#: A low-cardinality column begins with the version of its keys (1: a dictionary with every block) …
_KEYS_VERSION = np.uint64(1).tobytes()
#: … and its codes with their width (0-3 for 1, 2, 4 and 8 bytes) and the flag "has additional keys".
_HAS_KEYS = 1 << 9
_CODE_TYPES = (np.uint8, np.uint16, np.uint32)

#: ClickHouse type -> numpy type of its values, as Arrow holds them too.
_NUMBERS: Mapping[str, str] = {
    "UInt8": "<u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int16": "<i2",
    "Int32": "<i4",
    "Int64": "<i8",
    "Float32": "<f4",
    "Float64": "<f8",
    "DateTime64(3, 'UTC')": "<i8",
    "DateTime64(6, 'UTC')": "<i8",
}
#: ClickHouse type -> bytes of a value that both sides hold as they are written.
_RAW: Mapping[str, int] = {"IPv6": 16, "UUID": 16, "FixedString(32)": 32}


@dataclass(frozen=True, slots=True)
class NativeBlock:
    """One encoded block.

    Attributes:
        names: Names of the columns that it contains, in order. All others have their default in every row.
        rows: Number of rows.
        pieces: The bytes, in order.
    """

    names: Sequence[str]
    rows: int
    pieces: Sequence[Piece]

    def buffers(self) -> Iterator[memoryview]:
        """Yield the bytes in order: columns of some size as they are, the small ones between them joined."""
        small = bytearray()
        for piece in filter(len, self.pieces):
            view = memoryview(piece if isinstance(piece, bytes) else piece.data).cast("B")
            if len(view) < SMALL_BYTES:
                small += view
                continue
            yield memoryview(small)
            yield view
            small = bytearray()
        yield memoryview(small)


def encode(block: pa.Table, types: Mapping[str, str]) -> NativeBlock:
    """Encode a block.

    Args:
        block: Rows, every column in one chunk, with at least one row.
        types: ClickHouse type by column name.

    Raises:
        RowsRefused: There is a null in a column that takes none.
    """
    columns = {name: block[name].chunk(0) for name in block.column_names}
    kept = _not_default(columns, types)
    pieces: list[Piece] = [_varint(len(kept)) + _varint(block.num_rows)]
    for name in kept:
        head = _text(name) + _text(types[name])
        pieces.append(head + _KEYS_VERSION if "LowCardinality" in types[name] else head)
        try:
            pieces += _values(columns[name], types[name])
        except _UnexpectedNull as error:
            raise RowsRefused(f"column {name} takes no null", code=CANNOT_INSERT_NULL) from error
    return NativeBlock(kept, block.num_rows, pieces)


class _UnexpectedNull(Exception):
    """A value is missing where the type takes none."""


def _not_default(columns: Mapping[str, pa.Array], types: Mapping[str, str]) -> list[str]:
    """Return the columns to send; lists of one Nested group go together, as the server compares their lengths."""
    needed = {name.partition(".")[0] for name, array in columns.items() if not _is_default(array, types[name])}
    # A block without any column has no rows, so at least the first one is sent.
    return [name for name in columns if name.partition(".")[0] in needed] or list(columns)[:1]


def _is_default(array: pa.Array, clickhouse_type: str) -> bool:
    kind = array.type
    if array.null_count or clickhouse_type.startswith("Nullable("):
        return bool(array.null_count == len(array)) and clickhouse_type.startswith("Nullable(")
    if pa.types.is_dictionary(kind):
        codes = _numbers(array.indices)
        return bool((codes == codes[0]).all()) and array.dictionary[int(codes[0])].as_py() == ""
    if _has_offsets(kind):
        offsets = _offsets(array)
        return bool(offsets[0] == offsets[-1])
    values = _fixed(array)
    return not values.view(f"u{values.itemsize}").any()  # of bits, as -0.0 is not the default


def _has_offsets(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_binary, pa.types.is_list, pa.types.is_map)
    return any(test(kind) for test in tests)


def _values(array: pa.Array, kind: str) -> list[Piece]:
    """Return the values of a column or of the elements of its lists, without the version of the keys."""
    if kind.startswith("Nullable("):
        return _nullable(array, kind.removeprefix("Nullable(")[:-1])
    if array.null_count:
        raise _UnexpectedNull
    if kind.startswith("Array("):
        ends, inside = _lists(array)
        return [ends, *_values(inside(array.values), kind.removeprefix("Array(")[:-1])]
    if kind.startswith("Map("):
        ends, inside = _lists(array)
        return [ends, *_low_cardinality(inside(array.keys)), *_values(inside(array.items), "String")]
    if kind == "LowCardinality(String)":
        return _low_cardinality(array)
    if kind == "String":
        return [_strings(array.dictionary_decode() if pa.types.is_dictionary(array.type) else array)]
    return [_scalars(array, kind)]


def _nullable(array: pa.Array, kind: str) -> list[Piece]:
    if array.null_count == 0:
        return [bytes(len(array)), *_values(array, kind)]
    missing = _numbers(pc.is_null(array).cast(pa.uint8()))
    return [missing, *_values(pc.fill_null(array, _zero(array.type)), kind)]


def _zero(kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_boolean(kind):
        return pa.scalar(value=False)
    return pa.scalar("" if pa.types.is_string(kind) else 0, kind)


def _lists(array: pa.Array) -> tuple[Piece, Callable[[pa.Array], pa.Array]]:
    """Return where the elements of each row end, and what cuts all of them out of a child of the column."""
    offsets = _offsets(array)
    first, last = int(offsets[0]), int(offsets[-1])
    return (offsets[1:] - offsets[0]).astype("<u8"), lambda child: child.slice(first, last - first)


def _low_cardinality(array: pa.Array) -> list[Piece]:
    if len(array) == 0:
        return []
    if array.null_count:
        raise _UnexpectedNull
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    keys, codes = _used(array.dictionary, _numbers(array.indices))
    width = 0 if len(keys) <= 1 << 8 else 1 if len(keys) <= 1 << 16 else 2
    counts = np.array([_HAS_KEYS | width, len(keys)], "<u8")
    return [counts, _strings(keys), np.array([len(codes)], "<u8"), codes.astype(_CODE_TYPES[width])]


def _used(keys: pa.Array, codes: Numbers) -> tuple[pa.Array, Numbers]:
    """Drop the keys that no row has, when there may be many: dictionaries grow across batches."""
    if len(keys) <= max(256, len(codes) // 8):
        return keys, codes
    seen = np.zeros(len(keys), bool)
    seen[codes] = True
    return keys.take(pa.array(np.flatnonzero(seen))), (np.cumsum(seen) - 1)[codes]


def _strings(array: pa.Array) -> Piece:
    """Put the length of each text, as a varint, before its bytes."""
    if array.null_count:
        raise _UnexpectedNull
    offsets = _offsets(array)
    lengths = np.diff(offsets)
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    if len(data) == 0:
        return bytes(len(array))
    widths = _varint_widths(lengths)
    starts = offsets[:-1] - offsets[0] + (np.arange(len(lengths)) if widths is None else np.cumsum(widths) - widths)
    out = np.empty(len(data) + (len(lengths) if widths is None else int(widths.sum())), np.uint8)
    is_text = np.ones(len(out), bool)
    if widths is None:
        out[starts], is_text[starts] = lengths, False
    else:
        _long_lengths(lengths, starts, widths, out, is_text)
    out[is_text] = data
    return out


def _long_lengths(lengths: Numbers, starts: Numbers, widths: Numbers, out: Numbers, is_text: Numbers) -> None:
    for place in range(int(widths.max())):
        rows = np.flatnonzero(widths > place)
        more = (widths[rows] > place + 1).astype(np.uint8) << 7
        out[starts[rows] + place] = (lengths[rows] >> 7 * place & 0x7F).astype(np.uint8) | more
        is_text[starts[rows] + place] = False


def _varint_widths(lengths: Numbers) -> Numbers | None:
    """Return the bytes that each length takes, None when it is one for all, as it nearly always is."""
    longest = int(lengths.max())
    if longest < 1 << 7:
        return None
    widths = np.ones(len(lengths), np.int64)
    for bits in range(7, longest.bit_length(), 7):
        widths += lengths >= 1 << bits
    return widths


def _scalars(array: pa.Array, kind: str) -> Piece:
    if kind == "Bool":
        return _numbers(array.cast(pa.uint8()))
    if kind == "UUID":
        # Two numbers of eight bytes each, the low end of each first; as text and in Arrow the high end is first.
        return _fixed(array).view("<u8").byteswap()
    return _fixed(array) if kind in _RAW else _numbers(array).astype(_NUMBERS[kind], copy=False)


def _fixed(array: pa.Array) -> Numbers:
    """Return the values of a column of one width, as numbers or as bytes."""
    if pa.types.is_boolean(array.type):
        return _numbers(array.cast(pa.uint8()))
    if not pa.types.is_fixed_size_binary(array.type):
        return _numbers(array)
    width = array.type.byte_width
    data = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    return data[array.offset * width : (array.offset + len(array)) * width]


def _numbers(array: pa.Array) -> Numbers:
    ticks = pa.types.is_temporal(array.type)
    kind = np.dtype(f"i{array.type.bit_width // 8}" if ticks else array.type.to_pandas_dtype())
    return np.frombuffer(array.buffers()[1] or b"", kind)[array.offset : array.offset + len(array)]


def _offsets(array: pa.Array) -> npt.NDArray[np.int32]:
    buffer = array.buffers()[1]
    if buffer is None or buffer.size == 0:
        return np.zeros(1, np.int32)
    return np.frombuffer(buffer, np.int32)[array.offset : array.offset + len(array) + 1]


def _text(value: str) -> bytes:
    raw = value.encode()
    return _varint(len(raw)) + raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
