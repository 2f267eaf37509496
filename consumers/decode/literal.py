"""Defaults of reader fields, encoded as Avro so that the interpreter reads them like any other value."""

from __future__ import annotations

import struct
from typing import Any

from consumers.decode.errors import SchemaUnsupported
from consumers.decode.schema import NULL, Array, AvroType, Enum, Field, Fixed, Map, Primitive, Record, Union


def is_zero(kind: AvroType, value: Any) -> bool:
    """Tell whether a default is what an unwritten column holds anyway, so that nothing has to be stored."""
    match kind:
        case Record():
            return all(is_zero(f.type, field_default(f, value, "")) for f in kind.fields)
        case Union():
            return value is None
        case Enum() | Fixed():
            return False
    # -0.0 equals 0 and is another value.
    return not value and not (isinstance(value, float) and str(value).startswith("-"))


def field_default(field: Field, record: Any, place: str) -> Any:
    """Return a field of a default record, or the field's own default.

    Raises:
        SchemaUnsupported: The default names no value for a field without default.
    """
    if isinstance(record, dict) and field.name in record:
        return record[field.name]
    if not field.has_default:
        raise SchemaUnsupported(place, f"the default has no value for {field.name!r}")
    return field.default


def encode(kind: AvroType, value: Any, place: str) -> bytes:
    """Encode a default.

    Args:
        kind: Its type in the reader schema.
        value: The default as JSON data; bytes and fixed as text of code points 0 to 255.
        place: Where it stands, for errors.

    Raises:
        SchemaUnsupported: The default does not fit its type.
    """
    try:
        return _encode(kind, value, place)
    except (TypeError, ValueError, AttributeError, OverflowError, StopIteration, struct.error) as error:
        raise SchemaUnsupported(place, f"the default {value!r} does not fit its type") from error


def _encode(kind: AvroType, value: Any, place: str) -> bytes:  # noqa: PLR0911 - one a type
    match kind:
        case Primitive(name):
            return _primitive(name, value)
        case Enum(_, symbols):
            return _varint(symbols.index(value))
        case Fixed(_, size):
            return _sized(value.encode("latin-1"), size)
        case Array(items):
            return _blocks([_encode(items, v, place) for v in list(value)])
        case Map(values):
            return _blocks([_primitive("string", k) + _encode(values, v, place) for k, v in value.items()])
        case Record():
            return b"".join(_encode(f.type, field_default(f, value, place), place) for f in kind.fields)
        case Union(branches):
            return _union(branches, value, place)


def _union(branches: tuple[AvroType, ...], value: Any, place: str) -> bytes:
    # Avro 1.12: the first branch that the value fits; null fits only null.
    index = next(i for i, b in enumerate(branches) if (b == NULL) == (value is None))
    return _varint(index) + _encode(branches[index], value, place)


def _primitive(name: str, value: Any) -> bytes:
    if isinstance(value, bool) != (name == "boolean"):
        raise ValueError(name)
    match name:
        case "null":
            return _sized(b"" if value is None else b"?", 0)
        case "boolean":
            return bytes([value])
        case "int" | "long":
            return _integer(value, 31 if name == "int" else 63)
        case "float":
            return struct.pack("<f", value)
        case "double":
            return struct.pack("<d", value)
    data: bytes = value.encode("latin-1" if name == "bytes" else "utf-8")
    return _varint(len(data)) + data


def _integer(value: Any, bits: int) -> bytes:
    if not isinstance(value, int) or not -(1 << bits) <= value < 1 << bits:
        raise ValueError(value)
    return _varint(value)


def _sized(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ValueError(data)
    return data


def _blocks(items: list[bytes]) -> bytes:
    return (_varint(len(items)) + b"".join(items) if items else b"") + b"\0"


def _varint(value: int) -> bytes:
    # Zigzag: Avro 1.12 specification, "Binary encoding".
    rest, out = (value << 1) ^ (value >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)
