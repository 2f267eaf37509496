"""Our verdict on two schemas against what a reference implementation then does with real values."""

from __future__ import annotations

import io
from typing import Any

import fastavro
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.compatibility import reads

PRIMITIVE = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    # Promoted to text, bytes must be UTF-8: that is a matter of values and not of schemas.
    "bytes": st.text(max_size=5).map(str.encode),
    "string": st.text(max_size=5),
}
DEFAULTS = {"null": None, "boolean": False, "int": 0, "long": 0, "float": 0.0, "double": 0.0, "bytes": "", "string": ""}
SYMBOLS = ["a", "b", "c"]


@st.composite
def enums(draw: st.DrawFn) -> Any:
    kept = draw(st.lists(st.sampled_from(SYMBOLS), unique=True, min_size=1))
    default = {"default": kept[0]} if draw(st.booleans()) else {}
    return {"type": "enum", "name": f"E{draw(st.integers(0, 10**9))}", "symbols": kept, **default}


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda i: {"type": "array", "items": i}),
        inner.map(lambda i: {"type": "map", "values": i}),
    )


KINDS = st.one_of(
    st.recursive(PRIMITIVE, composed, max_leaves=3),
    st.lists(PRIMITIVE, min_size=1, max_size=3, unique=True),
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from("pqrs"), unique=True, max_size=4))
    fields = []
    for name in names:
        kind = draw(KINDS)
        default = {"default": DEFAULTS[kind]} if isinstance(kind, str) and draw(st.booleans()) else {}
        fields.append({"name": name, "type": kind, **default})
    return {"type": "record", "name": "R", "fields": fields}


def values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, list):
        return st.one_of(*map(values, kind))
    if isinstance(kind, str):
        return VALUES[kind]
    match kind["type"]:
        case "array":
            return st.lists(values(kind["items"]), max_size=2)
        case "map":
            return st.dictionaries(st.text(max_size=3), values(kind["values"]), max_size=2)
        case "enum":
            return st.sampled_from(kind["symbols"])
    return st.fixed_dictionaries({f["name"]: values(f["type"]) for f in kind["fields"]})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.data())
def test_what_is_called_compatible_is_read_whatever_was_written(data: st.DataObject) -> None:
    writer, reader = data.draw(records()), data.draw(records())
    if reads(reader, writer):
        # Half of the pairs share their fields, so that many remain.
        reader = {**writer, "fields": [f for f in writer["fields"] if data.draw(st.booleans())]}
    assert reads(reader, writer) == []
    value = data.draw(values(writer))
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(writer), value)
    stream.seek(0)
    read: Any = fastavro.schemaless_reader(stream, fastavro.parse_schema(writer), fastavro.parse_schema(reader))
    assert set(read) == {f["name"] for f in reader["fields"]}
    assert stream.read() == b""


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_enum_is_compatible_exactly_when_every_symbol_can_be_read(data: st.DataObject) -> None:
    writer, reader = data.draw(enums()), data.draw(enums())
    reader = {**reader, "name": writer["name"]}

    def is_read(symbol: str) -> bool:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, fastavro.parse_schema(writer), symbol)
        stream.seek(0)
        try:
            fastavro.schemaless_reader(stream, fastavro.parse_schema(writer), fastavro.parse_schema(reader))
        except fastavro.read.SchemaResolutionError:
            return False
        return True

    assert (reads(reader, writer) == []) == all(map(is_read, writer["symbols"]))


@settings(max_examples=100, deadline=None)
@given(records())
def test_every_schema_reads_itself(schema: dict[str, Any]) -> None:
    assert reads(schema, schema) == []
