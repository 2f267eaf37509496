"""Masking of a whole record before it is encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from producers.masking.clean import CleanTexts
from producers.masking.rules import MASK, Hits, Rules
from producers.masking.text import TextMasker
from producers.settings import ProducerSettings

#: Texts that services fill with what they were given. Identifiers are left alone: masking them would join events that
#: do not belong together, and a number that passes a check digit is no secret for being one.
TEXT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "": (
        "message",
        "outcome_code",
        "outcome_reason",
        "actor_avatar_url",
        "access_key_id",
        "origin_name",
        "user_agent",
        "target_name",
        "resource_query",
        "resource_ref",
        "resource_snapshot",
        "status_before",
        "status_after",
    ),
    "api": ("route", "operation", "query_params", "request_body", "response_body"),
    "auth": ("logout_reason", "attempted_login"),
    "run": ("value",),
    "task": ("result", "error"),
    "export": ("filters", "params", "manifest_ref"),
    "hook": ("url", "error", "payload_ref"),
    "access": ("purpose", "ticket"),
}
_MAPS = ("details", "labels")
_BLOCKS = tuple(block for block in TEXT_FIELDS if block)
#: Paths of all texts that are looked at, in maps names as well as values.
LOOKED_AT = frozenset(
    {f"{block}.{name}" if block else name for block, names in TEXT_FIELDS.items() for name in names}
    | {*_MAPS, "targets.name", "changes.field", "changes.before", "changes.after"}
)


class Masker:
    """Masks the secrets of records and notes in ``redactions`` what it did. Thread-safe.

    Attributes:
        clean: The cheap look at single texts, under the same rules.
    """

    def __init__(self, settings: ProducerSettings) -> None:
        """Compile the rules.

        Raises:
            ProducerMisconfigured: A rule is wrong.
        """
        self._rules = Rules(settings)
        self._text = TextMasker(self._rules)
        self.clean = CleanTexts(self._rules)

    def apply(self, record: dict[str, Any]) -> None:
        """Mask a record in place; one that holds nothing suspicious is only looked at.

        Args:
            record: A sparse record as ``producers.records`` makes it.
        """
        if not self._rules.may_match("\n".join(_texts(record))):
            return
        found: list[tuple[str, Hits]] = []
        for block, names in TEXT_FIELDS.items():
            found += self._fields(record if not block else record.get(block) or {}, block, names)
        for name in _MAPS:
            if name in record:
                record[name] = self._map(record[name], name, found)
        self._targets(record, found)
        self._changes(record, found)
        _note(record, found)

    def _fields(self, holder: dict[str, Any], block: str, names: tuple[str, ...]) -> Iterator[tuple[str, Hits]]:
        for name in names:
            text = holder.get(name)
            if text:
                hits: Hits = {}
                holder[name] = self._text.mask(text, hits)
                yield (f"{block}.{name}" if block else name), hits

    def _map(self, pairs: Mapping[str, str], path: str, found: list[tuple[str, Hits]]) -> dict[str, str]:
        result: dict[str, str] = {}
        for key, value in pairs.items():
            hits: Hits = {}
            name = self._rules.mask_patterns(key, hits)
            while name in result:  # two keys that differ in their secret only
                name += "*"
            result[name] = self._value(key, value, hits)
            found.append((f"{path}.{name}", hits))
        return result

    def _value(self, name: str, value: str, hits: Hits) -> str:
        if not self._rules.is_secret(name):
            return self._text.mask(value, hits)
        if value in ("", MASK):
            return value
        hits["name"] = hits.get("name", 0) + 1
        return MASK

    def _targets(self, record: dict[str, Any], found: list[tuple[str, Hits]]) -> None:
        for target in record.get("targets") or ():
            found += self._fields(target, "targets", ("name",))

    def _changes(self, record: dict[str, Any], found: list[tuple[str, Hits]]) -> None:
        for change in record.get("changes") or ():
            hits: Hits = {}
            for side in ("before", "after"):
                if change.get(side):
                    change[side] = self._value(change.get("field", ""), change[side], hits)
            change["field"] = self._rules.mask_patterns(change.get("field", ""), hits)
            if hits:
                change["masked"] = True
            found.append((f"changes.{change['field']}", hits))


def _texts(record: Mapping[str, Any]) -> Iterator[str]:
    get = record.get
    for name in TEXT_FIELDS[""]:
        text = get(name)
        if text:
            yield text
    for block in _BLOCKS:
        filled = get(block)
        if filled:
            yield from (filled[name] for name in TEXT_FIELDS[block] if filled.get(name))
    for name in _MAPS:
        pairs = get(name)
        if pairs:
            yield from pairs
            yield from pairs.values()
    for target in get("targets") or ():
        yield target.get("name", "")
    for change in get("changes") or ():
        yield from (change.get("field", ""), change.get("before") or "", change.get("after") or "")


def _note(record: dict[str, Any], found: list[tuple[str, Hits]]) -> None:
    counts: dict[tuple[str, str], int] = {}
    for field, hits in found:
        for rule, count in hits.items():
            counts[field, rule] = counts.get((field, rule), 0) + count
    if counts:
        noted = [{"field": f, "rule": r, "count": n} for (f, r), n in counts.items()]
        record["redactions"] = [*record.get("redactions", ()), *noted]
