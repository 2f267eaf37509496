"""The difference of two states of an object, as the changes of an event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from producers.event import Change

_ABSENT = object()


def as_text(value: object) -> str | None:
    """Return a value as it stands in an event: text as it is, None as None, everything else as JSON.

    Raises:
        TypeError: The value has no JSON form.
    """
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any], *, prefix: str = "") -> tuple[Change, ...]:
    """List the fields that differ, in the order of ``before``, then those that only ``after`` has.

    Mappings inside are compared field by field under a dotted path; lists and other values as a whole. A field that
    is missing on one side has None there.

    Args:
        before: State before; empty for something new.
        after: State after; empty for something deleted.
        prefix: Path that the fields stand under.

    Raises:
        TypeError: A value has no JSON form.
    """
    return tuple(_differences(before, after, prefix))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
        path = f"{prefix}.{name}" if prefix else str(name)
        if _nested(old) and _nested(new) and (isinstance(old, Mapping) or isinstance(new, Mapping)):
            yield from _differences(_mapping(old), _mapping(new), path)
        elif not _same(old, new):
            yield Change(field=path, before=as_text(_value(old)), after=as_text(_value(new)))


def _nested(value: object) -> bool:
    # An empty mapping against nothing is a difference of its own, which going into it would not show.
    return value is _ABSENT or (isinstance(value, Mapping) and bool(value))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _value(value: object) -> object:
    return None if value is _ABSENT else value


def _same(old: object, new: object) -> bool:
    # True == 1 in Python, and for an auditor they differ.
    return type(old) is type(new) and bool(old == new)
