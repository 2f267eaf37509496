"""Avro schemas as typed values: names resolved, aliases and defaults kept.

Source: Avro 1.12 specification, "Schema Declaration", https://avro.apache.org/docs/1.12.0/specification/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from consumers.decode.errors import SchemaUnsupported

#: Nesting of a schema at most; deeper ones are refused instead of exhausting the stack.
MAX_NESTING = 64
PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True, slots=True)
class Primitive:
    """A primitive type and its logical type, ``""`` for none."""

    name: str
    logical: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """Full name of a named type and the other names it goes by."""

    full: str
    aliases: frozenset[str]

    @property
    def last(self) -> str:
        """The name without its namespace."""
        return self.full.rpartition(".")[2]

    def reads(self, writer: Names) -> bool:
        """Tell whether a reader type of these names takes a writer type: same last name, or an alias."""
        return self.last == writer.last or writer.full in self.aliases or writer.last in self.aliases


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value of a constant number of bytes."""

    names: Names
    size: int


@dataclass(frozen=True, slots=True)
class Enum:
    """One of several symbols; ``default`` stands in for unknown ones when resolving, None without default."""

    names: Names
    symbols: tuple[str, ...]
    default: str | None


@dataclass(frozen=True, slots=True)
class Array:
    """Any number of items of one type."""

    items: AvroType


@dataclass(frozen=True, slots=True)
class Map:
    """Any number of values of one type, each under a string."""

    values: AvroType


@dataclass(frozen=True, slots=True)
class Union:
    """One of several types."""

    branches: tuple[AvroType, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record; ``default`` means something only if ``has_default``."""

    name: str
    type: AvroType
    aliases: frozenset[str]
    has_default: bool
    default: Any


@dataclass(eq=False)
class Record:
    """A record; fields are filled in after construction, since they may refer to it."""

    names: Names
    fields: list[Field] = field(default_factory=list)

    # Both answers are kept: a few named types that use each other twice have 2^n paths.
    @cached_property
    def recursive(self) -> bool:
        """Whether a value of this record can hold another one of itself."""
        return any(_reaches(f.type, self, set()) for f in self.fields)

    @cached_property
    def empty(self) -> bool:
        """Whether a value of this record takes no bytes."""
        return not self.recursive and all(takes_no_bytes(f.type) for f in self.fields)


AvroType = Primitive | Fixed | Enum | Array | Map | Union | Record
NULL = Primitive("null")


def children(kind: AvroType) -> tuple[AvroType, ...]:
    """Return the types that a type is directly made of."""
    match kind:
        case Array(items):
            return (items,)
        case Map(values):
            return (values,)
        case Union(branches):
            return branches
        case Record():
            return tuple(f.type for f in kind.fields)
    return ()


def _reaches(kind: AvroType, target: Record, seen: set[int]) -> bool:
    if kind is target:
        return True
    if id(kind) in seen:
        return False
    seen.add(id(kind))
    return any(_reaches(child, target, seen) for child in children(kind))


def takes_no_bytes(kind: AvroType) -> bool:
    """Tell whether every value of a type is encoded in zero bytes (null, empty record, fixed of size 0)."""
    match kind:
        case Primitive(name):
            return name == "null"
        case Fixed():
            return kind.size == 0
        case Record():
            return kind.empty
    return False


def parse_schema(schema: Any) -> Record:
    """Parse a schema whose outermost type is a record.

    Args:
        schema: The schema as JSON data.

    Raises:
        SchemaUnsupported: It is not valid Avro, or not a record; the place is named.
    """
    try:
        kind = _Parser().parse(schema, "", "schema", 0)
    except (KeyError, TypeError, AttributeError) as error:
        raise SchemaUnsupported("schema", f"not a valid Avro schema ({error!r})") from error
    if not isinstance(kind, Record):
        raise SchemaUnsupported("schema", "the outermost type must be a record")
    return kind


class _Parser:
    def __init__(self) -> None:
        self._named: dict[str, Fixed | Enum | Record] = {}

    def parse(self, schema: Any, namespace: str, place: str, nesting: int) -> AvroType:  # noqa: PLR0911 - one a form
        if nesting > MAX_NESTING:
            raise SchemaUnsupported(place, f"types nested more than {MAX_NESTING} deep")
        if isinstance(schema, str):
            return self._reference(schema, namespace, place)
        if isinstance(schema, list):
            return self._union(schema, namespace, place, nesting)
        match schema["type"]:
            case "record" | "error":
                return self._record(schema, namespace, place, nesting)
            case "enum":
                return self._enum(schema, namespace, place)
            case "fixed":
                return self._fixed(schema, namespace, place)
            case "array":
                return Array(self.parse(schema["items"], namespace, place, nesting + 1))
            case "map":
                return Map(self.parse(schema["values"], namespace, place, nesting + 1))
            case str(name) if name in PRIMITIVES:
                return Primitive(name, str(schema.get("logicalType", "")))
            case other:
                return self.parse(other, namespace, place, nesting + 1)

    def _reference(self, name: str, namespace: str, place: str) -> AvroType:
        if name in PRIMITIVES:
            return Primitive(name)
        found = self._named.get(_full(name, namespace)) or self._named.get(name)
        if found is None:
            raise SchemaUnsupported(place, f"no type {name!r} is defined before its use")
        return found

    def _union(self, branches: list[Any], namespace: str, place: str, nesting: int) -> Union:
        kinds = tuple(self.parse(b, namespace, place, nesting + 1) for b in branches)
        if not kinds or any(isinstance(k, Union) for k in kinds):
            raise SchemaUnsupported(place, "a union needs branches, and none of them a union")
        keys = [k.names.full if isinstance(k, Fixed | Enum | Record) else getattr(k, "name", type(k)) for k in kinds]
        if len(set(keys)) < len(keys):
            raise SchemaUnsupported(place, "a union has two branches of one type")
        return Union(kinds)

    def _names(self, schema: Mapping[str, Any], namespace: str) -> tuple[Names, str]:
        full = _full(schema["name"], schema.get("namespace", namespace))
        space = full.rpartition(".")[0]
        aliases = frozenset(a for alias in schema.get("aliases", ()) for a in (alias, _full(alias, space)))
        return Names(full, aliases), space

    def _define(self, kind: Fixed | Enum | Record, place: str) -> None:
        if kind.names.full in self._named:
            raise SchemaUnsupported(place, f"the type {kind.names.full!r} is defined twice")
        self._named[kind.names.full] = kind

    def _record(self, schema: Mapping[str, Any], namespace: str, place: str, nesting: int) -> Record:
        names, space = self._names(schema, namespace)
        record = Record(names)
        self._define(record, place)
        place = names.last if place == "schema" else place
        for f in schema["fields"]:
            kind = self.parse(f["type"], space, f"{place}.{f['name']}", nesting + 1)
            aliases = frozenset(f.get("aliases", ()))
            record.fields.append(Field(f["name"], kind, aliases, "default" in f, f.get("default")))
        if len({f.name for f in record.fields}) < len(record.fields):
            raise SchemaUnsupported(place, "two fields have one name")
        return record

    def _enum(self, schema: Mapping[str, Any], namespace: str, place: str) -> Enum:
        names, _ = self._names(schema, namespace)
        symbols, default = tuple(schema["symbols"]), schema.get("default")
        if len(set(symbols)) < len(symbols) or (default is not None and default not in symbols):
            raise SchemaUnsupported(place, "an enum needs distinct symbols, and its default among them")
        enum = Enum(names, symbols, default)
        self._define(enum, place)
        return enum

    def _fixed(self, schema: Mapping[str, Any], namespace: str, place: str) -> Fixed:
        names, _ = self._names(schema, namespace)
        size = schema["size"]
        if not isinstance(size, int) or not 0 <= size < 1 << 20:
            raise SchemaUnsupported(place, f"a fixed type of {size!r} bytes; 0 to 1048575 are read")
        fixed = Fixed(names, size)
        self._define(fixed, place)
        return fixed


def _full(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
