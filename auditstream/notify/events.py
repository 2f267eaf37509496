"""Events as rules and templates see them: the same rows as a read of the stored log returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv6Address
from typing import Any, cast
from uuid import UUID

import pyarrow as pa

from query.errors import nearest
from query.fields import Row, address_text, event_fields
from schemas.columns import INGESTED_AT, Column, event_columns

_Convert = Callable[[Any], Any]


class EventUnreadable(ValueError):
    """A file does not hold one event; the message says what is wrong."""


@cache
def _columns() -> Mapping[str, Column]:
    return {column.name: column for column in event_columns()}


def rows_of(table: pa.Table, fields: Iterable[str]) -> list[Row]:
    """Return rows of ``audit_events`` as a read of the log would, some fields of them.

    Args:
        table: Rows as a worker hands them to a sink.
        fields: Names of fields; ``ingested_at`` is None, as nothing is stored yet.
    """
    names = tuple(fields)
    values = {name: _field(table, name) for name in names}
    return [{name: values[name][i] for name in names} for i in range(table.num_rows)]


def _field(table: pa.Table, name: str) -> Sequence[object]:
    if name == INGESTED_AT.name:
        return [None] * table.num_rows
    columns = event_fields()[name]
    if columns == (name,):
        return _values(table, name)
    parts = [column.partition(".")[2] for column in columns]
    lists = [_values(table, column) for column in columns]
    return [
        [dict(zip(parts, items, strict=True)) for items in zip(*groups, strict=True)]
        for groups in zip(*lists, strict=True)
    ]


def _values(table: pa.Table, name: str) -> list[Any]:
    convert = _converter(_columns()[name].clickhouse_type)
    plain = table[name].to_pylist()
    return plain if convert is None else [None if value is None else convert(value) for value in plain]


def _converter(clickhouse_type: str) -> _Convert | None:
    if clickhouse_type.startswith("Map("):
        # Of a key that is there twice the database finds the first.
        return lambda pairs: dict(reversed(pairs))
    return _CONVERTERS.get(clickhouse_type)


_CONVERTERS: Mapping[str, _Convert] = {
    "UUID": lambda raw: str(UUID(bytes=raw)),
    "IPv6": lambda raw: address_text(IPv6Address(raw)),
}


def blank_event() -> Row:
    """Return an event in which every field holds the nothing of its type."""
    return {name: _nothing(name, columns) for name, columns in event_fields().items()}


def _nothing(name: str, columns: tuple[str, ...]) -> object:
    if columns != (name,):
        return []
    if name == INGESTED_AT.name:
        return None
    kind = _columns()[name].clickhouse_type
    if kind.startswith("Nullable("):
        return None
    return next(value() for prefix, value in _NOTHING.items() if kind.startswith(prefix))


_NOTHING: Mapping[str, Callable[[], object]] = {
    "UUID": lambda: str(UUID(int=0)),
    "IPv6": lambda: None,
    "Array": list,
    "Map": dict,
    "Bool": lambda: False,
    "DateTime64": lambda: datetime(1970, 1, 1, tzinfo=UTC),
    "Float": lambda: 0.0,
    "Int": lambda: 0,
    "UInt": lambda: 0,
    "String": str,
    "LowCardinality": str,
}


def sample_event() -> Row:
    """Return an event to try a template with: who, what, where and when are filled in."""
    return blank_event() | {
        "event_id": str(UUID(int=1)),
        "event_code": "example.update",
        "event_category": "update",
        "tenant_id": "example",
        "occurred_at": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        "received_at": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        "severity": "WARNING",
        "outcome": "success",
        "message": "an example",
        "actor_type": "user",
        "actor_id": "u-1",
        "actor_login": "ann",
        "actor_name": "Ann Example",
        "actor_email": "ann@example.com",
        "ip": "203.0.113.7",
        "ip_kind": "documentation",
        "target_type": "example",
        "target_id": "1",
        "target_name": "Example",
        "details": {"key": "value"},
    }


def event_of_json(data: object) -> Row:
    """Return the event of JSON data, as ``auditstream query --format json`` or the HTTP API print it.

    Args:
        data: An object with fields of an event, one with such an object as ``event``, or a list of one of these. What
            it leaves out is blank.

    Raises:
        EventUnreadable: It is something else, or a field is unknown or of another type.
    """
    if isinstance(data, list):
        if len(data) != 1:
            raise EventUnreadable(f"the file holds {len(data)} events; expected one")
        return event_of_json(data[0])
    if not isinstance(data, dict):
        raise EventUnreadable("the file holds no JSON object; expected an event with its fields")
    if isinstance(data.get("event"), dict):
        return event_of_json(data["event"])
    given = {name: value for name, value in data.items() if name not in {"title", "deliveries"}}
    return blank_event() | {name: _given(name, value) for name, value in given.items()}


def _given(name: str, value: object) -> object:
    fields = event_fields()
    if name not in fields:
        near = nearest(name, fields)
        raise EventUnreadable(f'there is no field "{name}"' + (f'; did you mean "{near}"?' if near else ""))
    model = sample_event()[name]
    if isinstance(value, str) and _is_moment(name):
        return _moment(name, value)
    if model is not None and value is not None and not _alike(model, value):
        raise EventUnreadable(f"{name} = {value!r}: expected {type(model).__name__}")
    return value


def _is_moment(name: str) -> bool:
    return name == INGESTED_AT.name or (name in _columns() and "DateTime64" in _columns()[name].clickhouse_type)


def _moment(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise EventUnreadable(f"{name} = {text!r}: expected a time such as 2026-01-31T09:30:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _alike(model: object, value: object) -> bool:
    if isinstance(model, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(cast("float", value))
    return isinstance(value, type(model)) and isinstance(value, bool) == isinstance(model, bool)
