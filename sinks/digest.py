"""SHA-256 of rows and of manifests in a canonical form; docs/tables.md specifies it byte by byte."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Column
from sinks.sink import DayDigest

ROWS_MAGIC = b"auditstream-rows-1\0"
MILLIS_PER_DAY = 86_400_000

Vector = npt.NDArray[Any]
Part = bytes | memoryview


def digest_by_day(rows: pa.Table, columns: Sequence[Column]) -> tuple[DayDigest, ...]:
    """Digest rows per day of expiry.

    Args:
        rows: Rows in offset order with all of ``columns``, in any encoding and chunking.
        columns: Columns of the table as stored, ``expires_at`` among them.

    Returns:
        One digest per day of ``expires_at``, ascending; empty without rows.
    """
    if rows.num_rows == 0:
        return ()
    flat = {c.name: flatten(rows[c.name]) for c in columns}
    millis = flat["expires_at"].cast(pa.int64()).to_numpy(zero_copy_only=False)
    days = millis // MILLIS_PER_DAY
    pieces = _Pieces(columns, flat)
    if days[0] == days[-1] and (days == days[0]).all():
        return (pieces.digest(int(days[0]), None, rows.num_rows),)
    groups = ((int(day), np.flatnonzero(days == day)) for day in np.unique(days))
    return tuple(pieces.digest(day, indices, len(indices)) for day, indices in groups)


def flatten(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array, its extension type taken off."""
    if isinstance(column, pa.ChunkedArray):
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column


class _Pieces:
    """The columns of a batch, those with one and the same value in every row encoded once for all days."""

    def __init__(self, columns: Sequence[Column], flat: dict[str, pa.Array]) -> None:
        self._fixed: list[Part | None] = []
        self._varying: list[tuple[int, Column, pa.Array]] = []
        for position, column in enumerate(sorted(columns, key=lambda c: c.name.encode())):
            array = flat[column.name]
            same = _same_everywhere(array)
            self._fixed.append(b"".join(_column(column, array.slice(0, 1))) if same else None)
            if not same:
                self._varying.append((position, column, array))

    def digest(self, day: int, indices: Vector | None, rows: int) -> DayDigest:
        parts: list[Part | None] = list(self._fixed)
        for position, column, array in self._varying:
            own = array if indices is None else array.take(pa.array(indices))
            parts[position] = b"".join(_column(column, own))
        sha = hashlib.sha256(ROWS_MAGIC + struct.pack("<iQ", day, rows))
        sha.update(b"".join(p for p in parts if p))
        return DayDigest(day, rows, sha.digest())


def _same_everywhere(array: pa.Array) -> bool:
    """Tell cheaply whether all rows hold one value whose canonical form does not depend on the number of rows."""
    if pa.types.is_dictionary(array.type):
        codes = array.indices
        return bool(codes.null_count == 0 and _constant(codes.to_numpy()))
    if array.null_count:
        return bool(array.null_count == len(array))
    if _is_text(array.type) or _is_nested(array.type):
        return not _lengths(array).any()
    return _constant(_fixed_width(array))


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    )


def _is_nested(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_map(kind) or pa.types.is_large_list(kind))


def _constant(values: Vector) -> bool:
    if len(values) < 2:
        return True
    if not np.array_equal(values[0], values[-1]):
        return False
    return bool((values == values[0]).all())


def _column(column: Column, array: pa.Array) -> Iterable[Part]:
    """Yield the canonical form of one column, nothing when every value is the default of its type."""
    body = list(
        _encode(
            array,
            dictionary=column.clickhouse_type == "LowCardinality(String)",
            nullable=column.clickhouse_type.startswith("Nullable("),
        )
    )
    if not body:
        return
    name, kind = column.name.encode(), column.clickhouse_type.encode()
    yield struct.pack("<HH", len(name), len(kind)) + name + kind
    yield from body


def _encode(array: pa.Array, *, dictionary: bool = False, nullable: bool = False) -> list[Part]:
    if dictionary:
        return _encode_dictionary(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _is_nested(array.type):
        return _encode_nested(array)
    validity: list[Part] = []
    if nullable:
        valid = array.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False)
        if not valid.any():
            return []
        validity = vector(valid)
    body = _encode_text(array) if _is_text(array.type) else _encode_fixed(array)
    if nullable:
        return validity + (body or [b"0"])
    return body


def _encode_fixed(array: pa.Array) -> list[Part]:
    values = _fixed_width(array)
    if not values.view(np.uint8).any():
        return []
    return vector(values)


def _encode_text(array: pa.Array) -> list[Part]:
    lengths = _lengths(array)
    if not lengths.any():
        return []
    return [*vector(lengths), _text_bytes(array)]


def _encode_dictionary(array: pa.Array) -> list[Part]:
    values, codes = sorted_dictionary(array)
    if len(values) == 1 and values[0] == b"":
        return []
    width = np.uint8 if len(values) <= 1 << 8 else np.uint16 if len(values) <= 1 << 16 else np.uint32
    lengths = np.fromiter(map(len, values), np.uint32, len(values))
    return [
        struct.pack("<I", len(values)),
        lengths.astype("<u4").tobytes(),
        b"".join(values),
        *vector(codes.astype(width)),
    ]


def sorted_dictionary(array: pa.Array) -> tuple[list[bytes], Vector]:
    """Return the distinct values of a text array, sorted by their bytes, and the position of each row's value.

    Args:
        array: Text, dictionary-encoded or not; null counts as empty.
    """
    encoded = array if pa.types.is_dictionary(array.type) else array.cast(pa.binary()).dictionary_encode()
    if array.null_count or encoded.dictionary.null_count:
        encoded = pc.fill_null(encoded.dictionary_decode().cast(pa.binary()), b"").dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    used = np.flatnonzero(np.bincount(codes, minlength=len(encoded.dictionary)))
    values: list[bytes] = encoded.dictionary.take(pa.array(used)).cast(pa.binary()).to_pylist()
    distinct = sorted(set(values))
    rank = {value: position for position, value in enumerate(distinct)}
    remap = np.zeros(len(encoded.dictionary), np.uint32)
    remap[used] = [rank[v] for v in values]
    return distinct, remap[codes]


def _encode_nested(array: pa.Array) -> list[Part]:
    lengths = _lengths(array)
    if not lengths.any():
        return []
    start, stop = array.offsets[0].as_py(), array.offsets[len(array)].as_py()
    if not pa.types.is_map(array.type):
        return [*vector(lengths), *_child(array.values.slice(start, stop - start))]
    keys, items = array.keys.slice(start, stop - start), array.items.slice(start, stop - start)
    return [*vector(lengths), *_child(keys), *_child(items)]


def _child(values: pa.Array) -> list[Part]:
    """Encode the elements of lists; unlike columns they are never left out, so that their form is unambiguous."""
    valid = values.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False)
    return [*vector(valid), *(_encode(values) or [b"0"])]


def _lengths(array: pa.Array) -> Vector:
    """Return the length of each text (bytes) or list (elements), 0 for null; uint32[n]."""
    if pa.types.is_map(array.type):
        offsets = array.offsets.to_numpy()
        spans: Vector = np.diff(offsets).astype(np.uint32)
        return spans
    lengths = pc.binary_length(array) if _is_text(array.type) else pc.list_value_length(array)
    counts: Vector = lengths.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint32)
    return counts


def _text_bytes(array: pa.Array) -> memoryview:
    """Return the bytes of all texts back to back; those under a null are left out."""
    if array.null_count:
        array = array.drop_null()
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64 if wide else np.int32)[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[ends[0] : ends[-1]]


def _fixed_width(array: pa.Array) -> Vector:
    """Return fixed-width values as little-endian numbers, bytes[n, width] for binary, 0 for null."""
    kind = array.type
    if pa.types.is_boolean(kind):
        flags: Vector = array.cast(pa.uint8()).fill_null(0).to_numpy(zero_copy_only=False)
        return flags
    if array.null_count:
        array = pc.fill_null(
            array, pa.scalar(bytes(kind.byte_width) if pa.types.is_fixed_size_binary(kind) else 0).cast(kind)
        )
    width = kind.byte_width
    raw = np.frombuffer(array.buffers()[1], np.uint8)[array.offset * width : (array.offset + len(array)) * width]
    return raw.view(f"<u{width}") if width <= 8 else raw.reshape(len(array), width)


def vector(values: Vector) -> list[Part]:
    """Return the canonical form of a vector: one value when all are equal, else all of them."""
    if len(values) == 0:
        return [b"e"]
    if _constant(values):
        return [b"c", np.ascontiguousarray(values[:1]).tobytes()]
    return [b"v", np.ascontiguousarray(values).tobytes()]
