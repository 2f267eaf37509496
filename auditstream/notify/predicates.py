"""What every filter of the query language means for one event: the twin of ``query.conditions`` without a database.

A test runs both over the same events and expressions; where they differ, this side is wrong. Values were checked by
``query.condition.check`` before they come here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_address
from typing import TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from query.fields import Row
from query.filters import enum_values
from query.networks import mapped, parse_network
from query.objects import split_object
from query.period import Clock, parse_moment

Predicate: TypeAlias = Callable[[Row], bool]

_ASCENDING = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MAPPED = IPv6Network("::ffff:0:0/96")
#: What local times are read against; the present has no part in an absolute one.
ABSOLUTE = Clock(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
_TEXTS = ("message", "outcome_reason", "actor_name", "target_name", "run_value", "task_error", "hook_error")


@dataclass(frozen=True, slots=True)
class EventTerm:
    """How one filter is answered.

    Attributes:
        fields: Fields of the event that it looks at.
        build: Turns a value into a predicate.
    """

    fields: tuple[str, ...]
    build: Callable[[str], Predicate]


def _exact(*fields: str) -> EventTerm:
    return EventTerm(fields, lambda value: lambda row: any(row[f] == value for f in fields))


def _folded(*fields: str, ids: Sequence[str] = ()) -> EventTerm:
    def build(value: str) -> Predicate:
        low = value.lower()
        return lambda row: any(row[f] == value for f in ids) or any(str(row[f]).lower() == low for f in fields)

    return EventTerm((*fields, *ids), build)


def _code(field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        if value.endswith("*"):
            return lambda row: str(row[field]).startswith(value[:-1])
        return lambda row: bool(row[field] == value)

    return EventTerm((field,), build)


def _choice(field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        wanted = {v.lower(): v for v in enum_values(field)}[value.lower()]
        return lambda row: bool(row[field] == wanted)

    return EventTerm((field,), build)


def _at_least(field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        wanted = frozenset(_ASCENDING[_ASCENDING.index(value.upper()) :])
        return lambda row: row[field] in wanted

    return EventTerm((field,), build)


def _country(field: str) -> EventTerm:
    return EventTerm((field,), lambda value: lambda row: bool(row[field] == value.upper()))


def _identity(field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        wanted = str(UUID(value))
        return lambda row: bool(row[field] == wanted)

    return EventTerm((field,), build)


def _since(field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        moment = parse_moment(value, ABSOLUTE)
        return lambda row: row[field] is not None and row[field] >= moment

    return EventTerm((field,), build)


def _until(field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        moment = parse_moment(value, ABSOLUTE)
        return lambda row: row[field] is not None and row[field] < moment

    return EventTerm((field,), build)


def _entry(field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        key, equals, wanted = value.partition("=")
        return lambda row: key in row[field] and (not equals or row[field][key] == wanted)

    return EventTerm((field,), build)


def _item_of(field: str) -> EventTerm:
    return EventTerm((field,), lambda value: lambda row: value in row[field])


def _changed(value: str) -> Predicate:
    return lambda row: any(change["field"] == value for change in row["changes"])


def _flag(field: str) -> EventTerm:
    return EventTerm((field,), lambda value: lambda row: value in str(row[field]).split(","))


def _network(value: str) -> Predicate:
    if value == "none":
        return lambda row: row["ip"] is None
    found = parse_network(value)
    first, last = map(int, mapped(found))
    whole = found.version == 6 and found.prefixlen < found.max_prefixlen and found.supernet_of(_MAPPED)

    def inside(row: Row) -> bool:
        stored = _stored(row["ip"])
        # A version 6 network this wide spans the place where version 4 addresses are kept, and `::` for none.
        return first <= stored <= last and not (whole and (stored == 0 or stored >> 32 == 0xFFFF))

    return inside


def _stored(address: str | None) -> int:
    """Return an address as the table holds it: version 4 as ``::ffff:a.b.c.d``, 0 for none."""
    if address is None:
        return 0
    found = ip_address(address)
    return int(found) | (0xFFFF << 32 if found.version == 4 else 0)


def _object(value: str) -> Predicate:
    typed = split_object(value) if "/" in value else None
    # An id may hold a slash itself, so that the text is looked for as a whole too.
    return lambda row: any(pair[1] == value or pair == typed for pair in _involved(row))


def _involved(row: Row) -> Iterator[tuple[str, str]]:
    yield row["target_type"], row["target_id"]
    yield row["parent_type"], row["parent_id"]
    for target in row["targets"]:
        yield target["type"], target["id"]


def _typed(type_field: str, id_field: str) -> EventTerm:
    def build(value: str) -> Predicate:
        wanted = split_object(value)
        return lambda row: (row[type_field], row[id_field]) == wanted

    return EventTerm((type_field, id_field), build)


def _words(value: str) -> Predicate:
    wanted = [_fold(word) for word in value.split()]
    return lambda row: all(any(word in text for text in map(_fold, _searched(row))) for word in wanted)


def _searched(row: Row) -> Iterator[str]:
    yield from (row[f] for f in _TEXTS)
    yield from (target["name"] for target in row["targets"])
    for change in row["changes"]:
        yield from (change["field"], change["before"] or "", change["after"] or "")
    for pair in row["details"].items():
        yield from pair


def _fold(text: str) -> str:
    """Return a text in lower case, letter by letter, as the database's own search does: no letter becomes several."""
    return text.lower() if text.isascii() else "".join(map(_lower, text))


def _lower(letter: str) -> str:
    lower = letter.lower()
    return lower if len(lower) == 1 and unicodedata.category(letter) == "Lu" else letter


#: How each filter is answered, by its name.
FILTERS: Mapping[str, EventTerm] = {
    "since": _since("occurred_at"),
    "until": _until("occurred_at"),
    "action": _code("event_code"),
    "category": _choice("event_category"),
    "crud": _choice("crud"),
    "kind": _choice("record_kind"),
    "outcome": _choice("outcome"),
    "outcome_code": _exact("outcome_code"),
    "severity": _choice("severity"),
    "min_severity": _at_least("severity"),
    "text": EventTerm((*_TEXTS, "targets", "changes", "details"), _words),
    "detail": _entry("details"),
    "label": _entry("labels"),
    "changed": EventTerm(("changes",), _changed),
    "flag": _flag("validation_flags"),
    "actor": _folded("actor_login", "actor_email", "actor_name", ids=("actor_id",)),
    "actor_id": _exact("actor_id"),
    "login": _folded("actor_login"),
    "name": _folded("actor_name"),
    "email": _folded("actor_email"),
    "attempted_login": _folded("auth_attempted_login"),
    "department": _folded("actor_department"),
    "actor_type": _choice("actor_type"),
    "role": _item_of("actor_roles"),
    "access_key": _exact("access_key_id"),
    "on_behalf_of": _exact("on_behalf_of_id"),
    "ip": EventTerm(("ip",), _network),
    "ip_kind": _exact("ip_kind"),
    "country": _country("geo_country"),
    "origin": _choice("origin"),
    "origin_name": _folded("origin_name"),
    "platform": _folded("platform"),
    "service": _exact("source_service"),
    "object": EventTerm(("target_type", "target_id", "parent_type", "parent_id", "targets"), _object),
    "target": _typed("target_type", "target_id"),
    "object_type": _exact("target_type"),
    "object_id": _exact("target_id"),
    "object_name": _folded("target_name"),
    "parent": _typed("parent_type", "parent_id"),
    "parent_type": _exact("parent_type"),
    "parent_id": _exact("parent_id"),
    "tenant": _exact("tenant_id"),
    "project": _exact("project_id", "project_slug"),
    "product": _exact("product"),
    "scope": _choice("scope_level"),
    "event": _identity("event_id"),
    "request": _exact("request_id"),
    "session": _exact("session_id"),
    "correlation": _exact("correlation_id"),
    "trace": _exact("trace_id"),
    "subject": _item_of("subject_ids"),
    "run": _exact("run_id"),
    "run_state": _choice("run_state"),
    "run_object": _exact("run_object_id"),
    "run_object_type": _exact("run_object_type"),
    "task": _exact("task_id"),
    "task_type": _code("task_type"),
    "task_status": _choice("task_status"),
    "export": _exact("export_id"),
    "export_state": _choice("export_state"),
    "webhook": _exact("hook_sendout_id"),
    "webhook_type": _code("hook_event_type"),
    "webhook_status": _choice("hook_status"),
    "webhook_source": _exact("hook_source_id"),
    "webhook_resend_of": _exact("hook_resend_of"),
    "webhook_created_since": _since("hook_event_created_at"),
    "webhook_created_until": _until("hook_event_created_at"),
    "webhook_sent_since": _since("hook_sent_at"),
    "webhook_sent_until": _until("hook_sent_at"),
}
