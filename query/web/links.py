"""Addresses within the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

#: What browsers take for another host, or cut off.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


def local_path(given: str, default: str = "/") -> str:
    """Return where to go on, as long as it lies on this host; else the default."""
    if not given.startswith("/") or given.startswith("//") or _UNSAFE.search(given):
        return default
    parts = urlsplit(given)
    return default if parts.scheme or parts.netloc else given


def address(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return a path with its query part."""
    query = urlencode(list(pairs))
    return f"{path}?{query}" if query else path


def changed(pairs: Iterable[tuple[str, str]], changes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the pairs of a query part with some of them replaced.

    Args:
        pairs: Names and values as they are.
        changes: Name to its new value, to a list of new values, or to None to take it out.
    """
    kept = [(name, value) for name, value in pairs if name not in changes]
    return [*kept, *added(changes)]


def added(changes: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the pairs of values given by name; lists give several, None gives none."""
    for name, value in changes.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        yield from ((name, str(v)) for v in values if v is not None)


def without(given: str, *names: str) -> str:
    """Return an address without some names of its query part."""
    parts = urlsplit(given)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in names]
    return address(parts.path, kept)
