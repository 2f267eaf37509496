"""JSON as it stands in a text: read without losing how numbers are written, indented without changing a value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

#: What reading gives: objects, lists, texts, ``Number``, True, False, None.
Json: TypeAlias = "Mapping[str, Any] | list[Any] | str | Number | bool | None"

#: Characters beyond which a text is not looked into, and levels beyond which it is not indented.
MOST_CHARACTERS = 256 * 1024
MOST_LEVELS = 32
_LEXEME = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class Number(str):
    """A number as it is written: ``1.10`` is not ``1.1``, and no digit is rounded away."""

    __slots__ = ()


class NotJson(ValueError):
    """The text is no JSON, or none that can be shown without changing it."""


def read(text: str) -> Json:
    """Return the value of a JSON text.

    Raises:
        NotJson: It is none, names a member twice, is nested beyond MOST_LEVELS or longer than MOST_CHARACTERS.
    """
    if len(text) > MOST_CHARACTERS:
        raise NotJson(f"longer than {MOST_CHARACTERS} characters")
    try:
        value: Json = json.loads(
            text, parse_int=Number, parse_float=Number, parse_constant=_no_constant, object_pairs_hook=_object
        )
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None
    _check_levels(text)
    _check_characters(text, value)
    return value


def is_container(value: Json) -> bool:
    """Tell whether a value has parts."""
    return isinstance(value, (dict, list))


def type_name(value: Json) -> str:
    """Return what a value is: object, list, text, number, boolean or null."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case Number():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
    return "object"


def written(value: Json) -> str:
    """Return a value as JSON on one line, numbers as they were written: equal texts are equal values."""
    match value:
        case Number():
            return str(value)
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {written(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def indented(text: str) -> str:
    """Return a JSON text with one member on each line; every value stays letter by letter what it is.

    Raises:
        NotJson: See ``read``.
    """
    read(text)
    return laid_out(text)


def laid_out(text: str) -> str:
    """Return a text that is known to be JSON with one member on each line."""
    return "".join(_lines(_LEXEME.findall(text)))


def _lines(lexemes: list[str]) -> Iterator[str]:
    level = 0
    for at, lexeme in enumerate(lexemes):
        following = lexemes[at + 1] if at + 1 < len(lexemes) else ""
        if lexeme in ("[", "{"):
            level += 1
            yield lexeme if following in ("]", "}") else f"{lexeme}\n{'  ' * level}"
        elif lexeme in ("]", "}"):
            level -= 1
            yield lexeme if lexemes[at - 1] in ("[", "{") else f"\n{'  ' * level}{lexeme}"
        elif lexeme == ",":
            yield f",\n{'  ' * level}"
        else:
            yield ": " if lexeme == ":" else lexeme


def _check_levels(text: str) -> None:
    level = 0
    for lexeme in _LEXEME.findall(text):
        level += (lexeme in ("[", "{")) - (lexeme in ("]", "}"))
        if level > MOST_LEVELS:
            raise NotJson(f"more than {MOST_LEVELS} levels")


def _check_characters(text: str, value: Json) -> None:
    # An escape can name half a character, which no page can hold.
    if "\\u" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NotJson(str(error)) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson("a member is named twice")
    return found


def _no_constant(name: str) -> Number:
    raise NotJson(f"{name} is no JSON")
