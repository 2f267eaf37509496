"""Conversion of single values to what the Avro schema wants, compiled from the schema once.

A converter takes a value that is not None and returns the Avro value: text, bool, int, float, a symbol, microseconds,
a dict or a list. It accepts JSON-friendly forms and refuses everything that it would have to guess.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson

from producers.changes import as_text
from producers.errors import InvalidEvent
from producers.sparse import given_to

Convert = Callable[[Any], Any]
#: An Avro type as JSON data.
Kind = Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: Text fields that take any JSON value, written as JSON text: what they hold is JSON by their documentation.
JSON_TEXT = frozenset(
    {
        "resource_snapshot",
        "changes.before",
        "changes.after",
        "api.request_body",
        "api.response_body",
        "export.filters",
        "export.params",
    }
)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``" (did you mean …?)"`` with the name most like the given one, or ``""`` when none is."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def items_of(value: object) -> Iterable[tuple[str, Any]] | None:
    """Return the names and values of a mapping or a typed dataclass, None when it is neither."""
    if isinstance(value, Mapping):
        return value.items()
    given = given_to(value)
    if given is not None:
        return given.items()
    if is_dataclass(value) and not isinstance(value, type):
        names, get = _attributes(type(value))
        return zip(names, get(value), strict=True)
    return None


@cache
def _attributes(of: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(f.name for f in fields(of))
    return names, attrgetter(*names)


def converter(kind: Kind, path: str) -> Convert:
    """Compile the converter of an Avro type.

    Args:
        kind: The type as in the schema; a union with null is converted as its other branch.
        path: Path of the field, for errors.

    Raises:
        TypeError: The schema uses a type that the envelope has never used.
    """
    if isinstance(kind, list):
        kind = next(k for k in kind if k != "null")
    kind = {"type": kind} if isinstance(kind, str) else kind
    if kind.get("logicalType") == "timestamp-micros":
        return lambda value: micros(value, path)
    scalar = _SCALARS.get(kind["type"])
    return scalar(path) if scalar else _complex(kind, path)


def _complex(kind: Kind, path: str) -> Convert:
    match kind["type"]:
        case "enum":
            return _symbol(path, kind["symbols"])
        case "map":
            return lambda value: _mapping(value, path)
        case "array":
            return _list(path, converter(kind["items"], path))
        case "record":
            return _record(path, kind["fields"])
    raise TypeError(f"{path}: no conversion for Avro {kind!r}")


def event_id_of(value: object) -> str:
    """Return an event id in canonical form.

    Raises:
        InvalidEvent: It is not a UUID.
    """
    if isinstance(value, str) and _CANONICAL_UUID.fullmatch(value):
        return value
    try:
        return str(value if isinstance(value, UUID) else UUID(str(value)))
    except (ValueError, AttributeError, TypeError):
        raise InvalidEvent("event_id", value, "a UUID, for example 0190a5c2-5b7e-7c3a-9d2e-3f4a5b6c7d8e") from None


def micros(value: object, path: str) -> int:
    """Return a point in time as microseconds since 1970-01-01 UTC; finer parts of a text are cut.

    Args:
        value: A datetime with an offset, an ISO 8601 text with an offset, or microseconds.
        path: Path of the field, for errors.

    Raises:
        InvalidEvent: It is none of these; a time without offset is refused because guessing a zone changes it.
    """
    moment = _parsed(value, path) if isinstance(value, str) else value
    if isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise InvalidEvent(path, value, "a time with its offset from UTC, for example 2026-03-01T12:00:00+00:00")
        return (moment - _EPOCH) // _MICROSECOND
    return int(_integer(path, LONG_BITS)(moment))


def _parsed(text: str, path: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        expected = "an ISO 8601 time with offset, for example 2026-03-01T12:00:00.000001Z"
        raise InvalidEvent(path, text, expected) from None


def _text_of(path: str) -> Convert:
    if path in JSON_TEXT:
        return lambda value: _json_text(value, path)

    def convert(value: object) -> str:
        if isinstance(value, str):
            return value
        raise InvalidEvent(path, value, "text")

    return convert


def _json_text(value: object, path: str) -> str:
    try:
        return as_text(value) or ""
    except orjson.JSONEncodeError:
        raise InvalidEvent(path, value, "text or a value with a JSON form") from None


#: Bits of Avro's int and long without the sign.
INT_BITS, LONG_BITS = 31, 63
#: Neither infinity nor a whole number beyond the doubles is at most this; no comparison with a NaN is true.
_LARGEST = sys.float_info.max


def _integer(path: str, bits: int) -> Convert:
    low, high = -(1 << bits), (1 << bits) - 1

    def convert(value: object) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise InvalidEvent(path, value, f"a whole number from {low} to {high}")

    return convert


def _boolean(path: str) -> Convert:
    def convert(value: object) -> bool:
        if value is True or value is False:
            return bool(value)
        raise InvalidEvent(path, value, "true or false")

    return convert


def _number(path: str) -> Convert:
    def convert(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            return float(value)
        raise InvalidEvent(path, value, "a finite number")

    return convert


def symbol_forms(symbols: Iterable[str]) -> dict[str, str]:
    """Return the symbols of an enum by the ways in which they are mostly written.

    Any case is accepted: services write Info, INFO and info, and no two symbols of an enum differ by case only.
    """
    return {form: s for s in symbols for form in (s.casefold(), s.lower(), s.upper(), s)}


def _symbol(path: str, symbols: list[str]) -> Convert:
    known = symbol_forms(symbols)

    def convert(value: object) -> str:
        found = known.get(value) if isinstance(value, str) else None
        found = known.get(value.casefold()) if found is None and isinstance(value, str) else found
        if found is None:
            raise InvalidEvent(path, value, f"one of {', '.join(symbols)}{nearest(str(value), symbols)}")
        return found

    return convert


def _mapping(value: object, path: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise InvalidEvent(path, value, "an object with text keys")
    result = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidEvent(path, key, "a text key")
        result[key] = item if isinstance(item, str) else _json_text(item, f"{path}.{key}")
    return result


def _list(path: str, convert: Convert) -> Convert:
    def convert_all(value: object) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise InvalidEvent(path, value, "a list")
        return [convert(item) for item in value]

    return convert_all


def _record(path: str, schema_fields: list[dict[str, Any]]) -> Convert:
    known = {f["name"]: converter(f["type"], f"{path}.{f['name']}") for f in schema_fields}

    def convert(value: object) -> dict[str, Any]:
        items = items_of(value)
        if items is None:
            raise InvalidEvent(path, value, f"an object with {', '.join(known)}")
        record = {}
        for name, item in items:
            if name not in known:
                raise InvalidEvent(f"{path}.{name}", item, f"a field of the schema{nearest(str(name), known)}")
            if item is not None:
                record[name] = known[name](item)
        return record

    return convert


_SCALARS: Mapping[str, Callable[[str], Convert]] = {
    "string": _text_of,
    "int": lambda path: _integer(path, INT_BITS),
    "long": lambda path: _integer(path, LONG_BITS),
    "boolean": _boolean,
    "double": _number,
}
