"""From what a service hands over (AuditEvent, or a plain or JSON dict) to a sparse record of the Avro schema.

Sparse: a field that is left out has the schema's default. Names are those of the schema; ``actor``, ``target`` and
``origin`` may also be objects, with the names of the classes in ``producers.event``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from producers.errors import InvalidEvent
from producers.event import Actor, AuditEvent, Origin, Target
from producers.fields import Convert, converter, event_id_of, items_of, nearest
from producers.identity import new_event_id
from schemas.columns import avro_schema

Record = dict[str, Any]

#: Version of the envelope that this code writes.
SCHEMA_VERSION = 1
SCHEMA: Mapping[str, Any] = avro_schema("audit_event", SCHEMA_VERSION)
#: What every event says unless it says otherwise.
ENVELOPE = {"schema_version": f"{SCHEMA_VERSION}.0"}

#: Typed block -> the record kind that needs it.
BLOCK_KINDS: Mapping[str, str] = {
    "api": "api_call",
    "auth": "auth",
    "run": "run_log",
    "task": "task",
    "export": "export",
    "hook": "webhook",
    "access": "access",
}
#: Typed block -> the block that may stand beside it: the call by which a webhook was sent, with what it sent.
_BESIDE = {"hook": "api"}
_KIND_BLOCKS = {kind: block for block, kind in BLOCK_KINDS.items()}

_CONVERT: dict[str, Convert] = {f["name"]: converter(f["type"], f["name"]) for f in SCHEMA["fields"]} | {
    "event_id": event_id_of
}


def _flat_names(group: str, of: type[Any]) -> dict[str, str]:
    names = {f.name: f"{group}_{f.name}" for f in fields(of)}
    return {name: flat if flat in _CONVERT else name for name, flat in names.items()}


#: Group -> name inside it -> name in the schema.
GROUPS: Mapping[str, Mapping[str, str]] = {
    "actor": _flat_names("actor", Actor),
    "target": _flat_names("target", Target),
    "origin": _flat_names("origin", Origin) | {"kind": "origin"},
}
_KNOWN = (*_CONVERT, *(g for g in GROUPS if g not in _CONVERT))


def to_record(event: AuditEvent | Mapping[str, Any]) -> Record:
    """Convert an event, checked and complete, into a sparse record.

    Raises:
        InvalidEvent: A field is unknown, has a wrong value, is missing, or contradicts another.
    """
    record = ENVELOPE.copy()
    items = items_of(event) if isinstance(event, AuditEvent | Mapping) else None
    if items is None:
        raise InvalidEvent("event", event, "an AuditEvent or an object")
    _fill(record, items)
    _complete(record)
    return record


def _fill(record: Record, items: Iterable[tuple[str, Any]]) -> None:
    for name, value in items:
        if value is None:
            continue
        convert = _CONVERT.get(name)
        if convert is None or (name == "origin" and not isinstance(value, str)):
            _fill_group(record, name, value)
        else:
            _put(record, name, convert(value))


def _fill_group(record: Record, group: str, value: object) -> None:
    flat = GROUPS.get(group)
    if flat is None:
        raise InvalidEvent(str(group), value, f"a field of the schema{nearest(str(group), _KNOWN)}")
    items = items_of(value)
    if items is None:
        raise InvalidEvent(group, value, f"an object with {', '.join(flat)}")
    for name, item in items:
        if name not in flat:
            raise InvalidEvent(f"{group}.{name}", item, f"a field of {group}{nearest(str(name), flat)}")
        if item is not None:
            _put(record, flat[name], _CONVERT[flat[name]](item))


def _put(record: Record, name: str, value: object) -> None:
    # The default of schema_version is ours to replace; any other field given twice with two values is a mistake.
    if name in record and record[name] != value and name != "schema_version":
        raise InvalidEvent(name, value, f"the value given before, {record[name]!r}")
    record[name] = value


def _complete(record: Record) -> None:
    for name in ("event_code", "tenant_id"):
        if not record.get(name):
            raise InvalidEvent(name, record.get(name), "a text that is not empty; it is required")
    _settle_kind(record)
    if "event_id" not in record:
        record["event_id"] = new_event_id()
    if "occurred_at" not in record:
        record["occurred_at"] = time.time_ns() // 1000


def _settle_kind(record: Record) -> None:
    blocks = [block for block in BLOCK_KINDS if block in record]
    blocks = [block for block in blocks if not any(_BESIDE.get(other) == block for other in blocks)]
    if len(blocks) > 1:
        raise InvalidEvent(blocks[1], record[blocks[1]], f"allowed beside {blocks[0]}: an event has one typed block")
    kind = record.setdefault("record_kind", BLOCK_KINDS[blocks[0]] if blocks else "action")
    needed = _KIND_BLOCKS.get(kind)
    if needed is not None and blocks != [needed]:
        raise InvalidEvent("record_kind", kind, f"possible without the block {needed}")
    if blocks and BLOCK_KINDS[blocks[0]] != kind:
        raise InvalidEvent("record_kind", kind, f"{BLOCK_KINDS[blocks[0]]}, which the block {blocks[0]} belongs to")
