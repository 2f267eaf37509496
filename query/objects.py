"""Filters by object: the main target of an event, its further targets, its parent."""

from __future__ import annotations

from query.conditions import Build, either
from query.parameters import Parameters
from query.period import Clock


def typed_object(type_column: str, id_column: str) -> Build:
    """Match an object given as ``type/id``."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        kind, id_ = split_object(text)
        return f"({type_column} = {parameters.text(kind)} AND {id_column} = {parameters.text(id_)})"

    return build


def involved_object() -> Build:
    """Match an object given as ``type/id`` or as ``id`` of any type: main target, further target or parent."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        value = parameters.text(text)
        found = [f"target_id = {value}", f"has(`targets.id`, {value})", f"parent_id = {value}"]
        # An id may hold a slash itself, so that the text is looked for as a whole too.
        return either([*found, *(_typed_anywhere(text, parameters) if "/" in text else ())])

    return build


def _typed_anywhere(text: str, parameters: Parameters) -> tuple[str, ...]:
    kind, id_ = map(parameters.text, split_object(text))
    return (
        f"(target_type = {kind} AND target_id = {id_})",
        f"arrayExists((t, i) -> t = {kind} AND i = {id_}, `targets.type`, `targets.id`)",
        f"(parent_type = {kind} AND parent_id = {id_})",
    )


def split_object(text: str) -> tuple[str, str]:
    """Split ``type/id`` at its first slash.

    Raises:
        ValueError: There is no slash.
    """
    kind, slash, id_ = text.partition("/")
    if not slash:
        raise ValueError("the type is missing")
    return kind, id_
