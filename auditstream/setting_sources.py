"""Where values of settings come from: the environment and the TOML file, and what is wrong with either."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditstream.setting_fields import PREFIX, SettingField

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
#: Variables with our prefix that are not settings: the file itself, and switches of the test suite.
RESERVED = (CONFIG_VARIABLE, f"{PREFIX}REQUIRE", f"{PREFIX}TEST_")


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave.

    Attributes:
        section: Section of the setting.
        key: Name in the section.
        value: The value, not yet checked.
        name: Its name where it was given.
        origin: Where it was given, in words.
    """

    section: str
    key: str
    value: Any
    name: str
    origin: str


Found = tuple[dict[str, Given], list[str]]


def from_environment(environment: Mapping[str, str], fields: Mapping[str, SettingField]) -> Found:
    """Return the values of AUDITSTREAM_ variables by ``section.key``, and the problems found.

    A list is written as JSON or with commas, a table as JSON or as ``name=value`` with commas; an empty variable
    means no value where that is possible.
    """
    by_variable = {field.variable: field for field in fields.values()}
    given: dict[str, Given] = {}
    problems: list[str] = []
    for variable in sorted(v for v in environment if v.startswith(PREFIX) and not v.startswith(RESERVED)):
        field = by_variable.get(variable)
        if field is None:
            problems.append(f"{variable} is not a setting{_nearest(variable, by_variable)}")
            continue
        try:
            value = _parsed(environment[variable], field)
        except ValueError as error:
            # Without the text: a table may hold a password among other things.
            problems.append(f"{variable} (environment): {error}")
            continue
        given[field.name] = Given(field.section, field.key, value, variable, "environment")
    return given, problems


def _parsed(text: str, field: SettingField) -> object:
    if field.shape == "plain":
        return None if field.optional and not text else text
    if text.lstrip().startswith(("[", "{")):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"expected JSON, {error}") from None
    items = [item.strip() for item in text.split(",") if item.strip()]
    return items if field.shape == "list" else dict(_pair(item, number) for number, item in enumerate(items, 1))


def _pair(item: str, number: int) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals:
        raise ValueError(f"expected JSON or name=value with commas between, entry {number} has no =")
    return name.strip(), value.strip()


def from_file(path: str | None, fields: Mapping[str, SettingField]) -> Found:
    """Return the values of the TOML file by ``section.key``, and the problems found; nothing without a path."""
    if not path:
        return {}, []
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        return {}, [f"{CONFIG_VARIABLE} = {path!r}: the file cannot be read: {error.strerror or error}"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [f"{CONFIG_VARIABLE} = {path!r}: the file is not TOML: {error}"]
    return _in_tables(content, path, fields)


def _in_tables(content: Mapping[str, Any], path: str, fields: Mapping[str, SettingField]) -> Found:
    given: dict[str, Given] = {}
    problems: list[str] = []
    sections = {field.section for field in fields.values()}
    for section, values in content.items():
        if section not in sections:
            problems.append(f"[{section}] in {path} is not a section{_nearest(section, sections)}")
            continue
        if not isinstance(values, dict):
            problems.append(f"{section} in {path}: expected a table, [{section}]")
            continue
        keys = [field.key for field in fields.values() if field.section == section]
        for key, value in values.items():
            name = f"{section}.{key}"
            if key in keys:
                given[name] = Given(section, key, value, name, path)
            else:
                problems.append(f"{name} in {path} is not a setting{_nearest(key, keys)}")
    return given, problems


def _nearest(name: str, known: Iterable[str]) -> str:
    # Without the prefix, which would make all variables look alike.
    bare = {other.removeprefix(PREFIX): other for other in known}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1, cutoff=0.6)
    return f"; did you mean {bare[close[0]]}?" if close else "; `auditstream settings` lists them all"
