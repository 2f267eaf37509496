"""Which size limit holds for which field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consumers.settings import ValidateSettings
from consumers.validation.reasons import Reason
from schemas.columns import avro_schema

BODIES = frozenset({"api.query_params", "api.request_body", "api.response_body"})

#: Fields of free text, URIs and what outsiders send (headers, tried logins: nobody shall be able to push the record of
#: his own request aside by sending a long one); all other strings are identifiers, codes or names. ``*`` marks the
#: values of a map.
TEXTS = frozenset(
    {
        "message", "details.*", "labels.*", "outcome_reason", "actor_avatar_url", "user_agent", "ip_chain",
        "auth.attempted_login", "resource_query", "resource_ref", "resource_snapshot", "changes.before",
        "changes.after", "api.route", "run.value", "task.result", "task.error", "export.filters", "export.params",
        "export.manifest_ref", "hook.url", "hook.error", "hook.payload_ref", "access.purpose", "access.ticket",
    }
)  # fmt: skip
#: Checked by its syntax alone, which fixes its length.
UNLIMITED = frozenset({"event_id"})


@dataclass(frozen=True, slots=True)
class Limit:
    """A size that strings of a field may have.

    Attributes:
        reason: Reason to give when it is exceeded.
        max_bytes: Bytes at most.
    """

    reason: Reason
    max_bytes: int


def limit_of(path: str, settings: ValidateSettings) -> Limit:
    """Return the limit for the strings under a path; map keys have that of an identifier."""
    if path in BODIES:
        return Limit(Reason.BODY_TOO_LONG, settings.max_body_bytes)
    if path in TEXTS:
        return Limit(Reason.TEXT_TOO_LONG, settings.max_text_bytes)
    return Limit(Reason.KEY_TOO_LONG, settings.max_key_bytes)


def _fields(fields: list[Mapping[str, Any]], prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield path, path of the list that holds the values (or the same path), and type without null."""
    for field in fields:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        kind = next(k for k in branches if k != "null")
        path = f"{prefix}{field['name']}"
        match kind:
            case {"type": "record"}:
                yield path, path, {"type": "block"}
                yield from _fields(kind["fields"], f"{path}.")
            case {"type": "array", "items": {"type": "record"} as item}:
                yield from ((p, path, {"type": "array", "items": k}) for p, _, k in _fields(item["fields"], f"{path}."))
            case _:
                yield path, path, kind


@dataclass(frozen=True, slots=True)
class Fields:
    """Paths of the event's fields by what has to be checked.

    Attributes:
        strings: Scalar strings.
        string_lists: Lists of strings.
        lists: All lists, also those of numbers; one per group of lists that share their lengths.
        maps: Maps of strings.
        times: Timestamps, ``occurred_at`` first.
        blocks: Nullable records.
        enums: Enumerations.
    """

    strings: tuple[str, ...]
    string_lists: tuple[str, ...]
    lists: tuple[str, ...]
    maps: tuple[str, ...]
    times: tuple[str, ...]
    blocks: tuple[str, ...]
    enums: tuple[str, ...]


def event_fields() -> Fields:
    """Sort the fields of the newest AuditEvent schema."""
    found: dict[str, list[str]] = {name: [] for name in Fields.__slots__}
    lists: dict[str, str] = {}
    for path, group, kind in _fields(avro_schema("audit_event", 1)["fields"]):
        match kind:
            case "string" | {"type": "string"}:
                found["strings"].append(path)
            case {"type": "array", "items": item}:
                lists.setdefault(group, path)
                if item == "string":
                    found["string_lists"].append(path)
            case {"type": "map"}:
                found["maps"].append(path)
            case {"type": "enum"}:
                found["enums"].append(path)
            case {"type": "block"}:
                found["blocks"].append(path)
            case {"logicalType": "timestamp-micros"}:
                found["times"].append(path)
    found["lists"] = list(lists.values())
    found["times"].sort(key=lambda path: path != "occurred_at")
    return Fields(**{name: tuple(paths) for name, paths in found.items()})
