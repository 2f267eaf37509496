"""Avro schemas, checked and with every name in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fastavro

from schemas.errors import SchemaInvalid

#: One place of a parsed schema: the name of a type, a union as a list, or an object with ``type``.
Node = Any

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclass(frozen=True, slots=True)
class ParsedSchema:
    """A valid schema in which names are written in full.

    Attributes:
        root: Its outermost type.
        named: Records, enums and fixed types by full name.
    """

    root: Node
    named: Mapping[str, Mapping[str, Any]]

    def resolve(self, node: Node) -> Node:
        """Return a union as a list and every other type as an object with ``type``, following names."""
        if isinstance(node, list):
            return node
        if isinstance(node, str):
            return {"type": node} if node in PRIMITIVES else self.named[node]
        return self.named.get(node["type"], node)


def parse(schema: Node, what: str) -> ParsedSchema:
    """Check a schema and write its names in full.

    Args:
        schema: The schema as JSON data.
        what: Where it comes from, for the error.

    Raises:
        SchemaInvalid: It is not an Avro schema.
    """
    named: dict[str, dict[Any, Any]] = {}
    try:
        root = fastavro.parse_schema(schema, named)
    except (fastavro.schema.SchemaParseException, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SchemaInvalid(what, f"{type(error).__name__}: {error}") from error
    for name, kind in named.items():
        _refuse_repeated_fields(name, kind, what)
    return ParsedSchema(root, named)


def _refuse_repeated_fields(name: str, kind: Mapping[str, Any], what: str) -> None:
    names = [f["name"] for f in kind.get("fields", ())]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise SchemaInvalid(what, f"record {name} has several fields of the name {', '.join(repeated)}")
