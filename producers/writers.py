"""Checking and encoding of a value in one step, compiled from the schema once.

A writer takes a value as a service hands it over and returns its Avro encoding, if the value is of the usual kind and
holds nothing to mask. For everything else it raises one of ``UNUSUAL``, and the long way decides: ``producers.records``
converts or refuses, ``producers.masking`` masks, ``producers.encoding`` encodes. The long way is the reference; property
tests hold both equal, byte for byte.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from producers.changes import as_text
from producers.encoding import Kind, defaults_of, encode_long, encode_text
from producers.errors import InvalidEvent
from producers.fields import INT_BITS, JSON_TEXT, LONG_BITS, event_id_of, micros, symbol_forms
from producers.masking import LOOKED_AT, CleanTexts
from producers.sparse import given_to

Write = Callable[[Any], bytes]


class Unusual(Exception):
    """The value needs the long way."""


#: What writers raise.
UNUSUAL = (Unusual, InvalidEvent, LookupError, TypeError, ValueError, ArithmeticError, AttributeError)

_pack_double = struct.Struct("<d").pack


def usual_items(value: object) -> Mapping[str, Any]:
    """Return names and values of a dict or of a typed object.

    Raises:
        Unusual: It is something else, another mapping for example.
    """
    given = value if type(value) is dict else given_to(value)
    if given is None:
        raise Unusual
    return given


class Writers:
    """Compiles writers."""

    def __init__(self, clean: CleanTexts | None) -> None:
        """Choose how texts are looked at.

        Args:
            clean: Tells texts that need no masking; None when nothing is masked.
        """
        self._clean = clean

    def of(self, kind: Kind, path: str) -> Write:
        """Compile the writer of an Avro type; None is not written but left out by the caller.

        Args:
            kind: The type as in the schema.
            path: Path of the field.

        Raises:
            TypeError: The schema uses a type that the envelope has never used.
        """
        if isinstance(kind, list):
            prefix = encode_long(1 - kind.index("null"))
            write = self.of(next(k for k in kind if k != "null"), path)
            return lambda value: prefix + write(value)
        kind = {"type": kind} if isinstance(kind, str) else kind
        if path == "event_id":
            return lambda value: encode_text(event_id_of(value))
        if kind.get("logicalType") == "timestamp-micros":
            return lambda value: encode_long(value if type(value) is int and _is_long(value) else micros(value, path))
        return _SCALARS[kind["type"]] if kind["type"] in _SCALARS else self._complex(kind, path)

    def _complex(self, kind: Kind, path: str) -> Write:
        match kind["type"]:
            case "string":
                return self._json_text(path) if path in JSON_TEXT else self._text(path)
            case "enum":
                encoded = {s: encode_long(i) for i, s in enumerate(kind["symbols"])}
                return {form: encoded[s] for form, s in symbol_forms(kind["symbols"]).items()}.__getitem__
            case "map":
                return self._map(path)
            case "array":
                return _array(self.of(kind["items"], path))
            case "record":
                return self._record(path, kind["fields"])
        raise TypeError(f"{path}: no writer for Avro {kind!r}")

    def _text(self, path: str) -> Write:
        if self._clean is None or path not in LOOKED_AT:
            return encode_text
        known, has = self._clean.known, self._clean.has

        def write(value: str) -> bytes:
            if value not in known and not has(value):
                raise Unusual
            return encode_text(value)

        return write

    def _json_text(self, path: str) -> Write:
        write = self._text(path)
        return lambda value: write(value if isinstance(value, str) else as_text(value))

    def _map(self, path: str) -> Write:
        write = self._text(path)

        def write_all(value: object) -> bytes:
            pairs = usual_items(value)
            if not pairs:
                return b"\0"
            chunks = [encode_long(len(pairs))]
            for name, item in pairs.items():
                chunks += (write(name), write(item if isinstance(item, str) else as_text(item) or ""))
            chunks.append(b"\0")
            return b"".join(chunks)

        return write_all

    def _record(self, path: str, fields: Sequence[Mapping[str, Any]]) -> Write:
        places = {f["name"]: (i, self.of(f["type"], f"{path}.{f['name']}")) for i, f in enumerate(fields)}
        template = defaults_of(fields)

        def write(value: object) -> bytes:
            chunks = template.copy()
            for name, item in usual_items(value).items():
                if item is not None:
                    place, write_item = places[name]
                    chunks[place] = write_item(item)
            if not all(chunks):
                raise Unusual
            return b"".join(chunks)

        return write


def _is_long(value: int) -> bool:
    return -(1 << LONG_BITS) <= value < 1 << LONG_BITS


def _integer(bits: int) -> Write:
    low, high = -(1 << bits), (1 << bits) - 1

    def write(value: object) -> bytes:
        if type(value) is int and low <= value <= high:
            return encode_long(value)
        raise Unusual

    return write


def _boolean(value: object) -> bytes:
    if value is True:
        return b"\1"
    if value is False:
        return b"\0"
    raise Unusual


def _double(value: object) -> bytes:
    if (type(value) is float or type(value) is int) and math.isfinite(value):
        return _pack_double(value)
    raise Unusual


_SCALARS: Mapping[str, Write] = {
    "int": _integer(INT_BITS),
    "long": _integer(LONG_BITS),
    "boolean": _boolean,
    "double": _double,
}


def _array(write: Write) -> Write:
    def write_all(value: object) -> bytes:
        if not isinstance(value, list | tuple):
            raise Unusual
        return b"".join((encode_long(len(value)), *map(write, value), b"\0")) if value else b"\0"

    return write_all
