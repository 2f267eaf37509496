"""Blocks in Native format: their bytes as ClickHouse's formats describe them, and what is left out or refused."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa
import pytest

from schemas.columns import arrow_type
from sinks.clickhouse_errors import RowsRefused
from sinks.native import encode


def encoded(**columns: tuple[str, Any]) -> tuple[list[str], bytes]:
    """Encode columns given as type and values or Arrow array; return the names sent and the bytes."""
    arrays = {n: v if isinstance(v, pa.Array) else pa.array(v, arrow_type(kind)) for n, (kind, v) in columns.items()}
    native = encode(pa.table(arrays), {name: kind for name, (kind, _) in columns.items()})
    return list(native.names), b"".join(native.buffers())


def column(kind: str, values: Any) -> bytes:
    """Return the bytes that follow a column's name and type."""
    names, raw = encoded(a=(kind, values))
    head = bytes([1, len(values), 1]) + b"a" + bytes([len(kind)]) + kind.encode()
    assert names == ["a"]
    assert raw[: len(head)] == head
    return raw[len(head) :]


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        ("Int32", [1, -1], struct.pack("<ii", 1, -1)),
        ("UInt16", [0, 65535], struct.pack("<HH", 0, 65535)),
        ("Float64", [0.5, -0.0], struct.pack("<dd", 0.5, -0.0)),
        ("Bool", [True, False, True], b"\1\0\1"),
        ("DateTime64(6, 'UTC')", [-1, 7], struct.pack("<qq", -1, 7)),
        ("IPv6", [bytes(range(16))], bytes(range(16))),
        ("UUID", [bytes(range(16))], bytes([*range(7, -1, -1), *range(15, 7, -1)])),
        ("String", ["", "a\0b", "é"], b"\0\3a\0b\2\xc3\xa9"),
        ("Nullable(Int64)", [None, 5], b"\1\0" + struct.pack("<qq", 0, 5)),
        ("Nullable(Bool)", [None, True, False], b"\1\0\0\0\1\0"),
        ("Array(Int32)", [[], [1, 2], [3]], struct.pack("<3Q3i", 0, 2, 3, 1, 2, 3)),
        ("Array(Nullable(String))", [[None, "x"], [""]], struct.pack("<2Q", 2, 3) + b"\1\0\0\0\1x\0"),
    ],
)
def test_values_are_laid_out_as_clickhouse_holds_them(kind: str, values: list[Any], wanted: bytes) -> None:
    assert column(kind, values) == wanted


@pytest.mark.parametrize(
    ("length", "varint"), [(127, b"\x7f"), (128, b"\x80\1"), (16_383, b"\xff\x7f"), (16_384, b"\x80\x80\1")]
)
def test_the_length_of_a_long_text_takes_as_many_bytes_as_it_needs(length: int, varint: bytes) -> None:
    text = "x" * length
    assert column("String", ["a", text, ""]) == b"\1a" + varint + text.encode() + b"\0"


def low_cardinality(keys: list[str], codes: bytes, rows: int, width: int = 0) -> bytes:
    packed = b"".join(bytes([len(k)]) + k.encode() for k in keys)
    return struct.pack("<2Q", 512 | width, len(keys)) + packed + struct.pack("<Q", rows) + codes


def test_low_cardinality_text_is_sent_as_its_dictionary_and_codes() -> None:
    version = struct.pack("<Q", 1)
    coded = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.int32()), pa.array(["b", "a"]))
    assert column("LowCardinality(String)", coded) == version + low_cardinality(["b", "a"], b"\1\0\1", 3)
    assert column("LowCardinality(String)", ["x", "x", "y"]) == version + low_cardinality(["x", "y"], b"\0\0\1", 3)
    lists = column("Array(LowCardinality(String))", [["x"], [], ["y"]])
    assert lists == version + struct.pack("<3Q", 1, 1, 2) + low_cardinality(["x", "y"], b"\0\1", 2)
    maps = column("Map(LowCardinality(String), String)", [[("k", "v"), ("k", "w")]])
    assert maps == version + struct.pack("<Q", 2) + low_cardinality(["k"], b"\0\0", 2) + b"\1v\1w"


@pytest.mark.parametrize(("keys", "width", "kind"), [(256, 0, "B"), (257, 1, "H"), (65_537, 2, "I")])
def test_codes_are_as_wide_as_the_dictionary_needs(keys: int, width: int, kind: str) -> None:
    values = pa.array([f"k{n}" for n in range(keys)])
    _, raw = encoded(a=("LowCardinality(String)", values))
    assert struct.pack("<2Q", 512 | width, keys) in raw
    assert raw.endswith(struct.pack(f"<{keys}{kind}", *range(keys)))


def test_keys_that_no_row_has_are_not_sent() -> None:
    keys = pa.array([f"key{n}" for n in range(10_000)])
    coded = pa.DictionaryArray.from_arrays(pa.array([9_000, 5, 9_000], pa.int32()), keys)
    wanted = struct.pack("<Q", 1) + low_cardinality(["key5", "key9000"], b"\1\0\1", 3)
    assert column("LowCardinality(String)", coded) == wanted


def test_parts_of_larger_arrays_are_sent_alone() -> None:
    wanted = {
        "String": (["ab", "", "c"], b"\0\1c"),
        "Bool": ([True, False, True], b"\0\1"),
        "Int64": ([1, 2, 3], struct.pack("<qq", 2, 3)),
        "IPv6": ([b"a" * 16, b"b" * 16, b"c" * 16], b"b" * 16 + b"c" * 16),
        "Array(Int32)": ([[1], [2, 3], []], struct.pack("<2Q2i", 2, 2, 2, 3)),
        "Nullable(Int64)": ([1, None, 3], b"\1\0" + struct.pack("<qq", 0, 3)),
    }
    for kind, (values, raw) in wanted.items():
        assert column(kind, pa.array(values, arrow_type(kind)).slice(1)) == raw


def test_columns_whose_every_value_is_the_default_are_left_out() -> None:
    empty = pa.DictionaryArray.from_arrays(pa.array([1, 1], pa.int32()), pa.array(["a", ""]))
    names, _ = encoded(
        number=("Int64", [0, 0]),
        minus_zero=("Float64", [0.0, -0.0]),
        text=("String", ["", ""]),
        coded=("LowCardinality(String)", empty),
        absent=("Nullable(Int64)", [None, None]),
        zero=("Nullable(Int64)", [0, None]),
        both_zero=("Nullable(Int64)", [0, 0]),
        lists=("Array(String)", [[], []]),
        empty_inside=("Array(String)", [[""], []]),
        flag=("Bool", [False, False]),
    )
    assert names == ["minus_zero", "zero", "both_zero", "empty_inside"]


def test_the_lists_of_one_group_are_sent_or_left_out_together() -> None:
    kind = "Array(String)"
    some: Any = {"g.a": (kind, [["x"], []]), "g.b": (kind, [[], []]), "h.a": (kind, [[], []])}
    assert encoded(**some)[0] == ["g.a", "g.b"]


def test_a_block_of_defaults_still_has_its_rows() -> None:
    assert encoded(a=("Int32", [0, 0]), b=("String", ["", ""])) == (["a"], b"\1\2\1a\5Int32" + bytes(8))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("Int64", [1, None]),
        ("String", ["a", None]),
        ("LowCardinality(String)", ["a", None]),
        ("Array(String)", [["a", None]]),
        ("Array(LowCardinality(String))", [["a", None]]),
        ("Array(String)", [["a"], None]),
        ("UUID", [None, bytes(16)]),
        ("LowCardinality(String)", pa.array(["a", None]).dictionary_encode()),
    ],
)
def test_a_null_where_none_may_be_is_refused(kind: str, values: Any) -> None:
    with pytest.raises(RowsRefused, match="column a takes no null"):
        encoded(a=(kind, values))
