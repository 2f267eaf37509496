"""Whether one schema reads what another wrote, and if not, where and why.

The rules are those of schema resolution in the Avro 1.12 specification ("Schema Resolution"), with one rule of our
own: a number whose logical type changed would be kept while its meaning changes, so that is a problem too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.parsing import Node, ParsedSchema, parse

#: Writer type -> reader types that a value is promoted to.
PROMOTIONS: Mapping[str, frozenset[str]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
_NAMED = frozenset({"record", "enum", "fixed"})


def reads(reader: Node, writer: Node) -> list[str]:
    """Return why a reader schema cannot read everything that a writer schema writes.

    Args:
        reader: Schema as JSON data.
        writer: Schema as JSON data.

    Returns:
        One sentence per problem, beginning with its place, for example ``AuditEvent.api.method: …``; empty when
        every message of the writer can be read.

    Raises:
        SchemaInvalid: One of them is not a schema.
    """
    comparison = _Comparison(parse(reader, "reader schema"), parse(writer, "writer schema"))
    return comparison.problems()


class _Comparison:
    """One comparison of two schemas; named types are compared once, which also ends recursion."""

    def __init__(self, reader: ParsedSchema, writer: ParsedSchema) -> None:
        self._reader, self._writer = reader, writer
        self._compared: dict[tuple[str, str], list[str]] = {}

    def problems(self) -> list[str]:
        place = self._reader.resolve(self._reader.root)
        return list(dict.fromkeys(self._compare(self._reader.root, self._writer.root, _short(_label(place)))))

    def _compare(self, reader_node: Node, writer_node: Node, place: str) -> list[str]:
        reader, writer = self._reader.resolve(reader_node), self._writer.resolve(writer_node)
        if isinstance(writer, list):
            return [p for branch in writer for p in self._compare(reader, branch, place)]
        if isinstance(reader, list):
            return self._compare_branches(reader, writer, place)
        if reader["type"] in _NAMED and reader["type"] == writer["type"]:
            return self._compare_named(reader, writer, place)
        return list(self._compare_plain(reader, writer, place))

    def _compare_branches(self, reader: list[Node], writer: Mapping[str, Any], place: str) -> list[str]:
        found = [self._compare(branch, writer, place) for branch in reader]
        if [] in found:
            return []
        kinds = [self._reader.resolve(branch)["type"] for branch in reader]
        if writer["type"] in kinds:
            return found[kinds.index(writer["type"])]
        expected = " or ".join(_label(self._reader.resolve(branch)) for branch in reader)
        return [f"{place}: the writer may write {_label(writer)}, the reader expects {expected}"]

    def _compare_named(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> list[str]:
        pair = (reader["name"], writer["name"])
        if pair not in self._compared:
            self._compared[pair] = []
            compare = {"record": self._compare_records, "enum": _compare_enums, "fixed": _compare_fixed}
            names = _compare_names(reader, writer, place)
            self._compared[pair] = [*names, *compare[reader["type"]](reader, writer, place)]
        return self._compared[pair]

    def _compare_records(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> Iterator[str]:
        written = {f["name"]: f for f in writer["fields"]}
        for field in reader["fields"]:
            names = (field["name"], *field.get("aliases", ()))
            source = next((written[n] for n in names if n in written), None)
            inner = f"{place}.{field['name']}"
            if source is not None:
                yield from self._compare(field["type"], source["type"], inner)
            elif "default" not in field:
                yield f"{inner}: the writer has no such field, and the reader has no default for it"

    def _compare_plain(self, reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> Iterator[str]:
        wanted, found = reader["type"], writer["type"]
        if wanted == found == "array":
            yield from self._compare(reader["items"], writer["items"], f"{place}[]")
        elif wanted == found == "map":
            yield from self._compare(reader["values"], writer["values"], f"{place}{{}}")
        elif wanted != found and wanted not in PROMOTIONS.get(found, ()):
            yield f"{place}: the writer writes {_label(writer)}, the reader expects {_label(reader)}"
        else:
            yield from _compare_logical(reader, writer, place)


def _compare_names(reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> Iterator[str]:
    known = {_short(reader["name"]), *map(_short, reader.get("aliases", ()))}
    if _short(writer["name"]) not in known:
        yield f"{place}: the writer's {writer['type']} is called {writer['name']}, the reader expects {reader['name']}"


def _compare_enums(reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> Iterator[str]:
    unknown = [s for s in writer["symbols"] if s not in reader["symbols"]]
    if unknown and "default" not in reader:
        yield f"{place}: the reader lacks the symbols {', '.join(unknown)}, and has no default symbol"


def _compare_fixed(reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> Iterator[str]:
    if reader["size"] != writer["size"]:
        yield f"{place}: the writer writes {writer['size']} bytes, the reader expects {reader['size']}"


def _compare_logical(reader: Mapping[str, Any], writer: Mapping[str, Any], place: str) -> Iterator[str]:
    wanted, found = reader.get("logicalType"), writer.get("logicalType")
    if wanted and found and wanted != found:
        yield f"{place}: the writer means {found}, the reader takes the same value for {wanted}"


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _label(node: Node) -> str:
    if isinstance(node, list):
        return "union"
    return str(node["name"]) if node["type"] in _NAMED else str(node.get("logicalType") or node["type"])
