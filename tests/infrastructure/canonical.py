"""The canonical form of rows as docs/tables.md specifies it, written a second time, slowly and plainly."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.columns import Column

DAY_MS = 86_400_000


def raw(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else value


def vector(elements: list[bytes]) -> bytes:
    return b"c" + elements[0] if len(set(elements)) == 1 else b"v" + b"".join(elements)


def texts(values: list[Any]) -> bytes:
    plain = [raw(v or b"") for v in values]
    return numbers([len(v) for v in plain]) + b"".join(plain) if any(plain) else b""


def numbers(values: list[int]) -> bytes:
    if len(set(values)) == 1:
        return b"c" + struct.pack("<I", values[0])
    width = 1 if max(values) < 2**8 else 2 if max(values) < 2**16 else 4
    return bytes([width]) + b"".join(v.to_bytes(width, "little") for v in values)


def words(values: list[Any]) -> bytes:
    plain = [raw(v or b"") for v in values]
    distinct = list(dict.fromkeys(plain))
    if not any(distinct):
        return b""
    texts_of_them = numbers([len(v) for v in distinct]) + b"".join(distinct)
    return struct.pack("<I", len(distinct)) + texts_of_them + numbers([distinct.index(v) for v in plain])


def fixed(values: pa.Array) -> bytes:
    kind = values.type
    if pa.types.is_boolean(kind):
        elements = [bytes([bool(v)]) for v in values.to_pylist()]
    elif pa.types.is_fixed_size_binary(kind):
        elements = [v or bytes(kind.byte_width) for v in values.to_pylist()]
    else:
        numbers = values.cast(pa.int64()) if pa.types.is_timestamp(kind) else values
        dtype = numbers.type.to_pandas_dtype()
        elements = [np.array([v or 0 if v != 0 else v], dtype).tobytes() for v in numbers.to_pylist()]
    return vector(elements) if any(any(e) for e in elements) else b""


def body(kind: str, values: pa.Array) -> bytes:
    if kind == "LowCardinality(String)":
        return words(values.to_pylist())
    if kind.startswith("Nullable("):
        valid = [bytes([v is not None]) for v in values.to_pylist()]
        return vector(valid) + (body(kind[9:-1], values) or b"0") if any(map(any, valid)) else b""
    if pa.types.is_list(values.type) or pa.types.is_map(values.type):
        return lists(values)
    return texts(values.to_pylist()) if values.type in {pa.string(), pa.binary()} else fixed(values)


def lists(values: pa.Array) -> bytes:
    every = values.to_pylist()
    lengths = [len(v) for v in every]
    if not any(every):
        return b""
    flat = [e for v in every for e in v]
    if pa.types.is_map(values.type):
        keys, items = ([pair[n] for pair in flat] for n in (0, 1))
        return numbers(lengths) + child(pa.array(keys, pa.string())) + child(pa.array(items, pa.string()))
    return numbers(lengths) + child(pa.array(flat, values.type.value_type))


def child(values: pa.Array) -> bytes:
    valid = vector([bytes([v is not None]) for v in values.to_pylist()])
    return valid + (body("", values) or b"0")


def plainly(rows: pa.Table, columns: tuple[Column, ...]) -> list[tuple[int, int, bytes]]:
    days = [ms // DAY_MS for ms in rows["expires_at"].cast(pa.int64()).to_pylist()]
    found = []
    for day in sorted(set(days)):
        own = rows.filter(pa.array([d == day for d in days])).combine_chunks()
        sha = hashlib.sha256(b"auditstream-rows-2\0" + struct.pack("<iQ", day, own.num_rows))
        for column in sorted(columns, key=lambda c: c.name.encode()):
            form = body(column.clickhouse_type, own[column.name].combine_chunks())
            name, kind = column.name.encode(), column.clickhouse_type.encode()
            sha.update(struct.pack("<HH", len(name), len(kind)) + name + kind + form if form else b"")
        found.append((day, own.num_rows, sha.digest()))
    return found
