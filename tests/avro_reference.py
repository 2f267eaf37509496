"""What fastavro reads, in the form of the decoder's columns, and the comparison of both."""

from __future__ import annotations

import io
import random
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, count, pairwise
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa

from consumers.batch import Decoded, Payloads
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


# The same for many values at once: what ``flat`` says of each, as one list per column and its Arrow type

Gathered = dict[str, tuple[pa.DataType, list[Any]]]
ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bytes": pa.binary(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "enum": pa.string(),
}


def gather(kind: Any, values: Sequence[Any], path: str = "") -> Gathered:
    """Turn values of one schema into columns; maps become lists of pairs."""
    if isinstance(kind, list):
        others = [k for k in kind if k != "null"]
        return _gather_one(others[0], values, path, nullable="null" in kind) if others else {}
    return _gather_one(kind, values, path, nullable=False)


def _gather_one(kind: Any, values: Sequence[Any], path: str, *, nullable: bool) -> Gathered:
    name = kind["type"] if isinstance(kind, dict) else kind
    match name:
        case "record":
            return _gather_record(kind, values, path, nullable=nullable)
        case "array" | "map":
            held = [() if v is ABSENT or v is None else v for v in values]
            return _gather_lists(kind["items"], held, path) if name == "array" else _gather_maps(kind, held, path)
        case "null":
            return {}
    arrow = pa.binary(kind["size"]) if name == "fixed" else ARROW[name]
    blank = None if nullable else (ZEROS | {"enum": "", "fixed": bytes(kind["size"] if name == "fixed" else 0)})[name]
    return {path: (arrow, [blank if v is ABSENT else v for v in values])}


def _gather_record(kind: Any, values: Sequence[Any], path: str, *, nullable: bool) -> Gathered:
    there = [v is not ABSENT and v is not None for v in values]
    out: Gathered = {path: (pa.bool_(), there)} if nullable else {}
    for f in kind["fields"]:
        name = f["name"]
        inner = [v[name] if t else ABSENT for v, t in zip(values, there, strict=True)]
        out |= gather(f["type"], inner, f"{path}.{name}".lstrip("."))
    return out


def _gather_lists(kind: Any, lists: Sequence[Sequence[Any]], path: str) -> Gathered:
    ends = np.cumsum([0, *map(len, lists)]).tolist()
    spans = [slice(a, b) for a, b in pairwise(ends)]
    inner = gather(kind, list(chain.from_iterable(lists)), path)
    return {p: (pa.list_(arrow), [items[s] for s in spans]) for p, (arrow, items) in inner.items()}


def _gather_maps(kind: Any, maps: Sequence[Any], path: str) -> Gathered:
    arrow, lists = _gather_lists(kind["values"], [list(m.values()) if m else [] for m in maps], path)[path]
    pairs = [list(zip(m, items, strict=True)) for m, items in zip(maps, lists, strict=True)]
    return {path: (pa.map_(pa.string(), arrow.value_type), pairs)}


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


def decode_arrays(decoder: Decoder, bodies: Sequence[bytes]) -> Decoded:
    """Frame and decode bodies, and let Arrow validate every column."""
    payloads = Payloads.of([FRAME + b for b in bodies])
    result = decoder.decode(payloads, read_frames(payloads), 1 << 24)
    for array in result.columns.values():
        array.validate(full=True)
    return result


def decode(decoder: Decoder, bodies: list[bytes]) -> tuple[dict[int, dict[str, Any]], list[int]]:
    result = decode_arrays(decoder, bodies)
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


# The same comparison for thousands of messages at once


class Disagreement(AssertionError):
    """The two readers differ on one message.

    Attributes:
        index: Which of the bodies.
    """

    def __init__(self, index: int, what: str) -> None:
        super().__init__(what)
        self.index = index


class Reference:
    """fastavro with its schemas parsed once, which is most of its work on one message.

    Where fields are skipped it can be asked for a second opinion, with all of them read. When it skips, it takes a list
    for as long as the block says, whatever the items are, and does not notice that a value is cut short at the end; the
    decoder skips item by item.

    Args:
        writer: Schema of the bodies.
        reader: Schema of the records, without unions of several types.
    """

    def __init__(self, writer: Any, reader: Any) -> None:
        self.reader_schema = reader
        self._writer: Any = fastavro.parse_schema(writer)
        self._reader: Any = None if reader == writer else fastavro.parse_schema(reader)
        self._loose: Any = fastavro.parse_schema(_loose(writer, reader, count()))

    def read(self, body: bytes) -> Any:
        """Return the record, or None where fastavro fails or does not consume the body exactly."""
        return self._read(body, self._writer, self._reader)

    def accepts_unskipped(self, body: bytes) -> bool:
        """Tell whether it is read when no field of the body is skipped."""
        return self._read(body, self._loose, None) is not None

    def read_unskipped(self, body: bytes) -> Any:
        """Return the record as read when no field of the body is skipped, or None."""
        record = self._read(body, self._loose, None)
        if record is None or self._reader is None:
            return record
        return self._read(write(self._loose, record), self._loose, self._reader)

    @staticmethod
    def _read(body: bytes, writer: Any, reader: Any) -> Any:
        source = io.BytesIO(body)
        try:
            value = fastavro.schemaless_reader(source, writer, reader)
        except Exception:
            return None
        return value if source.tell() == len(body) else None


def _loose(writer: Any, reader: Any, names: Iterator[int]) -> Any:
    """Return a schema of the same bytes that checks nothing in what the reader skips, which is ABSENT in its schema."""
    if isinstance(writer, list):
        other = next((k for k in reader if k != "null"), ABSENT) if isinstance(reader, list) else reader
        return [k if k == "null" else _loose(k, other, names) for k in writer]
    name = writer["type"] if isinstance(writer, dict) else writer
    if name == "record":
        known = {} if reader is ABSENT else {f["name"]: f["type"] for f in reader["fields"]}
        fields = [(f["name"], _loose(f["type"], known.get(f["name"], ABSENT), names)) for f in writer["fields"]]
        return _record(writer["name"], fields)
    if name == "array":
        return {
            "type": "array",
            "items": _loose(writer["items"], ABSENT if reader is ABSENT else reader["items"], names),
        }
    if reader is not ABSENT:
        return writer
    if name == "map":
        pair = [("key", "bytes"), ("value", _loose(writer["values"], ABSENT, names))]
        return {"type": "array", "items": _record(f"Pair{next(names)}", pair)}
    return {"string": "bytes", "int": "long", "enum": "long"}.get(name, writer)


def _record(name: str, fields: list[tuple[str, Any]]) -> Any:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields]}


def compare_in_bulk(decoder: Decoder, reference: Reference, bodies: Sequence[bytes]) -> Counter[str]:
    """Compare both readers on every message, every value of every column, as ``compare`` does.

    Returns:
        How many both accept, ``accepted``, and of these how many fastavro only accepts without skipping, ``unskipped``;
        how many both refuse, ``refused``, and how many only the decoder refuses, by the name of its error.

    Raises:
        Disagreement: They differ where they should not.
    """
    return check(decode_arrays(decoder, bodies), reference, bodies)


def check(result: Decoded, reference: Reference, bodies: Sequence[bytes]) -> Counter[str]:
    """Compare what the decoder made of bodies with what fastavro makes of them; see ``compare_in_bulk``."""
    records = [reference.read(b) for b in bodies]
    errors = result.errors.tolist()
    assert len(errors) == len(bodies)
    tally: Counter[str] = Counter()
    for i, (error, body) in enumerate(zip(errors, bodies, strict=True)):
        if error == 0 and records[i] is None:
            records[i] = reference.read_unskipped(body)
            tally["unskipped"] += 1
        tally[_verdict(i, error, records[i], reference, body)] += 1
    rows = result.rows.tolist()
    assert rows == [i for i, e in enumerate(errors) if e == 0], "rows and errors do not fit together"
    expected = gather(reference.reader_schema, [records[i] for i in rows])
    assert result.columns.keys() == expected.keys()
    for path, (arrow, values) in expected.items():
        ours = result.columns[path]
        for k in _differing(ours, arrow, values):
            row, mine = rows[k], _plain_array(ours)[k].as_py()
            theirs = flat(reference.reader_schema, records[row])[path]
            if same(mine, theirs):
                continue
            unskipped = reference.read_unskipped(bodies[row])
            if unskipped is None or not same(mine, flat(reference.reader_schema, unskipped)[path]):
                raise Disagreement(row, f"{path}: ours {mine!r}, fastavro's {theirs!r}")
            tally["unskipped"] += 1
    return tally


def _verdict(index: int, error: int, record: Any, reference: Reference, body: bytes) -> str:
    if error == 0:
        if record is None:
            raise Disagreement(index, "only the decoder accepts it")
        return "accepted"
    name = DecodeError(error).name
    if record is None:
        return "refused"
    if error not in STRICTER and reference.accepts_unskipped(body):
        raise Disagreement(index, f"only fastavro accepts it, the decoder says {name}")
    return name


def _differing(ours: pa.Array, arrow: pa.DataType, values: list[Any]) -> Sequence[int]:
    """Return the rows that are not equal to the bit, to be looked at one by one."""
    assert len(ours) == len(values), f"{len(ours)} values of {len(values)}"
    try:
        mine, theirs = _bits(_plain_array(ours)), _bits(pa.array(values, arrow))
    except (pa.ArrowException, OverflowError):
        return range(len(values))
    if mine.equals(theirs):
        return ()
    pairs = zip(mine.to_pylist(), theirs.to_pylist(), strict=True)
    return [k for k, (a, b) in enumerate(pairs) if a != b] or range(len(values))


def _plain_array(array: pa.Array) -> pa.Array:
    plain_type = _plain_type(array.type)
    return array if array.type == plain_type else array.cast(plain_type)


def _plain_type(arrow: pa.DataType) -> pa.DataType:
    """Return the type without dictionaries and units of time."""
    if pa.types.is_dictionary(arrow):
        return arrow.value_type
    if pa.types.is_list(arrow):
        return pa.list_(_plain_type(arrow.value_type))
    if pa.types.is_map(arrow):
        return pa.map_(arrow.key_type, _plain_type(arrow.item_type))
    return pa.int64() if pa.types.is_timestamp(arrow) else arrow


def _bits(array: pa.Array) -> pa.Array:
    """Show floating point as integers: Arrow takes 0.0 for -0.0, and NaN for nothing."""
    if pa.types.is_float64(array.type):
        return array.view(pa.int64())
    if pa.types.is_float32(array.type):
        return array.view(pa.int32())
    if not _has_floats(array.type):
        return array
    if pa.types.is_map(array.type) or array.null_count:
        raise pa.ArrowNotImplementedError("maps of floating point are compared one by one")
    return pa.ListArray.from_arrays(array.offsets, _bits(array.values))


def _has_floats(arrow: pa.DataType) -> bool:
    inner = [arrow.field(i).type for i in range(arrow.num_fields)]
    return pa.types.is_floating(arrow) or any(map(_has_floats, inner))


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
