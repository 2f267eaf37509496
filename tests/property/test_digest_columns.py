"""The compiled writer of the canonical form against the plain one, on tables of any shape."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.canonical import plainly
from schemas.columns import Column
from sinks.digest import digest_by_day

DAY_MS = 86_400_000
TEXT = st.one_of(
    st.sampled_from(["", "a", "b", "eightby8", "longer than sixteen bytes"]), st.text(max_size=300), st.just("ł" * 70)
)
KINDS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "String": (pa.string(), TEXT),
    "LowCardinality(String)": (pa.string(), TEXT),
    "Bool": (pa.bool_(), st.booleans()),
    "UInt8": (pa.uint8(), st.integers(0, 255)),
    "UInt16": (pa.uint16(), st.integers(0, 3)),
    "Int32": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "Int64": (pa.int64(), st.integers(-2, 2)),
    "Float32": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "Float64": (pa.float64(), st.floats(allow_nan=False)),
    "UUID": (pa.binary(16), st.binary(min_size=16, max_size=16)),
    "FixedString(32)": (pa.binary(32), st.sampled_from([bytes(32), b"\1" * 32])),
    "Array(String)": (pa.list_(pa.string()), st.lists(TEXT, max_size=4)),
    "Array(Nullable(String))": (pa.list_(pa.string()), st.lists(st.none() | TEXT, max_size=4)),
    "Array(Nullable(Bool))": (pa.list_(pa.bool_()), st.lists(st.none() | st.booleans(), max_size=4)),
    "Array(Int32)": (pa.list_(pa.int32()), st.lists(st.integers(0, 2), max_size=3)),
    "Map(LowCardinality(String), String)": (
        pa.map_(pa.string(), pa.string()),
        st.lists(st.tuples(TEXT, TEXT), max_size=3),
    ),
}
NULLABLE = ("String", "Bool", "Int32", "Int64", "Float64", "UUID")


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, tuple[Column, ...]]:
    rows = draw(st.integers(1, 40))
    days = draw(st.lists(st.sampled_from([0, 1, 20_000, 120_000]), min_size=rows, max_size=rows))
    arrays, columns = (
        [pa.array([d * DAY_MS for d in days], pa.timestamp("ms", tz="UTC"))],
        [Column("expires_at", "DateTime64(3, 'UTC')", "computed", "", "")],
    )
    for name in draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=5)):
        kind = draw(st.sampled_from([*KINDS, *(f"Nullable({k})" for k in NULLABLE)]))
        arrow, values = KINDS[kind.removeprefix("Nullable(").removesuffix(")") if kind.startswith("N") else kind]
        given_ = st.lists(st.none() | values if kind.startswith("N") else values, min_size=rows, max_size=rows)
        column = draw(st.one_of(given_, values.map(lambda v: [v] * rows)))
        arrays.append(encoded(draw, pa.array(column, arrow), kind))
        columns.append(Column(name, kind, "event", name, ""))
    return pa.table(arrays, [c.name for c in columns]), tuple(columns)


def encoded(draw: st.DrawFn, array: pa.Array, kind: str) -> pa.Array:
    if kind in {"String", "LowCardinality(String)"} and draw(st.booleans()):
        array = array.dictionary_encode()
        if draw(st.booleans()):
            return array.cast(pa.dictionary(draw(st.sampled_from([pa.int8(), pa.uint16(), pa.int64()])), pa.string()))
    elif kind == "Array(String)" and draw(st.booleans()):
        return pa.ListArray.from_arrays(array.offsets, array.values.dictionary_encode())
    return array


def plain(rows: pa.Table) -> pa.Table:
    names = rows.column_names
    return pa.table([pa.array(rows[n].to_pylist(), undictionaried(rows[n].type)) for n in names], names)


def undictionaried(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return pa.list_(undictionaried(kind.value_type)) if pa.types.is_list(kind) else kind


def digests(rows: pa.Table, columns: tuple[Column, ...]) -> list[tuple[int, int, bytes]]:
    return [(d.day, d.rows, d.sha256) for d in digest_by_day(rows, columns)]


@settings(deadline=None, max_examples=150)
@given(tables(), st.data())
def test_any_rows_have_the_digest_of_the_documented_form(
    table: tuple[pa.Table, tuple[Column, ...]], data: st.DataObject
) -> None:
    rows, columns = table
    expected = plainly(plain(rows), columns)
    assert digests(rows, columns) == expected
    cut = data.draw(st.integers(0, rows.num_rows))
    assert digests(pa.concat_tables([rows.slice(0, cut), rows.slice(cut)]), columns) == expected
    padded = pa.concat_tables([rows, rows]).combine_chunks().slice(rows.num_rows - cut, rows.num_rows)
    turned = pa.concat_tables([rows.slice(rows.num_rows - cut), rows.slice(0, rows.num_rows - cut)])
    assert digests(padded, columns) == plainly(plain(turned), columns)


def column(kind: str, array: pa.Array) -> tuple[pa.Table, tuple[Column, ...]]:
    columns = (
        Column("expires_at", "DateTime64(3, 'UTC')", "computed", "", ""),
        Column("it", kind, "event", "it", ""),
    )
    expires = pa.array([i % 2 * DAY_MS for i in range(len(array))], pa.timestamp("ms", tz="UTC"))
    return pa.table([expires, array], ["expires_at", "it"]), columns


def test_a_dictionary_that_holds_a_value_twice_has_the_digest_of_its_values() -> None:
    words = pa.array(["x", "", "x", "y"])
    rows, columns = column("LowCardinality(String)", pa.DictionaryArray.from_arrays(pa.array([2, 0, 1, 3] * 5), words))
    assert digests(rows, columns) == plainly(plain(rows), columns)


def test_thousands_of_distinct_values_are_told_apart() -> None:
    array = pa.array([f"word {i * 7919 % 3000}" for i in range(9000)])
    for values in (array, array.dictionary_encode()):
        rows, columns = column("LowCardinality(String)", values)
        assert digests(rows, columns) == plainly(plain(rows), columns)


@pytest.mark.parametrize("kind", ["String", "LowCardinality(String)"])
def test_a_column_may_be_longer_than_the_buffer_it_is_written_to(kind: str) -> None:
    rows, columns = column(kind, pa.array(["a" * 3_000_000, "b" * 70_000, "", "c" * 1_048_576]))
    assert digests(rows, columns) == plainly(plain(rows), columns)


def test_a_null_in_a_column_without_nulls_counts_as_its_default() -> None:
    for kind, arrow, values, default in (
        ("String", pa.string(), ["x", None, "y"], ["x", "", "y"]),
        ("LowCardinality(String)", pa.string(), ["x", None, None], ["x", "", ""]),
        ("Int64", pa.int64(), [5, None, 6], [5, 0, 6]),
    ):
        with_null, columns = column(kind, pa.array(values, arrow))
        assert digests(with_null, columns) == digests(*column(kind, pa.array(default, arrow)))


def test_a_code_without_an_entry_is_refused() -> None:
    codes = pa.array([0, 1, 2], pa.int32())
    broken = pa.DictionaryArray.from_arrays(codes, pa.array(["x", "y"]), safe=False)
    with pytest.raises(ValueError, match="code without an entry"):
        digests(*column("LowCardinality(String)", broken))
