"""A batch: neighbours, several schemas, limits, dictionaries, and memory that stays as it was handed out."""

from __future__ import annotations

import io
import struct
from typing import Any

import fastavro
import numpy as np
import pytest

from consumers.batch import Decoded, Payloads
from consumers.decode import BatchTooLarge, DecodeError, Decoder, read_frames
from consumers.decode.buffers import Buffers
from consumers.decode.layout import lay_out
from consumers.decode.placement import Placement
from consumers.decode.schema import parse_schema

READER = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "tenant", "type": "string", "default": ""},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
        {
            "name": "call",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Call",
                    "fields": [
                        {"name": "route", "type": "string"},
                        {"name": "status", "type": ["null", "int"]},
                        {"name": "verb", "type": {"type": "enum", "name": "Verb", "symbols": ["GET", "PUT"]}},
                    ],
                },
            ],
            "default": None,
        },
    ],
}
TREE = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "leaf", "type": "string"}, {"name": "kids", "type": {"type": "array", "items": "Tree"}}],
}
#: A field of every type, none of which the reader knows.
EXTRAS: dict[str, tuple[Any, Any]] = {
    "x_null": ("null", None),
    "x_boolean": ("boolean", True),
    "x_int": ("int", -70),
    "x_long": ("long", 1 << 50),
    "x_float": ("float", 0.5),
    "x_double": ("double", 0.25),
    "x_bytes": ("bytes", b"\xff\0"),
    "x_string": ("string", "s" * 90),
    "x_fixed": ({"type": "fixed", "name": "XF", "size": 17}, b"f" * 17),
    "x_enum": ({"type": "enum", "name": "XE", "symbols": ["p", "q"]}, "q"),
    "x_array": (
        {"type": "array", "items": {"type": "array", "items": ["null", "string", "long"]}},
        [[None, "a", 7], []],
    ),
    "x_nulls": ({"type": "array", "items": "null"}, [None, None]),
    "x_map": ({"type": "map", "values": {"type": "map", "values": "XF"}}, {"k": {"l": b"g" * 17}}),
    "x_union": (["boolean", "null", "string", {"type": "map", "values": "int"}], {"m": 3}),
    "x_record": ({"type": "record", "name": "XR", "fields": [{"name": "e", "type": "XE"}]}, {"e": "p"}),
    "x_tree": (
        TREE,
        {"leaf": "a", "kids": [{"leaf": "b", "kids": [{"leaf": "c", "kids": []}]}, {"leaf": "d", "kids": []}]},
    ),
}
NEWER: dict[str, Any] = {
    **READER,
    "fields": [
        *({"name": name, "type": kind} for name, (kind, _) in EXTRAS.items()),
        *READER["fields"],
        {"name": "last", "type": "string"},
    ],
}
EVENT = {"id": "1", "tenant": "acme", "tags": ["t", ""], "call": {"route": "/v1", "status": 200, "verb": "PUT"}}
NEWER_EVENT = EVENT | {name: value for name, (_, value) in EXTRAS.items()} | {"last": "end"}


def message(schema_id: int, schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return struct.pack(">bi", 0, schema_id) + out.getvalue()


def decode(decoder: Decoder, values: list[bytes | None], limit: int = 1 << 24) -> Decoded:
    payloads = Payloads.of(values)
    result = decoder.decode(payloads, read_frames(payloads), limit)
    for array in result.columns.values():
        array.validate(full=True)
    return result


def decoder(**options: Any) -> Decoder:
    made = Decoder(READER, frozenset({"tenant"}), **options)
    made.add_writer(1, READER)
    made.add_writer(2, NEWER)
    return made


def test_a_newer_writer_with_extra_fields_of_every_type_is_read() -> None:
    result = decode(decoder(), [message(2, NEWER, NEWER_EVENT)])
    assert result.errors.tolist() == [0]
    assert {p: a.to_pylist() for p, a in result.columns.items()} == {
        "id": ["1"],
        "tenant": ["acme"],
        "tags": [["t", ""]],
        "call": [True],
        "call.route": ["/v1"],
        "call.status": [200],
        "call.verb": ["PUT"],
    }


def test_messages_of_several_schemas_come_out_in_message_order() -> None:
    values: list[bytes | None] = []
    for i in range(20):
        schema_id, schema, event = (1, READER, EVENT) if i % 3 else (2, NEWER, NEWER_EVENT)
        values.append(message(schema_id, schema, {**event, "id": str(i)}))
    result = decode(decoder(), values)
    assert result.columns["id"].to_pylist() == [str(i) for i in range(20)]
    assert result.rows.tolist() == list(range(20))


def test_an_absent_block_is_empty_and_only_nullable_scalars_are_null() -> None:
    result = decode(decoder(), [message(1, READER, EVENT), message(1, READER, {"id": "2"}), message(1, READER, EVENT)])
    assert result.columns["call"].to_pylist() == [True, False, True]
    assert result.columns["call.route"].to_pylist() == ["/v1", "", "/v1"]
    assert result.columns["call.status"].to_pylist() == [200, None, 200]
    assert result.columns["call.verb"].to_pylist() == ["PUT", "", "PUT"]
    assert result.columns["call.verb"].type.index_type.bit_width == 32
    assert result.columns["tags"].to_pylist() == [["t", ""], [], ["t", ""]]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (None, DecodeError.empty),
        (b"\0\0", DecodeError.frame_short),
        (b"\1\0\0\0\1", DecodeError.frame_magic),
        (b"\0\0\0\0\x09abc", DecodeError.schema_unknown),
        (message(1, READER, EVENT) + b"\0", DecodeError.trailing_bytes),
        (message(1, READER, EVENT)[:-1], DecodeError.eof),
        (b"\0\0\0\0\1\x02\xff\0\0\0", DecodeError.utf8),
        (b"\0\0\0\0\1\x02a\x02\xff\0\0", DecodeError.utf8),
        (b"\0\0\0\0\1\x01a\0\0\0", DecodeError.negative_length),
        (b"\0\0\0\0\1" + b"\xff" * 10 + b"\1", DecodeError.varint_too_long),
        (b"\0\0\0\0\1\0\0\0\4", DecodeError.union_index),
        (b"\0\0\0\0\1\0\0\0\1", DecodeError.union_index),
        (b"\0\0\0\0\1\0\0\0\2\0\0\4", DecodeError.enum_index),
        (b"\0\0\0\0\1\0\0\0\2\0\2\xff\xff\xff\xff\x1f\0", DecodeError.int_range),
        (b"\0\0\0\0\1\0\0\x80\x80\x04\0", DecodeError.block),
        (message(1, READER, EVENT | {"id": "x" * 70_000}), DecodeError.too_large),
    ],
)
def test_a_bad_message_is_named_and_leaves_its_neighbours_as_they_are(bad: bytes | None, error: DecodeError) -> None:
    good = message(1, READER, EVENT)
    short = message(1, READER, {"id": "2"})
    result = decode(decoder(checked=False), [good, bad, short, bad, bad, good], limit=60_000)
    alone = decode(decoder(), [good, short, good])
    assert result.errors.tolist() == [0, error, 0, error, error, 0]
    assert result.rows.tolist() == [0, 2, 5]
    assert {p: a.to_pylist() for p, a in result.columns.items()} == {p: a.to_pylist() for p, a in alone.columns.items()}


def test_blocks_with_sizes_and_many_blocks_are_read() -> None:
    # Two blocks of tags: -2 items in 4 bytes, then 1 item.
    body = b"\x02i\0" + b"\x03\x08\x02a\x02b" + b"\x02\x02c" + b"\0" + b"\0"
    result = decode(decoder(), [b"\0\0\0\0\1" + body])
    assert result.columns["tags"].to_pylist() == [["a", "b", "c"]]


def test_too_many_items_are_refused_before_they_take_memory() -> None:
    count = (1 << 20) + 1
    payload = b"\0\0\0\0\1\0\0" + b"\x82\x80\x80\x01" + b"\0" * (count + 2)
    result = decode(decoder(), [payload, message(1, READER, EVENT)])
    assert result.errors.tolist() == [DecodeError.too_many_items, 0]


def test_trees_deeper_than_the_limit_are_refused() -> None:
    tree: dict[str, Any] = {"leaf": "", "kids": []}
    for _ in range(200):
        tree = {"leaf": "", "kids": [tree]}
    result = decode(decoder(), [message(2, NEWER, NEWER_EVENT | {"x_tree": tree}), message(2, NEWER, NEWER_EVENT)])
    assert result.errors.tolist() == [DecodeError.depth, 0]


def test_arrays_of_an_earlier_batch_stay_as_they_were() -> None:
    made = decoder()
    first = decode(
        made, [message(1, READER, EVENT | {"tenant": f"tenant {i}", "tags": ["x" * i]}) for i in range(2000)]
    )
    before = {p: a.to_pylist() for p, a in first.columns.items()}
    for _ in range(3):
        decode(made, [message(1, READER, EVENT | {"tenant": f"other {i}"}) for i in range(3000)])
    assert {p: a.to_pylist() for p, a in first.columns.items()} == before


def test_a_dictionary_only_grows_while_its_generation_stays() -> None:
    made = decoder()
    first = decode(made, [message(1, READER, EVENT | {"tenant": t}) for t in ("a", "", "b", "a")])
    second = decode(made, [message(1, READER, EVENT | {"tenant": t}) for t in ("c", "a")])
    assert first.generations["tenant"] == second.generations["tenant"]
    assert first.columns["tenant"].dictionary.to_pylist() == ["", "a", "b"]
    assert second.columns["tenant"].dictionary.to_pylist() == ["", "a", "b", "c"]
    assert second.columns["tenant"].indices.to_pylist() == [3, 1]


@pytest.mark.parametrize("limit", [{"max_dictionary_entries": 100}, {"max_dictionary_bytes": 500}])
def test_a_dictionary_of_nearly_unique_values_starts_again(limit: dict[str, int]) -> None:
    made = decoder(**limit)
    results = [
        decode(made, [message(1, READER, EVENT | {"tenant": f"t-{b}-{i}"}) for i in range(200)]) for b in range(3)
    ]
    assert [r.generations["tenant"] for r in results] == [1, 2, 3]
    assert [len(r.columns["tenant"].dictionary) for r in results] == [201, 201, 201]
    assert results[2].columns["tenant"].to_pylist() == [f"t-2-{i}" for i in range(200)]


def test_an_empty_batch_has_all_columns_and_no_rows() -> None:
    result = decode(decoder(), [])
    assert {len(a) for a in result.columns.values()} == {0}
    assert result.rows.size == result.errors.size == 0


@pytest.mark.parametrize("count", [1, 5, 3000])
def test_columns_without_any_value_are_named_and_hold_what_absence_reads_as(count: int) -> None:
    made = decoder()
    for rows in (2, count):
        result = decode(made, [message(1, READER, {"id": "1"})] * rows)
        assert result.blank == {"tenant", "tags", "call", "call.route", "call.status", "call.verb"}
        assert {p: a.to_pylist() for p, a in result.columns.items()} == {
            "id": ["1"] * rows,
            "tenant": [""] * rows,
            "tags": [[]] * rows,
            "call": [False] * rows,
            "call.route": [""] * rows,
            "call.status": [None] * rows,
            "call.verb": [""] * rows,
        }


def test_a_column_with_a_value_in_its_last_row_alone_is_not_blank() -> None:
    made = decoder()
    result = decode(made, [*([message(1, READER, {"id": "1"})] * 1500), message(1, READER, EVENT)])
    assert result.blank == frozenset()
    assert result.columns["call"].to_pylist() == [False] * 1500 + [True]
    assert result.columns["call.status"].to_pylist() == [None] * 1500 + [200]
    assert result.columns["call.verb"].to_pylist() == [""] * 1500 + ["PUT"]
    assert result.columns["tags"].to_pylist() == [[]] * 1500 + [["t", ""]]


def test_what_a_bad_message_wrote_does_not_fill_a_column() -> None:
    cut = message(1, READER, EVENT)[:-1]
    assert decode(decoder(), [cut, message(1, READER, {"id": "1"})]).blank >= {"tenant", "call", "call.status", "tags"}


def test_text_beyond_32_bit_offsets_is_refused() -> None:
    layout = lay_out(parse_schema(READER), frozenset())
    placement = Placement(layout)
    expected, memory = np.zeros(layout.levels + len(layout.texts), np.int64), np.zeros((placement.slots, 2), np.int64)
    buffers = Buffers(placement, 1, expected, memory)
    with pytest.raises(BatchTooLarge, match="the column id would need 2147483648 bytes"):
        buffers.grow_text(layout.columns[0], 1 << 31)


def test_payloads_outside_their_buffer_are_refused() -> None:
    payloads = Payloads.of([message(1, READER, EVENT)])
    frames = read_frames(payloads)
    cut = Payloads(payloads.data[:-1], payloads.starts, payloads.lengths)
    with pytest.raises(ValueError, match="padding"):
        decoder().decode(cut, frames, 1000)
