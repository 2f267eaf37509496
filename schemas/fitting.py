"""Whether a record fits its schema: a fast look at what an encoder would change in silence, and a full explanation.

fastavro writes 1.5 as 1 and "false" as true, lets an int overflow, and takes a time without zone for UTC. An audit
event must arrive as it was meant or be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.parsing import Node, ParsedSchema

#: Whatever a caller put into a record.
Value = Any
#: True when a value may be wrong; None instead of a check when the encoder is strict enough by itself.
Check = Callable[[Any], bool]

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1
_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1
_SHOWN_CHARACTERS = 80


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _odd_int(value: Value) -> bool:
    return not (_is_integer(value) and _INT_MIN <= value <= _INT_MAX)


def _odd_time(value: Value) -> bool:
    return value.tzinfo is None if isinstance(value, datetime) else not _is_integer(value)


_ODD: Mapping[str, Check] = {
    "boolean": lambda v: not isinstance(v, bool),
    "int": _odd_int,
    "long": lambda v: not _is_integer(v),
    "float": lambda v: not _is_number(v),
    "double": lambda v: not _is_number(v),
    "timestamp-micros": _odd_time,
}


def odd_check(schema: ParsedSchema, node: Node) -> Check | None:
    """Build the fast look at one type: true when a value of it needs the full explanation.

    Args:
        schema: Schema without recursion.
        node: A place in it.
    """
    kind = schema.resolve(node)
    if isinstance(kind, list):
        return _odd_union(schema, kind)
    match kind["type"]:
        case "record":
            return _odd_record(schema, kind)
        case "array":
            return _odd_array(odd_check(schema, kind["items"]))
        case "map":
            return _odd_map(odd_check(schema, kind["values"]))
    return _ODD.get(kind.get("logicalType", ""), _ODD.get(kind["type"]))


def _odd_record(schema: ParsedSchema, kind: Mapping[str, Any]) -> Check:
    fields = [(f["name"], odd_check(schema, f["type"])) for f in kind["fields"]]
    checks = [(name, check) for name, check in fields if check]

    def check(value: Value) -> bool:
        if not isinstance(value, dict):
            return True
        return any(name in value and odd(value[name]) for name, odd in checks)

    return check


def _odd_union(schema: ParsedSchema, branches: list[Node]) -> Check | None:
    checks = [odd_check(schema, b) for b in branches if b != "null"]
    if None in checks:
        return None
    return lambda v: v is not None and all(odd(v) for odd in checks if odd)


def _odd_array(odd: Check | None) -> Check:
    return lambda v: not isinstance(v, (list, tuple)) or (odd is not None and any(map(odd, v)))


def _odd_map(odd: Check | None) -> Check:
    return lambda v: not isinstance(v, dict) or (odd is not None and any(map(odd, v.values())))


def misfits(schema: ParsedSchema, node: Node, value: Value, place: str = "") -> Iterator[str]:
    """Explain why a value cannot be written as a type.

    Args:
        schema: The whole schema.
        node: The type in it.
        value: The value.
        place: Path of the value, for example ``api.status_code``.

    Yields:
        One sentence per problem: place, value and what was expected.
    """
    kind = schema.resolve(node)
    if isinstance(kind, list):
        yield from _union_misfits(schema, kind, value, place)
        return
    match kind["type"]:
        case "record" if isinstance(value, dict):
            yield from _record_misfits(schema, kind, value, place)
        case "array" if isinstance(value, (list, tuple)):
            for position, item in enumerate(value):
                yield from misfits(schema, kind["items"], item, f"{place}[{position}]")
        case "map" if isinstance(value, dict):
            yield from _map_misfits(schema, kind, value, place)
        case _ if not _fits(kind, value):
            yield f"{place or 'the record'}: {_shown(value)}, expected {_expected(kind)}"


def _record_misfits(schema: ParsedSchema, kind: Mapping[str, Any], value: Value, place: str) -> Iterator[str]:
    fields = {f["name"]: f for f in kind["fields"]}
    for name in value.keys() - fields.keys():
        yield f"{_below(place, name)}: {_shown(value[name])}, expected no such field"
    for name, field in fields.items():
        if name in value:
            yield from misfits(schema, field["type"], value[name], _below(place, name))
        elif "default" not in field:
            yield f"{_below(place, name)}: missing, expected {_expected(schema.resolve(field['type']))}"


def _union_misfits(schema: ParsedSchema, branches: list[Node], value: Value, place: str) -> Iterator[str]:
    found = [list(misfits(schema, b, value, place)) for b in branches]
    if [] in found:
        return
    typed = [f for f, b in zip(found, branches, strict=True) if b != "null"]
    if len(typed) == 1 and value is not None:
        yield from typed[0]
    else:
        expected = " or ".join(_expected(schema.resolve(b)) for b in branches)
        yield f"{place}: {_shown(value)}, expected {expected}"


def _map_misfits(schema: ParsedSchema, kind: Mapping[str, Any], value: Value, place: str) -> Iterator[str]:
    for key, item in value.items():
        if not isinstance(key, str):
            yield f"{place}: the key {_shown(key)}, expected text"
        else:
            yield from misfits(schema, kind["values"], item, _below(place, key))


def _fits(kind: Mapping[str, Any], value: Value) -> bool:
    match kind:
        case {"logicalType": "timestamp-micros"}:
            return not _odd_time(value)
        case {"logicalType": "uuid"} if isinstance(value, UUID):
            return True
        case {"type": "enum", "symbols": symbols}:
            return value in symbols
        case {"type": "fixed", "size": size}:
            return isinstance(value, (bytes, bytearray)) and len(value) == size
    return _FITS[kind["type"]](value)


def _is_utf8(value: str) -> bool:
    # Only lone surrogates have no UTF-8 form.
    return not any("\ud800" <= c <= "\udfff" for c in value)


def _never(value: Value) -> bool:
    # Of a record, list or mapping the right kind was looked into before.
    del value
    return False


_FITS: Mapping[str, Check] = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "int": lambda v: not _odd_int(v),
    "long": lambda v: _is_integer(v) and _LONG_MIN <= v <= _LONG_MAX,
    "float": _is_number,
    "double": _is_number,
    "string": lambda v: isinstance(v, str) and _is_utf8(v),
    "bytes": lambda v: isinstance(v, (bytes, bytearray)),
    "record": _never,
    "array": _never,
    "map": _never,
}


def _expected(kind: Node) -> str:
    if isinstance(kind, list):
        return "one of several types"
    match kind:
        case {"logicalType": "timestamp-micros"}:
            return "a time with its zone, or microseconds since 1970-01-01 UTC"
        case {"type": "enum", "symbols": symbols}:
            return f"one of {', '.join(symbols)}"
        case {"type": "fixed", "size": size}:
            return f"{size} bytes"
    return _WORDS[kind["type"]]


_WORDS: Mapping[str, str] = {
    "null": "nothing",
    "boolean": "true or false",
    "int": f"a whole number from {_INT_MIN} to {_INT_MAX}",
    "long": f"a whole number from {_LONG_MIN} to {_LONG_MAX}",
    "float": "a number",
    "double": "a number",
    "string": "text that can be written as UTF-8",
    "bytes": "bytes",
    "record": "a mapping of fields",
    "array": "a list",
    "map": "a mapping from text",
}


def _shown(value: object) -> str:
    text = repr(value)
    cut = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return f"{cut} is a {type(value).__name__}" if value is not None else "None"


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
