"""Titles: the sentence that a reader sees for an event, made from a template and the stored row.

A template is text with names in braces, ``{actor} activated campaign {target}``. A part in square brackets is left
out when one of its names has no value: ``[ in campaign {parent}]``. ``{{``, ``}}``, ``[[`` and ``]]`` stand for the
characters themselves; of three in a row the first two do. There are no formats, attributes or indexes, and values are never read as templates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Name in a template -> columns of the stored row, of which the first with a value is shown.
TEMPLATE_NAMES: Mapping[str, tuple[str, ...]] = {
    "actor": ("actor_name", "actor_login", "actor_id", "actor_type"),
    "login": ("auth_attempted_login", "actor_login", "actor_id"),
    "on_behalf_of": ("on_behalf_of_id",),
    "target": ("target_name", "target_id"),
    "target_type": ("target_type",),
    "parent": ("parent_id",),
    "parent_type": ("parent_type",),
    "tenant": ("tenant_id",),
    "project": ("project_slug", "project_id"),
    "product": ("product",),
    "origin": ("origin_name", "origin"),
    "platform": ("platform",),
    "ip": ("ip",),
    "count": ("affected_count",),
    "query": ("resource_query", "resource_ref"),
    "status_before": ("status_before",),
    "status_after": ("status_after",),
    "outcome": ("outcome",),
    "reason": ("outcome_reason", "outcome_code"),
    "message": ("message",),
    "method": ("api_method",),
    "route": ("api_route", "api_operation"),
    "status_code": ("api_status_code",),
    "logout_reason": ("auth_logout_reason",),
    "run": ("run_id",),
    "run_object": ("run_object_id",),
    "run_object_type": ("run_object_type",),
    "value": ("run_value",),
    "task": ("task_id",),
    "task_type": ("task_type",),
    "task_status": ("task_status",),
    "progress": ("task_progress_pct",),
    "export": ("export_id",),
    "export_kind": ("export_kind",),
    "format": ("export_format",),
    "rows": ("export_row_count", "access_rows_returned"),
    "sendout": ("hook_sendout_id",),
    "hook_event": ("hook_event_type",),
    "url": ("hook_url",),
    "attempt": ("hook_attempt",),
    "hook_status": ("hook_http_status",),
    "purpose": ("access_purpose",),
    "window": ("access_window",),
}

#: Shown for a name without value, outside square brackets.
UNKNOWN = "?"
#: What stands for "there is none" in columns that are not nullable.
_NOTHING = frozenset({"", "unspecified"})
_NOTHING_IN: Mapping[str, str] = {"ip": "::", "hook_attempt": "0"}
_IPV4_IN_IPV6 = "::ffff:"

_PIECE = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{[^{}\[\]]*\}|[\[\]{}]|[^\[\]{}]+")


@dataclass(frozen=True, slots=True)
class _Part:
    """Text, or a name when ``is_name``; parts of one bracket share its number, those outside have 0."""

    text: str
    is_name: bool
    bracket: int


class Title:
    """A template that was read once and is rendered often."""

    __slots__ = ("_parts", "template")

    def __init__(self, template: str) -> None:
        """Read a template.

        Args:
            template: As the module describes.

        Raises:
            ValueError: A brace or bracket has no partner, or a name is unknown; says which names there are.
        """
        self.template = template
        self._parts = tuple(_parts(template))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Title) and other.template == self.template

    def __hash__(self) -> int:
        return hash(self.template)

    def __repr__(self) -> str:
        return f"Title({self.template!r})"

    @property
    def columns(self) -> frozenset[str]:
        """Columns of the stored row that rendering looks at."""
        return frozenset(c for p in self._parts if p.is_name for c in TEMPLATE_NAMES[p.text])

    def render(self, row: Mapping[str, object]) -> str:
        """Return the sentence for one stored row.

        Args:
            row: Values by column; missing columns count as empty. Escaping for a terminal or page is the business
                of whoever shows the sentence.
        """
        values = {p.text: _value(row, p.text) for p in self._parts if p.is_name}
        hidden = {p.bracket for p in self._parts if p.is_name and p.bracket and values[p.text] is None}
        shown = (p for p in self._parts if p.bracket not in hidden)
        return "".join(values[p.text] or UNKNOWN if p.is_name else p.text for p in shown)


def _value(row: Mapping[str, object], name: str) -> str | None:
    for column in TEMPLATE_NAMES[name]:
        text = _text(row.get(column))
        if text not in _NOTHING and text != _NOTHING_IN.get(column):
            return text.removeprefix(_IPV4_IN_IPV6) if column == "ip" else text
    return None


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parts(template: str) -> Iterator[_Part]:
    bracket, opened = 0, 0
    for piece in _PIECE.findall(template):
        if piece == "[" and not bracket:
            opened += 1
            bracket = opened
        elif piece == "]" and bracket:
            bracket = 0
        elif piece in {"[", "]", "{", "}"}:
            raise ValueError(f"{piece} has no partner; written twice it stands for itself")
        elif piece[0] == "{" and piece != "{{":
            yield _Part(_known(piece[1:-1]), is_name=True, bracket=bracket)
        else:
            yield _Part(piece[0] if piece in {"{{", "}}", "[[", "]]"} else piece, is_name=False, bracket=bracket)
    if bracket:
        raise ValueError("[ has no partner; written twice it stands for itself")


def _known(name: str) -> str:
    if name not in TEMPLATE_NAMES:
        raise ValueError(f"unknown name {{{name}}}; there are {', '.join(TEMPLATE_NAMES)}")
    return name
