"""Whether one schema reads another: Avro's rules, one by one, and the words they are told in."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.compatibility import PROMOTIONS, reads
from schemas.errors import SchemaInvalid
from schemas.parsing import PRIMITIVES


def record(*fields: Any, name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def of(kind: Any) -> dict[str, Any]:
    return record(field("f", kind))


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


@pytest.mark.parametrize("writer", sorted(PRIMITIVES))
@pytest.mark.parametrize("reader", sorted(PRIMITIVES))
def test_primitive_types_are_read_as_themselves_or_by_promotion(reader: str, writer: str) -> None:
    allowed = reader == writer or reader in PROMOTIONS.get(writer, ())
    found = reads(of(reader), of(writer))
    assert found == ([] if allowed else [f"R.f: the writer writes {writer}, the reader expects {reader}"])


def test_a_new_field_needs_a_default() -> None:
    old = record(field("a", "string"))
    assert reads(record(field("a", "string"), field("b", "string", default="")), old) == []
    assert reads(record(field("a", "string"), field("b", "string")), old) == [
        "R.b: the writer has no such field, and the reader has no default for it"
    ]


def test_a_field_may_go_and_the_order_may_change() -> None:
    old = record(field("a", "string"), field("b", "int"), field("c", "int"))
    assert reads(record(field("c", "int"), field("a", "string")), old) == []


def test_a_renamed_field_is_found_by_its_alias() -> None:
    new = record(field("b", "string", aliases=["a"]))
    assert reads(new, record(field("a", "string"))) == []


def test_a_symbol_the_reader_lacks_needs_a_default_symbol() -> None:
    assert reads(of(enum("a", "b")), of(enum("a"))) == []
    assert reads(of(enum("a", default="a")), of(enum("a", "b"))) == []
    assert reads(of(enum("a")), of(enum("a", "b", "c"))) == [
        "R.f: the reader lacks the symbols b, c, and has no default symbol"
    ]


def test_a_nullable_reader_takes_what_was_never_null_and_not_the_reverse() -> None:
    assert reads(of(["null", "string"]), of("string")) == []
    assert reads(of("string"), of(["null", "string"])) == ["R.f: the writer writes null, the reader expects string"]


def test_every_branch_of_the_writer_must_find_one_of_the_reader() -> None:
    assert reads(of(["null", "long", "string"]), of(["string", "int"])) == []
    assert reads(of(["null", "string"]), of(["null", "int"])) == [
        "R.f: the writer may write int, the reader expects null or string"
    ]


def test_a_problem_in_a_branch_is_told_where_it_is() -> None:
    inner = record(field("x", "int"), name="I")
    assert reads(of(["null", record(field("x", "string"), name="I")]), of(["null", inner])) == [
        "R.f.x: the writer writes int, the reader expects string"
    ]


def test_items_and_values_are_compared() -> None:
    assert reads(of({"type": "array", "items": "int"}), of({"type": "array", "items": "string"})) == [
        "R.f[]: the writer writes string, the reader expects int"
    ]
    assert reads(of({"type": "map", "values": "int"}), of({"type": "map", "values": "string"})) == [
        "R.f{}: the writer writes string, the reader expects int"
    ]


def test_records_of_another_name_are_refused_unless_it_is_an_alias() -> None:
    assert reads(record(name="n.A"), record(name="m.A")) == []
    assert reads({**record(name="B"), "aliases": ["A"]}, record(name="A")) == []
    assert reads(record(name="B"), record(name="A")) == ["B: the writer's record is called A, the reader expects B"]


def test_fixed_types_must_have_one_size() -> None:
    small, large = ({"type": "fixed", "name": "F", "size": n} for n in (4, 8))
    assert reads(of(small), of(small)) == []
    assert reads(of(large), of(small)) == ["R.f: the writer writes 4 bytes, the reader expects 8"]


def test_a_logical_type_that_would_change_the_meaning_is_refused() -> None:
    millis, micros = ({"type": "long", "logicalType": f"timestamp-{unit}"} for unit in ("millis", "micros"))
    assert reads(of(micros), of("long")) == []
    assert reads(of(micros), of(millis)) == [
        "R.f: the writer means timestamp-millis, the reader takes the same value for timestamp-micros"
    ]


def test_recursive_schemas_are_compared_to_their_end() -> None:
    def tree(kind: str) -> dict[str, Any]:
        return record(field("value", kind), field("next", ["null", "R"]))

    assert reads(tree("long"), tree("int")) == []
    assert reads(tree("int"), tree("long")) == ["R.value: the writer writes long, the reader expects int"]


def test_a_named_type_used_twice_is_found_by_its_name_in_the_namespace() -> None:
    schema = {
        **record(field("a", enum("x")), field("b", "E"), field("c", ["null", "n.E"], default=None)),
        "namespace": "n",
    }
    assert reads(schema, schema) == []


@pytest.mark.parametrize(
    "schema", [None, 5, "nonsense", {"type": "record"}, of("nonsense"), record(field("a", "int"), field("a", "int"))]
)
def test_what_is_not_a_schema_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaInvalid):
        reads(schema, of("int"))
    with pytest.raises(SchemaInvalid):
        reads(of("int"), schema)
