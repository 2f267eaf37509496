"""What can be set: one record per setting, read from the models, for messages, the listing and the reference page."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from auditstream.redaction import HIDDEN, hidden

PREFIX = "AUDITSTREAM_"

#: Unit by the ending of a name; names carry their unit.
_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes", "_rows": "rows", "_days": "days"}
_LIMITS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "min_length": "length ≥", "max_length": "length ≤"}


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting.

    Attributes:
        section: Section, for example ``worker``.
        key: Name in it, for example ``batch_rows``.
        kind: Type and limits in words.
        default: Default as it would be written in the environment; empty for none.
        unit: Unit of the value, empty when it has none.
        reason: What it is for.
        secret: Whether the value must not be shown.
        shape: ``plain``, ``list`` or ``table``: how a text from the environment is read.
    """

    section: str
    key: str
    kind: str
    default: str
    unit: str
    reason: str
    secret: bool
    shape: Literal["plain", "list", "table"]
    optional: bool

    @property
    def name(self) -> str:
        """``section.key``, as in the TOML file."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """Name in the environment."""
        return f"{PREFIX}{self.section.upper()}_{self.key.upper()}"


def fields_of(settings: type[BaseModel]) -> Mapping[str, SettingField]:
    """Return every setting of a model of sections by ``section.key``, in order."""
    return {field.name: field for field in _walk(settings)}


def _walk(settings: type[BaseModel]) -> Iterator[SettingField]:
    for attribute, section in settings.model_fields.items():
        model = section.annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise TypeError(f"section {attribute} is not a model")
        for key, info in model.model_fields.items():
            yield _field(section.alias or attribute, key, info)


def _field(section: str, key: str, info: FieldInfo) -> SettingField:
    annotation = info.annotation
    return SettingField(
        section=section,
        key=key,
        kind=", ".join([_kind(annotation), *_limits(info)]),
        default=plain_text(info.get_default(call_default_factory=True)),
        unit=next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), ""),
        reason=info.description or "",
        secret=annotation is SecretStr,
        shape=_shape(annotation),
        optional=type(None) in get_args(annotation),
    )


def plain_text(value: object) -> str:
    """Return a value as it is written in the environment; secrets as stars, None as nothing."""
    match value:
        case None | "":
            return ""
        case SecretStr():
            return HIDDEN if value.get_secret_value() else ""
        case bool():
            return str(value).lower()
        case Mapping():
            return json.dumps(hidden("", value), ensure_ascii=False, default=_json_value) if value else ""
        case tuple() | list():
            return _list_text(value)
        case _:
            return str(value)


def _list_text(values: Sequence[object]) -> str:
    if any(isinstance(item, BaseModel) for item in values):
        return json.dumps([_json_value(item) for item in values], ensure_ascii=False, default=plain_text)
    return ",".join(plain_text(item) for item in values)


def _json_value(value: object) -> object:
    if isinstance(value, BaseModel):
        return hidden("", {name: getattr(value, name) for name in value.model_fields_set})
    return plain_text(value)


def _shape(annotation: object) -> Literal["plain", "list", "table"]:
    origin = get_origin(annotation)
    if origin in {tuple, list, set, frozenset}:
        return "list"
    return "table" if origin is dict else "plain"


def _kind(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{a}`" if a else "nothing" for a in arguments)
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(a) for a in arguments if a is not type(None)) + " or nothing"
    if origin is dict:
        return f"table of {_kind(arguments[1])}"
    if origin in {tuple, list}:
        return f"list of {_kind(arguments[0])}"
    return _NAMES.get(annotation) or _table(annotation)


def _table(annotation: object) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"tables with {', '.join(annotation.model_fields)}"
    return str(annotation)


_NAMES: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    SecretStr: "text, secret",
}


def _limits(info: FieldInfo) -> Iterator[str]:
    for constraint in info.metadata:
        for attribute, sign in _LIMITS.items():
            limit = getattr(constraint, attribute, None)
            if limit is not None:
                yield f"{sign} {limit:,}" if isinstance(limit, int) else f"{sign} {limit:g}"
        pattern = getattr(constraint, "pattern", None)
        if pattern:
            yield f"matching `{pattern}`"
