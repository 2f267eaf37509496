"""The decoder reads what fastavro reads: random schemas, values, evolution and mutated bytes.

Every decoder here compares each access to memory with its bounds. Where the decoder is stricter than fastavro, on
purpose, the errors are listed in STRICTER; docs/decoder.md explains them.
"""

from __future__ import annotations

import copy
import io
import random
import string
import struct
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.batch import Payloads
from consumers.decode import DecodeError, Decoder, SchemaIncompatible, read_frames
from schemas.columns import avro_schema

FRAME = b"\0" + struct.pack(">i", 7)
#: What fastavro lets pass: see docs/decoder.md.
STRICTER = {
    DecodeError.varint_too_long,
    DecodeError.int_range,
    DecodeError.boolean,
    DecodeError.enum_index,
    DecodeError.union_index,
}
EXAMPLES = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
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


# Random schemas, values and evolution

SCALARS = ("string", "bytes", "int", "long", "float", "double", "boolean")
FIELD_NAMES = st.lists(st.sampled_from(string.ascii_lowercase), min_size=1, max_size=6, unique=True)
INTS = {"int": 31, "long": 63}


@st.composite
def named(draw: st.DrawFn, counter: list[int], kind: str, depth: int, *, any_union: bool) -> dict[str, Any]:
    counter[0] += 1
    name = f"N{counter[0]}"
    if kind == "enum":
        return {"type": "enum", "name": name, "symbols": ["a", "b", "c"][: draw(st.integers(1, 3))]}
    if kind == "fixed":
        return {"type": "fixed", "name": name, "size": draw(st.integers(1, 20))}
    fields = [{"name": n, "type": draw(types(counter, depth - 1, any_union=any_union))} for n in draw(FIELD_NAMES)]
    return {"type": "record", "name": name, "fields": fields}


@st.composite
def types(draw: st.DrawFn, counter: list[int], depth: int, *, any_union: bool, in_map: bool = False) -> Any:
    kinds = ["scalar", "nullable", "enum", "fixed"]
    kinds += ["array", "map"] * (depth > 0) + ["record"] * (depth > 0 and not in_map) + ["union"] * any_union
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "scalar":
            return draw(st.sampled_from(SCALARS))
        case "nullable":
            inner = draw(
                types(counter, depth, any_union=False, in_map=in_map).filter(lambda t: not isinstance(t, list))
            )
            return draw(st.permutations(["null", inner]))
        case "union":
            return draw(st.lists(st.sampled_from(["null", *SCALARS]), min_size=2, max_size=4, unique=True))
        case "array":
            return {"type": "array", "items": draw(types(counter, depth - 1, any_union=any_union, in_map=in_map))}
        case "map":
            return {"type": "map", "values": draw(types(counter, depth - 1, any_union=any_union, in_map=True))}
    return draw(named(counter, kind, depth, any_union=any_union))


def records(*, any_union: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda: [0]).flatmap(lambda counter: named(counter, "record", 3, any_union=any_union))


def branch_value(kind: Any, branches: int) -> st.SearchStrategy[Any]:
    # A branch is named with its value, or fastavro would choose one.
    return values(kind) if kind == "null" or branches == 2 else values(kind).map(lambda v: (kind, v))


def values(kind: Any) -> st.SearchStrategy[Any]:  # noqa: C901, PLR0911 - one a type
    if isinstance(kind, list):
        return st.one_of(*(branch_value(k, len(kind)) for k in kind))
    match kind["type"] if isinstance(kind, dict) else kind:
        case "null":
            return st.none()
        case "string":
            return st.text(max_size=40)
        case "bytes":
            return st.binary(max_size=40)
        case "int" | "long" as name:
            return st.integers(-(1 << INTS[name]), (1 << INTS[name]) - 1)
        case "float":
            return st.floats(width=32)
        case "double":
            return st.floats()
        case "boolean":
            return st.booleans()
        case "enum":
            return st.sampled_from(kind["symbols"])
        case "fixed":
            return st.binary(min_size=kind["size"], max_size=kind["size"])
        case "array":
            return st.lists(values(kind["items"]), max_size=4)
        case "map":
            return st.dictionaries(st.text(max_size=9), values(kind["values"]), max_size=4)
    return st.fixed_dictionaries({f["name"]: values(f["type"]) for f in kind["fields"]})


ADDED = (
    ("string", "eu-1"),
    ("int", -3),
    ("double", -0.0),
    ("boolean", True),
    (["null", "string"], None),
    (["string", "null"], "x" * 70),
    ({"type": "array", "items": "string"}, ["p", "", "qq"]),
    ({"type": "map", "values": "long"}, {"k": 1 << 40}),
    ({"type": "enum", "name": "AddedEnum", "symbols": ["r", "s"]}, "s"),
    (
        {
            "type": "record",
            "name": "AddedRecord",
            "fields": [{"name": "y", "type": "string"}, {"name": "z", "type": ["null", "int"]}],
        },
        {"y": "yy", "z": None},
    ),
)
PROMOTIONS = {
    "int": ["long", "float", "double"],
    "long": ["double"],
    "float": ["double"],
    "string": ["bytes"],
    "bytes": ["string"],
}


@st.composite
def evolved(draw: st.DrawFn, kind: Any) -> Any:
    """A reader type that takes what a writer type writes, mostly."""
    if isinstance(kind, list):
        others = [k for k in kind if k != "null"] or ["null"]
        inner = draw(evolved(draw(st.sampled_from(others))))
        return (
            inner if draw(st.booleans()) or isinstance(inner, list) else ["null", inner] if inner != "null" else inner
        )
    if isinstance(kind, str):
        promoted = draw(st.sampled_from([kind, kind, *PROMOTIONS.get(kind, [])]))
        return draw(st.sampled_from([promoted, promoted, ["null", promoted]])) if kind != "null" else kind
    kind = copy.deepcopy(kind)
    match kind["type"]:
        case "array":
            kind["items"] = draw(evolved(kind["items"]))
        case "map":
            kind["values"] = draw(evolved(kind["values"]))
        case "enum":
            kind["symbols"] = draw(st.permutations([*kind["symbols"][1:], "new"]))
            kind |= draw(st.sampled_from([{}, {"default": "new"}]))
        case "record":
            kept = draw(st.permutations([f for f in kind["fields"] if draw(st.integers(0, 3))]))
            kind["fields"] = [draw(evolved_field(f)) for f in kept]
    return kind


@st.composite
def evolved_field(draw: st.DrawFn, field: dict[str, Any]) -> dict[str, Any]:
    changed = {"name": field["name"], "type": draw(evolved(field["type"]))}
    return changed if draw(st.integers(0, 3)) else changed | {"name": "n" + field["name"], "aliases": [field["name"]]}


def supported(kind: Any) -> bool:
    """Tell whether a reader schema has no union of several types."""
    if isinstance(kind, list):
        return len([k for k in kind if k != "null"]) < 2 and all(supported(k) for k in kind)
    inner = [f["type"] for f in kind["fields"]] if isinstance(kind, dict) and "fields" in kind else []
    inner += [kind[k] for k in ("items", "values") if isinstance(kind, dict) and k in kind]
    return all(supported(k) for k in inner)


def string_paths(schema: Any) -> frozenset[str]:
    decoder = Decoder(schema)
    empty = Payloads.of([])
    columns = decoder.decode(empty, read_frames(empty), 1).columns
    return frozenset(p for p, a in columns.items() if pa.types.is_string(a.type) and p)


def decoder_of(writer: Any, reader: Any) -> Decoder:
    decoder = Decoder(reader, string_paths(reader), checked=True)
    decoder.add_writer(7, writer)
    return decoder


@EXAMPLES
@given(st.data(), st.randoms(use_true_random=False))
def test_random_messages_of_random_schemas_are_read_alike_also_when_mutated(
    data: st.DataObject, chance: random.Random
) -> None:
    schema = data.draw(records())
    bodies = [write(schema, v) for v in data.draw(st.lists(values(schema), min_size=1, max_size=5))]
    decoder = decoder_of(schema, schema)
    assert compare(decoder, schema, schema, bodies) == len(bodies)
    compare(decoder, schema, schema, [mutate(chance, b) for b in bodies * 8])


@EXAMPLES
@given(st.data(), st.randoms(use_true_random=False))
def test_random_messages_are_resolved_to_random_reader_schemas_alike(
    data: st.DataObject, chance: random.Random
) -> None:
    writer = data.draw(records(any_union=True))
    reader = data.draw(evolved(writer).filter(supported))
    added = data.draw(st.lists(st.sampled_from(ADDED), max_size=4, unique_by=str))
    reader["fields"] += [
        {"name": f"added{i}", "type": t, "default": d} for i, (t, d) in enumerate(copy.deepcopy(added))
    ]
    bodies = [write(writer, v) for v in data.draw(st.lists(values(writer), min_size=1, max_size=5))]
    try:
        decoder = decoder_of(writer, reader)
    except SchemaIncompatible:
        # Refused as a whole: then fastavro must fail on every message that has a value at that place.
        assert any(reference(b, writer, reader) is None for b in bodies) or not any(map(has_items, bodies))
        return
    compare(decoder, writer, reader, bodies)
    compare(decoder, writer, reader, [mutate(chance, b) for b in bodies * 4])


def has_items(body: bytes) -> bool:
    return bool(body.strip(b"\0"))


# The schema that the project ships


def without_logical_types(kind: Any) -> Any:
    if isinstance(kind, list):
        return [without_logical_types(k) for k in kind]
    if isinstance(kind, dict):
        return {k: without_logical_types(v) for k, v in kind.items() if k != "logicalType"}
    return kind


EVENT = without_logical_types(avro_schema("audit_event", 1))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_audit_events_with_odd_values_are_read_alike_also_when_mutated(seed: int) -> None:
    chance = random.Random(seed)
    bodies = [write(EVENT, event(chance, EVENT)) for _ in range(4)]
    decoder = Decoder(
        avro_schema("audit_event", 1), frozenset({"tenant_id", "event_code", "message", "targets.type"}), checked=True
    )
    decoder.add_writer(7, avro_schema("audit_event", 1))
    assert compare(decoder, EVENT, EVENT, bodies) == len(bodies)
    compare(decoder, EVENT, EVENT, [mutate(chance, b) for b in bodies * 5])


def event(chance: random.Random, kind: Any) -> Any:  # noqa: PLR0911 - one a type
    """A random value; hypothesis would need minutes for 160 fields."""
    if isinstance(kind, list):
        return None if chance.randrange(2) else event(chance, kind[1])
    match kind["type"] if isinstance(kind, dict) else kind:
        case "record":
            return {f["name"]: event(chance, f["type"]) for f in kind["fields"]}
        case "array":
            return [event(chance, kind["items"]) for _ in range(chance.choice([0, 0, 1, 3]))]
        case "map":
            return {event(chance, "string"): event(chance, kind["values"]) for _ in range(chance.choice([0, 1, 2]))}
        case "enum":
            return chance.choice(kind["symbols"])
        case "string":
            return chance.choice(
                [
                    "",
                    "",
                    "\0",
                    "a\0b",
                    "שלום",
                    "\u202eevil",
                    "👩‍👩‍👧",
                    "z" * chance.randrange(80),
                    "x" * (1_000_000 if chance.random() < 0.005 else 1),
                ]
            )
        case "int":
            return chance.choice([0, -1, (1 << 31) - 1, -(1 << 31)])
        case "long":
            return chance.choice([0, -1, 7_258_118_400_000_000, (1 << 63) - 1, -(1 << 63)])
        case "boolean":
            return chance.random() < 0.5
    return chance.choice([0.0, -0.0, 1e308, float("nan"), float("inf")])


@pytest.mark.slow
def test_half_a_million_mutated_audit_events_are_read_alike() -> None:
    chance = random.Random(17)
    decoder = Decoder(
        avro_schema("audit_event", 1), frozenset({"tenant_id", "user_agent", "actor_roles"}), checked=True
    )
    decoder.add_writer(7, avro_schema("audit_event", 1))
    for _ in range(250):
        bodies = [write(EVENT, event(chance, EVENT)) for _ in range(20)]
        bodies = [b for b in bodies if len(b) < 100_000]
        compare(decoder, EVENT, EVENT, [mutate(chance, chance.choice(bodies)) for _ in range(2000)])
