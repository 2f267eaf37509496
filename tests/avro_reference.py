"""What fastavro reads, in the form of the decoder's columns, and the comparison of both."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from consumers.batch import Payloads
from consumers.decode import DecodeError, Decoder, read_frames

FRAME = b"\0" + struct.pack(">i", 7)
#: What fastavro lets pass: see docs/decoder.md.
STRICTER = {
    DecodeError.varint_too_long,
    DecodeError.int_range,
    DecodeError.boolean,
    DecodeError.enum_index,
    DecodeError.union_index,
}
ABSENT: Any = object()
ZEROS: dict[str, Any] = {"string": "", "bytes": b"", "int": 0, "long": 0, "float": 0.0, "double": 0.0, "boolean": False}


# What the columns must hold, by the words of ``Decoded``


def flat(kind: Any, value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(kind, list):
        others = [k for k in kind if k != "null"]
        if not others:
            return {}
        return flat_one(others[0], value, path, nullable="null" in kind)
    return flat_one(kind, value, path, nullable=False)


def flat_one(kind: Any, value: Any, path: str, *, nullable: bool) -> dict[str, Any]:
    name = kind["type"] if isinstance(kind, dict) else kind
    absent = value is ABSENT or (nullable and value is None)
    if name == "record":
        out = {path: not absent} if nullable else {}
        for f in kind["fields"]:
            inner = f"{path}.{f['name']}".lstrip(".")
            out |= flat(f["type"], ABSENT if absent else value[f["name"]], inner)
        return out
    if name == "array":
        items = [flat(kind["items"], v, path) for v in ([] if absent else value)]
        return {p: [i[p] for i in items] for p in flat(kind["items"], ABSENT, path)}
    if name == "map":
        return {path: {} if absent else {k: flat(kind["values"], v, path)[path] for k, v in value.items()}}
    if name == "null":
        return {}
    if absent:
        zero = {"enum": "", "fixed": bytes(kind.get("size", 0))} if isinstance(kind, dict) else {}
        return {path: None if nullable else (ZEROS | zero)[name]}
    return {path: float(np.float32(value)) if name == "float" else value}


def plain(value: Any) -> Any:
    """Make values comparable: floats by their bits, maps as dictionaries."""
    if isinstance(value, float):
        return ("float", struct.pack("<d", value) if value == value else "nan")  # noqa: PLR0124 - NaN is not itself
    if isinstance(value, list):
        pairs = bool(value) and all(isinstance(v, tuple) for v in value)
        return {k: plain(v) for k, v in value} if pairs else [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def same(ours: Any, theirs: Any) -> bool:
    # An empty map and an empty list look alike after to_pylist.
    return plain(ours) == plain(theirs) or (ours == [] and theirs == {}) or _same_items(ours, theirs)


def _same_items(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        return all(same(a, b) for a, b in zip(ours, theirs, strict=True)) and bool(ours)
    if isinstance(theirs, dict) and isinstance(ours, list) and all(isinstance(o, tuple) for o in ours):
        mine = dict(ours)
        return mine.keys() == theirs.keys() and all(same(mine[k], theirs[k]) for k in mine)
    return False


# The two readers


def write(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def reference(body: bytes, writer: Any, reader: Any) -> dict[str, Any] | None:
    source = io.BytesIO(body)
    try:
        value: Any = fastavro.schemaless_reader(source, writer, reader)
    except Exception:
        return None
    return flat(reader, value) if source.tell() == len(body) else None


def decode(decoder: Decoder, bodies: list[bytes]) -> tuple[dict[int, dict[str, Any]], list[int]]:
    payloads = Payloads.of([FRAME + b for b in bodies])
    result = decoder.decode(payloads, read_frames(payloads), 1 << 24)
    for array in result.columns.values():
        array.validate(full=True)
    plain_columns = {p: a.cast(pa.int64()) if pa.types.is_timestamp(a.type) else a for p, a in result.columns.items()}
    rows = [
        dict(zip(plain_columns, r, strict=True))
        for r in zip(*(a.to_pylist() for a in plain_columns.values()), strict=True)
    ]
    assert not plain_columns or len(rows) == len(result.rows)
    return dict(zip(result.rows.tolist(), rows or [{}] * len(result.rows), strict=True)), result.errors.tolist()


def compare(decoder: Decoder, writer: Any, reader: Any, bodies: list[bytes]) -> int:
    """Compare both readers on every message and return how many both accepted."""
    ours, errors = decode(decoder, bodies)
    accepted = 0
    for i, body in enumerate(bodies):
        theirs = reference(body, writer, reader)
        if i in ours:
            assert errors[i] == 0
            assert theirs is not None, f"only we accept {body!r}"
            wrong = {p: (ours[i][p], theirs[p]) for p in ours[i] if not same(ours[i][p], theirs[p])}
            assert not wrong, wrong
            assert ours[i].keys() == theirs.keys()
            accepted += 1
        else:
            # fastavro does not notice that a skipped fixed is cut short, so it is also asked without skipping.
            unskipped = reference(body, writer, writer) if theirs is not None else None
            assert unskipped is None or errors[i] in STRICTER, f"only fastavro accepts {body!r}: {errors[i]}"
    return accepted


def mutate(chance: random.Random, body: bytes) -> bytes:
    data = bytearray(body or b"\0")
    at = chance.randrange(len(data))
    match chance.randrange(5):
        case 0:
            del data[at:]
        case 1:
            data[at] = chance.choice([0, 1, 2, 3, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        case 2:
            data += chance.randbytes(chance.randrange(1, 9))
        case 3:
            data[at : at + chance.randrange(1, 4)] = chance.randbytes(chance.randrange(5))
        case _:
            data[at] ^= 1 << chance.randrange(8)
    return bytes(data)
