"""Filters that dead letters and stored ranges share, as they stand in the address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from query.http.problems import Problem
from query.period import EXPECTED, parse_moment
from query.web.clock import clock_of
from query.web.visit import Visit

_MOST_PARTITION = 2**31 - 1
_MOST_OFFSET = 2**63 - 1


def range_filters(visit: Visit) -> Mapping[str, Any]:
    """Return topic, topic id, partition and period of an address, None for what is not given.

    Raises:
        Problem: A value is not understood; names the parameter.
    """
    return {
        "topic": given(visit, "topic"),
        "topic_id": topic_id(given(visit, "topic_id")),
        "partition": _number(visit, "partition", _MOST_PARTITION),
        "since": _moment(visit, "since"),
        "until": _moment(visit, "until"),
    }


def offset_of(visit: Visit) -> int | None:
    """Return the offset of an address, None when it is not given.

    Raises:
        Problem: It is no offset.
    """
    return _number(visit, "offset", _MOST_OFFSET)


def given(visit: Visit, name: str) -> str | None:
    """Return the text of a parameter; an empty one, as forms send it, is none."""
    return visit.values.text(name) or None


def topic_id(text: str | None) -> UUID | None:
    """Return the id of a topic.

    Raises:
        Problem: The text is no UUID.
    """
    try:
        return UUID(text) if text else None
    except ValueError:
        detail = f'topic_id is "{str(text)[:80]}"; expected a UUID'
        raise Problem("invalid-parameter", detail, parameter="topic_id", expected="a UUID") from None


def _number(visit: Visit, name: str, most: int) -> int | None:
    return visit.values.number(name, 0, 0, most) if given(visit, name) else None


def _moment(visit: Visit, name: str) -> datetime | None:
    text = given(visit, name)
    if text is None:
        return None
    try:
        return parse_moment(text, clock_of(visit))
    except ValueError as error:
        raise Problem("invalid-parameter", f"{name}: {error}", parameter=name, expected=EXPECTED) from None
