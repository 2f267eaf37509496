"""SHA-256 of rows and of manifests in a canonical form; docs/tables.md specifies it byte by byte."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Column
from sinks.sink import DayDigest

ROWS_MAGIC = b"auditstream-rows-1\0"
MILLIS_PER_DAY = 86_400_000
LOW_CARDINALITY = "LowCardinality(String)"
#: Stands for an empty text among the hashes of texts.
NO_TEXT = bytes(16)
#: Stands for values that are all the default of their type, where they cannot be left out.
ALL_DEFAULT = b"0"

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
    days = flat["expires_at"].cast(pa.int64()).to_numpy(zero_copy_only=False) // MILLIS_PER_DAY
    order = None if (days == days[0]).all() else np.argsort(days, kind="stable")
    pieces = _Pieces(columns, flat, order)
    ordered = days if order is None else days[order]
    starts = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist()]
    return tuple(
        pieces.digest(int(ordered[start]), start, stop)
        for start, stop in zip(starts, [*starts[1:], rows.num_rows], strict=True)
    )


def flatten(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column as one array, its extension type taken off."""
    if isinstance(column, pa.ChunkedArray):
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column


class _Pieces:
    """The columns of a batch, sorted by day; those with one and the same value in every row are encoded once."""

    def __init__(self, columns: Sequence[Column], flat: Mapping[str, pa.Array], order: Vector | None) -> None:
        self._fixed: list[bytes] = []
        self._varying: list[tuple[int, Column, pa.Array | Vector]] = []
        taken = None if order is None else pa.array(order)
        for position, column in enumerate(sorted(columns, key=lambda c: c.name.encode())):
            array = flat[column.name]
            if column.clickhouse_type == LOW_CARDINALITY:
                same, values = _value_hashes(array, order)
            else:
                same = _same_everywhere(array)
                values = array.slice(0, 1) if same else array if taken is None else array.take(taken)
            self._fixed.append(_column(column, values) if same else b"")
            if not same:
                self._varying.append((position, column, values))

    def digest(self, day: int, start: int, stop: int) -> DayDigest:
        """Digest the rows of one day, ``start`` to ``stop`` of the sorted rows."""
        parts = list(self._fixed)
        for position, column, values in self._varying:
            own = values[start:stop] if isinstance(values, np.ndarray) else values.slice(start, stop - start)
            parts[position] = _column(column, own)
        sha = hashlib.sha256(ROWS_MAGIC + struct.pack("<iQ", day, stop - start))
        for part in parts:
            sha.update(part)
        return DayDigest(day, stop - start, sha.digest())


def _value_hashes(array: pa.Array, order: Vector | None) -> tuple[bool, Vector]:
    """Return for each row the start of the SHA-256 of its text, zeros for an empty one; uint64[n, 2].

    Dictionary-encoded text costs one hash per entry that is used, so that columns with few values are cheap; when all
    rows hold one value, True and one row.
    """
    encoded = _without_nulls(array)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    if _constant(codes):
        return True, _hashes(encoded.dictionary.take(encoded.indices.slice(0, 1)))
    used = np.flatnonzero(np.bincount(codes, minlength=len(encoded.dictionary)))
    table = np.zeros((len(encoded.dictionary), 2), np.uint64)
    table[used] = _hashes(encoded.dictionary.take(pa.array(used)))
    # Gathered as complex128, because numpy moves 16-byte elements several times faster than rows of two.
    gathered = table.view(np.complex128).ravel().take(codes if order is None else codes[order])
    return False, gathered.view(np.uint64).reshape(-1, 2)


def _without_nulls(array: pa.Array) -> pa.DictionaryArray:
    """Return text dictionary-encoded, with an empty text for null."""
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    if encoded.indices.null_count or encoded.dictionary.null_count:
        encoded = pc.fill_null(encoded.dictionary_decode().cast(pa.binary()), b"").dictionary_encode()
    return encoded


def _hashes(values: pa.Array) -> Vector:
    digests = (hashlib.sha256(v).digest()[:16] if v else NO_TEXT for v in values.cast(pa.binary()).to_pylist())
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def _same_everywhere(array: pa.Array) -> bool:
    """Tell cheaply whether all rows hold one value whose canonical form does not depend on the number of rows."""
    if array.null_count:
        return bool(array.null_count == len(array))
    if pa.types.is_dictionary(array.type):
        return False
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
    if values.ndim == 1:
        return bool(values[0] == values[-1] and (values == values[0]).all())
    return bool((values[0] == values[-1]).all() and (values == values[0]).all())


def _column(column: Column, values: pa.Array | Vector) -> bytes:
    """Return the canonical form of one column, nothing when every value is the default of its type."""
    if isinstance(values, np.ndarray):
        body = _encode_hashes(values)
    else:
        body = _encode(values, nullable=column.clickhouse_type.startswith("Nullable("))
    if not body:
        return b""
    name, kind = column.name.encode(), column.clickhouse_type.encode()
    return b"".join((struct.pack("<HH", len(name), len(kind)), name, kind, *body))


def _encode_hashes(hashes: Vector) -> list[Part]:
    return vector(hashes) if hashes.any() else []


def _encode(array: pa.Array, *, nullable: bool = False) -> list[Part]:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if _is_nested(array.type):
        return _encode_nested(array)
    if not nullable:
        return _encode_text(array) if _is_text(array.type) else _encode_fixed(array)
    valid = array.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False)
    if not valid.any():
        return []
    return [*vector(valid), *(_encode(array) or [ALL_DEFAULT])]


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
    return [*vector(valid), *(_encode(values) or [ALL_DEFAULT])]


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
