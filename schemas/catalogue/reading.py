"""From a catalogue file to entries, with every problem of the file at once.

A file is TOML. ``[defaults]`` holds values for all its entries; ``[[event]]`` defines one code; ``[[object]]`` is
short for an object type and the usual actions on it, one code ``<code>.<action>`` each.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from schemas.catalogue.entry import CRUD_OF_CATEGORY, OTHER_CRUD, CatalogueEntry, event_paths, is_event_path, symbols
from schemas.catalogue.title import Title

#: Action of an ``[[object]]`` -> the verb of its title. An action is a category of the event schema.
PAST_TENSE: Mapping[str, str] = {
    "create": "created",
    "read": "viewed",
    "update": "changed",
    "delete": "deleted",
    "activate": "activated",
    "deactivate": "deactivated",
    "complete": "completed",
    "enable": "enabled",
    "disable": "disabled",
    "import": "imported",
    "export": "exported",
    "anonymize": "anonymized",
    "purge": "purged",
    "send": "sent",
    "pay": "paid",
}
#: Codes are words of lower-case letters, digits and underscores, joined by dots.
CODE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
MAX_CODE_CHARACTERS = 128

#: Key of a file -> enum of the event schema that lists its values.
_ENUM_KEYS = {
    "category": "EventCategory",
    "crud": "Crud",
    "record_kind": "RecordKind",
    "capture_level": "CaptureLevel",
    "severity": "Severity",
}
_DEFAULTS: Mapping[str, Any] = {
    "object_type": "",
    "product": "",
    "record_kind": "action",
    "capture_level": "metadata",
    "severity": "INFO",
    "personal_data": [],
}
_DEFAULT_KEYS = (*_DEFAULTS, "retention_class")
_EVENT_KEYS = ("code", "title", "category", "crud", "description", *_DEFAULT_KEYS)
_REQUIRED_KEYS = ("code", "title", "category", "retention_class", "description")
_OBJECT_KEYS = ("type", "code", "name", "actions", "note", *(k for k in _DEFAULT_KEYS if k != "object_type"))
_TABLE_HEADING = re.compile(r"^\s*\[\[\s*(event|object)\s*\]\]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a catalogue file holds.

    Attributes:
        entries: Entries without problems, in the order of the file.
        places: Code and place of every entry, those with problems included.
        problems: One sentence per problem: file, line, value and what was expected.
    """

    entries: tuple[CatalogueEntry, ...]
    places: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def read_file(file: Path | Traversable, name: str, retention_classes: Sequence[str]) -> FileContent:
    """Read one catalogue file; problems are returned, not raised, so that those of several files come together.

    Args:
        file: A TOML file in UTF-8.
        name: What the file is called in places.
        retention_classes: Classes that an entry may name.
    """
    try:
        text = file.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return FileContent((), (), (f"{name}: cannot be read: {error}",))
    reading = _Reading(name, text, retention_classes)
    entries = tuple(reading.entries(tables))
    return FileContent(entries, tuple(reading.places), tuple(reading.problems))


class _Reading:
    """One file while it is read: collects problems instead of stopping at the first."""

    def __init__(self, name: str, text: str, retention_classes: Sequence[str]) -> None:
        self._name, self._text, self._classes = name, text, retention_classes
        self.problems: list[str] = []
        self.places: list[tuple[str, str]] = []

    def entries(self, tables: Mapping[str, Any]) -> Iterator[CatalogueEntry]:
        self._check_keys(self._name, tables, ("defaults", "event", "object"))
        defaults = {**_DEFAULTS, **self._defaults(tables.get("defaults", {}))}
        for place, table in self._tables(tables, "event"):
            self._check_keys(place, table, _EVENT_KEYS)
            yield from self._entry(place, {**defaults, **table})
        for place, table in self._tables(tables, "object"):
            self._check_keys(place, table, _OBJECT_KEYS)
            for event in self._object_events(place, table):
                yield from self._entry(place, {**defaults, **event})

    def _defaults(self, table: object) -> Mapping[str, Any]:
        place = f"{self._name}: [defaults]"
        if not isinstance(table, dict):
            self._problem(place, "defaults", table, "a table")
            return {}
        self._check_keys(place, table, _DEFAULT_KEYS)
        return table

    def _tables(self, tables: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        found = tables.get(kind, [])
        if not isinstance(found, list) or not all(isinstance(t, dict) for t in found):
            self._problem(self._name, kind, found, f"tables headed [[{kind}]]")
            return
        headings = [m for m in _TABLE_HEADING.finditer(self._text) if m[1] == kind]
        for number, table in enumerate(found):
            # A heading inside a multi-line string would shift the lines: then the number of the table is told.
            exact = len(headings) == len(found)
            line = self._text.count("\n", 0, headings[number].start(1)) + 1 if exact else 0
            yield (f"{self._name}:{line}" if line else f"{self._name}: [[{kind}]] number {number + 1}"), table

    def _object_events(self, place: str, table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        kind, actions = table.get("type"), table.get("actions")
        if not isinstance(kind, str) or not kind:
            self._problem(place, "type", kind, "the type of an object")
            return
        if not isinstance(actions, list) or not actions:
            self._problem(place, "actions", actions, f"a list of {', '.join(PAST_TENSE)}")
            return
        for action in actions:
            if action in PAST_TENSE:
                yield _object_event(kind, action, table)
            else:
                self._problem(place, "actions", action, f"one of {', '.join(PAST_TENSE)}")

    def _entry(self, place: str, table: Mapping[str, Any]) -> Iterator[CatalogueEntry]:
        before = len(self.problems)
        if isinstance(table.get("code"), str):
            self.places.append((table["code"], place))
        values = {"crud": CRUD_OF_CATEGORY.get(str(table.get("category")), OTHER_CRUD), **table}
        self._check_required(place, values)
        self._check_text(place, values)
        self._check_symbols(place, values)
        self._check_personal_data(place, values.get("personal_data"))
        title = self._title(place, values.get("title"))
        if title is not None and len(self.problems) == before:
            known = {k: values[k] for k in _EVENT_KEYS if k not in {"title", "personal_data"}}
            personal = tuple(values["personal_data"])
            yield CatalogueEntry(**known, title=title, personal_data=personal, place=place)

    def _title(self, place: str, template: object) -> Title | None:
        if not isinstance(template, str):
            return None
        try:
            return Title(template)
        except ValueError as error:
            self.problems.append(f"{place}: title {template!r}: {error}")
            return None

    def _check_keys(self, place: str, table: Mapping[str, Any], expected: Sequence[str]) -> None:
        for key in table.keys() - set(expected):
            near = difflib.get_close_matches(key, expected, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            self.problems.append(f"{place}: unknown key {key}{hint}, expected one of {', '.join(expected)}")

    def _check_required(self, place: str, values: Mapping[str, Any]) -> None:
        for key in _REQUIRED_KEYS:
            if key not in values:
                self.problems.append(f"{place}: {key} is missing")

    def _check_text(self, place: str, values: Mapping[str, Any]) -> None:
        for key in values.keys() & {*_EVENT_KEYS} - {"personal_data"}:
            value = values[key]
            if not isinstance(value, str) or (key in _REQUIRED_KEYS and not value.strip()):
                self._problem(place, key, value, "text")
        code = values.get("code")
        if isinstance(code, str) and (not CODE.fullmatch(code) or len(code) > MAX_CODE_CHARACTERS):
            expected = f"words of a-z, 0-9 and _ joined by dots, {MAX_CODE_CHARACTERS} characters at most"
            self._problem(place, "code", code, expected)

    def _check_symbols(self, place: str, values: Mapping[str, Any]) -> None:
        allowed = {key: symbols(enum) for key, enum in _ENUM_KEYS.items()} | {"retention_class": tuple(self._classes)}
        for key, known in allowed.items():
            value = values.get(key)
            if isinstance(value, str) and value not in known:
                self._problem(place, key, value, f"one of {', '.join(known)}")

    def _check_personal_data(self, place: str, paths: object) -> None:
        if not isinstance(paths, list):
            self._problem(place, "personal_data", paths, "a list of fields")
            return
        for path in paths:
            if not isinstance(path, str) or not is_event_path(path):
                near = difflib.get_close_matches(str(path), event_paths(), 1)
                hint = f", for example {near[0]}" if near else ""
                self._problem(place, "personal_data", path, f"a field of the event or details.NAME{hint}")

    def _problem(self, place: str, key: str, value: object, expected: str) -> None:
        self.problems.append(f"{place}: {key} is {value!r}, expected {expected}")


def _object_event(kind: str, action: str, table: Mapping[str, Any]) -> dict[str, Any]:
    name = str(table.get("name", kind.replace("_", " ")))
    note = f" {table['note']}" if "note" in table else ""
    past = PAST_TENSE[action]
    literal = re.sub(r"([\[\]{}])", r"\1\1", name)
    return {
        **{k: v for k, v in table.items() if k in _DEFAULT_KEYS},
        "code": f"{table.get('code', kind)}.{action}",
        "title": f"{{actor}} {past} {literal} {{target}}[ in {{parent_type}} {{parent}}]",
        "category": action,
        "object_type": kind,
        "description": f"{name[:1].upper()}{name[1:]} {past}.{note}",
    }
