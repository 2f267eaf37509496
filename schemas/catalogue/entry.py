"""One event code and what is known about it before any event arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from schemas.catalogue.title import Title
from schemas.columns import avro_schema, wire_columns
from schemas.published import newest

#: Classes of retention that ship; the settings say how many days each lasts, and may add others.
RETENTION_CLASSES = ("debug", "api", "operational", "business", "security", "compliance", "permanent")

#: Fields that hold personal data in every event, whatever its code.
PERSONAL_FIELDS = (
    "actor_login",
    "actor_name",
    "actor_email",
    "actor_department",
    "actor_avatar_url",
    "ip",
    "ip_chain",
    "user_agent",
    "auth.attempted_login",
)

#: Category -> coarse verb, where a catalogue file does not say otherwise.
CRUD_OF_CATEGORY: Mapping[str, str] = {
    "create": "c",
    "import": "c",
    "read": "r",
    "export": "r",
    "update": "u",
    "activate": "u",
    "deactivate": "u",
    "complete": "u",
    "bind": "u",
    "unbind": "u",
    "enable": "u",
    "disable": "u",
    "anonymize": "u",
    "delete": "d",
    "purge": "d",
}
#: Coarse verb of every other category.
OTHER_CRUD = "x"
_MAPS = ("details", "labels")


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """What the catalogue says about one event code.

    Attributes:
        code: Stable key of the event, for example ``campaign.activate``.
        title: Template of the sentence that readers see.
        category: Normal form of the action, a symbol of the schema's EventCategory.
        crud: Coarse verb, a symbol of the schema's Crud.
        record_kind: Which view the event belongs to, a symbol of the schema's RecordKind.
        object_type: Type of the main object, empty when there is none.
        product: Functional area, empty when the event belongs to none.
        retention_class: Class whose days of retention apply.
        personal_data: Paths of fields with personal data, beyond ``PERSONAL_FIELDS``.
        capture_level: How much of a call is captured, a symbol of the schema's CaptureLevel.
        severity: Level at which the event is emitted, a symbol of the schema's Severity.
        description: One sentence for the reference page.
        place: File and line that define it.
    """

    code: str
    title: Title
    category: str
    crud: str
    record_kind: str
    object_type: str
    product: str
    retention_class: str
    personal_data: tuple[str, ...]
    capture_level: str
    severity: str
    description: str
    place: str = field(compare=False)

    def as_row(self) -> dict[str, Any]:
        """Return the entry as plain values by column, in the order of the attributes, without ``place``."""
        return {
            "code": self.code,
            "title": self.title.template,
            "category": self.category,
            "crud": self.crud,
            "record_kind": self.record_kind,
            "object_type": self.object_type,
            "product": self.product,
            "retention_class": self.retention_class,
            "personal_data": list(self.personal_data),
            "capture_level": self.capture_level,
            "severity": self.severity,
            "description": self.description,
        }


@cache
def symbols(enum: str) -> tuple[str, ...]:
    """Return the symbols of an enum of the newest AuditEvent schema that an entry may name.

    Args:
        enum: Name of the enum, for example ``EventCategory``.

    Raises:
        KeyError: The schema has no such enum.
    """
    found = _enums(avro_schema("audit_event", newest("audit_event").version))[enum]
    return tuple(s for s in found if s != "unspecified")


def _enums(node: Any) -> dict[str, list[str]]:  # noqa: ANN401 - any place of a schema
    if isinstance(node, list):
        return {k: v for part in node for k, v in _enums(part).items()}
    if not isinstance(node, dict):
        return {}
    if node.get("type") == "enum":
        return {node["name"]: node["symbols"]}
    return {k: v for part in node.values() for k, v in _enums(part).items()}


@cache
def event_paths() -> frozenset[str]:
    """Return the paths of all fields of an event, as the decoder names them."""
    return frozenset(c.path for c in wire_columns())


def is_event_path(path: str) -> bool:
    """Tell whether a path names a field of an event, or an entry of its details or labels."""
    map_name, dot, key = path.partition(".")
    return path in event_paths() or (map_name in _MAPS and bool(dot and key))
