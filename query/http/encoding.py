"""Rows as JSON: times as ISO 8601 in UTC, bytes as base64."""

from __future__ import annotations

import base64

import orjson

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def to_json(value: object) -> bytes:
    """Return a value as JSON in UTF-8; moments keep their microseconds and end with Z or their offset."""
    return orjson.dumps(value, default=_other, option=_OPTIONS)


def _other(value: object) -> object:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
