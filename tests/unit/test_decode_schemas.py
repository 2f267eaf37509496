"""Schemas: what is resolved, what is refused, and where the reason is found."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from consumers.batch import Payloads
from consumers.decode import DecodeError, Decoder, SchemaIncompatible, SchemaUnsupported, read_frames


def record(*fields: Any, name: str = "Event", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(kind: Any, name: str = "f", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def read(writer: Any, reader: Any, body: bytes) -> tuple[dict[str, Any], int]:
    decoder = Decoder(reader)
    decoder.add_writer(7, writer)
    payloads = Payloads.of([struct.pack(">bi", 0, 7) + body])
    result = decoder.decode(payloads, read_frames(payloads), 1000)
    return {p: a.to_pylist()[0] for p, a in result.columns.items() if len(a)}, int(result.errors[0])


@pytest.mark.parametrize(
    ("value", "error"),
    [(2**31 - 1, 0), (-(2**31), 0), (2**31, DecodeError.int_range), (-(2**31) - 1, DecodeError.int_range)],
)
def test_an_int_is_taken_up_to_its_bounds_and_not_one_beyond(value: int, error: int) -> None:
    left, body = (value << 1) ^ (value >> 63), bytearray()
    while left > 0x7F:
        body.append(left & 0x7F | 0x80)
        left >>= 7
    schema = record(field("int"))
    columns, found = read(schema, schema, bytes([*body, left]))
    assert (columns, found) == ({} if error else {"f": value}, error)


TREE = record(field(["null", "Event"], "parent"))


@pytest.mark.parametrize(
    ("reader", "place", "reason"),
    [
        (record(field(["null", "string", "long"])), "f", "union of several types"),
        (record(field({"type": "array", "items": ["int", "string"]})), "f", "union of several types"),
        (TREE, "Event", "holds itself"),
        (record(field({"type": "map", "values": record(field("int", "g"), name="Inner")})), "f", "values of a map"),
        (record(field("Missing")), "Event.f", "no type 'Missing'"),
        ({"type": "array", "items": "int"}, "schema", "must be a record"),
        (record({"name": "f"}), "schema", "not a valid Avro schema"),
        (record(field("int"), field("int")), "Event", "one name"),
    ],
)
def test_a_reader_schema_without_column_form_is_refused_with_its_place(reader: Any, place: str, reason: str) -> None:
    with pytest.raises(SchemaUnsupported, match=reason) as refused:
        Decoder(reader)
    assert refused.value.place == place


@pytest.mark.parametrize(
    ("writer", "reader", "place"),
    [
        (field("string"), field("int"), "Event.f"),
        (field("long"), field("int"), "Event.f"),
        (field("null"), field("int"), "Event.f"),
        (field(["string", "boolean"]), field("int"), "Event.f"),
        (field("int", "g"), field("int"), "Event.f"),
        (
            field({"type": "long", "logicalType": "timestamp-millis"}),
            field({"type": "long", "logicalType": "timestamp-micros"}),
            "Event.f",
        ),
        (field({"type": "fixed", "name": "F", "size": 2}), field({"type": "fixed", "name": "F", "size": 3}), "Event.f"),
        (
            field({"type": "enum", "name": "E", "symbols": ["a"]}),
            field({"type": "enum", "name": "Other", "symbols": ["a"]}),
            "Event.f",
        ),
    ],
)
def test_a_writer_that_the_reader_cannot_take_is_refused_with_its_place(writer: Any, reader: Any, place: str) -> None:
    decoder = Decoder(record(reader))
    with pytest.raises(SchemaIncompatible) as refused:
        decoder.add_writer(1, record(writer))
    assert refused.value.place == place
    assert not decoder.knows(1)


def test_a_refused_writer_leaves_the_others_as_they_are() -> None:
    decoder = Decoder(record(field("int")))
    decoder.add_writer(1, record(field("int")))
    with pytest.raises(SchemaIncompatible):
        decoder.add_writer(2, record(field({"type": "array", "items": "int"}, "x"), field("string")))
    decoder.add_writer(3, record(field("string", "x"), field("int")))
    payloads = Payloads.of([b"\0\0\0\0\1\x04", b"\0\0\0\0\2\x04", b"\0\0\0\0\3\x02x\x06"])
    result = decoder.decode(payloads, read_frames(payloads), 1000)
    assert result.columns["f"].to_pylist() == [2, 3]
    assert result.errors.tolist() == [0, DecodeError.schema_unknown, 0]


@pytest.mark.parametrize(
    "kind", [{"type": "array", "items": "null"}, {"type": "array", "items": record(name="Nothing")}]
)
def test_an_array_whose_items_take_no_bytes_is_skipped_but_not_read(kind: Any) -> None:
    with pytest.raises(SchemaUnsupported, match="take no bytes"):
        Decoder(record(field(kind))).add_writer(1, record(field(kind)))
    # 2^40 items in a few bytes take no time.
    body = b"\x80\x80\x80\x80\x80\x40" + b"\0" + b"\x0a"
    assert read(record(field(kind, "x"), field("int")), record(field("int")), body) == ({"f": 5}, 0)


def test_a_union_is_refused_only_where_a_message_holds_the_unreadable_branch() -> None:
    writer, reader = record(field(["null", "string", "long"])), record(field(["null", "string"]))
    assert read(writer, reader, b"\x02\x02a") == ({"f": "a"}, 0)
    assert read(writer, reader, b"\x00") == ({"f": None}, 0)
    assert read(writer, reader, b"\x04\x02") == ({}, DecodeError.union_branch)


def test_an_unknown_symbol_becomes_the_default_of_the_reader_or_an_error() -> None:
    writer = record(field({"type": "enum", "name": "E", "symbols": ["x", "y"]}))
    reader = {"type": "enum", "name": "E", "symbols": ["y", "z"]}
    assert read(writer, record(field(reader)), b"\x02") == ({"f": "y"}, 0)
    assert read(writer, record(field(reader)), b"\x00") == ({}, DecodeError.enum_symbol)
    assert read(writer, record(field({**reader, "default": "z"})), b"\x00") == ({"f": "z"}, 0)


@pytest.mark.parametrize("value", [0, -1, 16_777_217, (1 << 63) - 1, -(1 << 63), (1 << 60) + (1 << 36) + 1])
def test_longs_are_promoted_to_the_nearest_float_and_double(value: int) -> None:
    zigzag, body = (value << 1) ^ (value >> 63), bytearray()
    while zigzag > 0x7F:
        body.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    body.append(zigzag)
    single, _ = read(record(field("long")), record(field("float")), bytes(body))
    double, _ = read(record(field("long")), record(field("double")), bytes(body))
    assert single["f"] == float(np.int64(value).astype(np.float32))
    assert double["f"] == float(value)


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("int", "x"),
        ("int", 1 << 31),
        ("boolean", 0),
        ("string", None),
        (["null", "string"], 3),
        ({"type": "fixed", "name": "F", "size": 2}, "abc"),
    ],
)
def test_a_default_that_does_not_fit_its_type_is_refused(kind: Any, default: Any) -> None:
    with pytest.raises(SchemaUnsupported, match="does not fit"):
        Decoder(record(field(kind, default=default))).add_writer(1, record(name="Event"))


def test_a_path_that_is_no_string_cannot_be_dictionary_encoded() -> None:
    with pytest.raises(ValueError, match="not string columns of the reader schema: f, nowhere"):
        Decoder(record(field("int")), frozenset({"f", "nowhere"}))


def test_a_schema_that_unfolds_without_end_is_refused() -> None:
    kind: Any = record(field("int"), name="L0")
    for level in range(1, 40):
        kind = record(field(kind, "a"), field(f"L{level - 1}", "b"), name=f"L{level}")
    with pytest.raises(SchemaUnsupported, match="unfolds"):
        Decoder(record(field("int"))).add_writer(1, record(field("int"), field(kind, "x")))
