"""Which stored fields hold personal data, and what is shown in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from query.fields import Row
from schemas.catalogue import PERSONAL_FIELDS, Catalogue
from schemas.columns import wire_columns

#: Shown in place of a text.
MASKED = "[masked]"
BODY_FIELDS = ("api_query_params", "api_request_body", "api_response_body")


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Where personal data is, by the names that rows have: ``actor_name``, ``changes.before``, ``details.addresses``.

    Attributes:
        always: In every event.
        by_code: In events of a code, beyond ``always``.
    """

    always: frozenset[str]
    by_code: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, catalogue: Catalogue) -> PersonalData:
        """Return what a catalogue says."""
        by_code = {entry.code: frozenset(map(_row_name, entry.personal_data)) for entry in catalogue}
        always = frozenset(map(_row_name, PERSONAL_FIELDS))
        return cls(always, {code: names for code, names in by_code.items() if names})

    def codes_with(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the codes in whose events one of some columns holds personal data, beyond ``always``."""
        asked = set(columns)
        return tuple(code for code, names in self.by_code.items() if asked & {*names, *map(_column, names)})

    def hidden_in(self, code: str) -> frozenset[str]:
        """Return the names of what is personal in events of a code."""
        return self.always | self.by_code.get(code, frozenset())


def masked(row: Row, names: Iterable[str], *, blank: bool = False) -> Row:
    """Return a row in which some values are hidden.

    Args:
        row: A row as a read returns it; it is not changed.
        names: What to hide: fields, or ``field.part`` of a Nested group or map.
        blank: Leave nothing in their place instead of a mark, for sentences that have another word then.
    """
    shown = dict(row)
    for name in names:
        field, _, part = name.partition(".")
        if field in shown:
            shown[field] = _part_hidden(shown[field], part, blank=blank) if part else hidden(shown[field], blank=blank)
    return shown


def hidden(value: object, *, blank: bool = False) -> object:
    """Return what is shown in place of a value: a mark for texts, None for others; what is empty stays so."""
    match value:
        case str():
            return MASKED if value and not blank else ""
        case list() | tuple():
            return [MASKED] if value and not blank else []
        case dict():
            return {key: hidden(inner, blank=blank) for key, inner in value.items()}
    return None


def _part_hidden(value: object, part: str, *, blank: bool) -> object:
    match value:
        case list():
            return [_part_hidden(item, part, blank=blank) for item in value]
        case dict() if part in value:
            return {**value, part: hidden(value[part], blank=blank)}
    return value


def _row_name(path: str) -> str:
    found: Mapping[str, Any] = {c.path: c.name for c in wire_columns()}
    return str(found.get(path, path))


def _column(name: str) -> str:
    # Of a map the whole column is what a condition names; a Nested group has a column for each part.
    return name.partition(".")[0]
