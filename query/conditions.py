"""The kinds of filters: each turns the text of a value into a typed condition on fixed columns.

Every function here returns a ``Build``. It raises ValueError, in words that follow the quoted term, when the value
means nothing to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias
from uuid import UUID

from query.errors import nearest
from query.parameters import Parameters
from query.period import Clock, parse_moment

#: Text of a value, where its parameters go, the clock for times -> SQL condition.
Build: TypeAlias = Callable[[str, Parameters, Clock], str]


class UnknownChoice(ValueError):
    """A value is not among those possible.

    Attributes:
        suggestion: The nearest possible value, ``""`` when none is near.
    """

    def __init__(self, suggestion: str) -> None:
        super().__init__("there is no such value")
        self.suggestion = suggestion


def exact(*columns: str) -> Build:
    """Match a value that one of the columns equals, letter by letter."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        value = parameters.text(text)
        return either(f"{column} = {value}" for column in columns)

    return build


def folded(*columns: str, ids: Sequence[str] = ()) -> Build:
    """Match a value that one of the columns equals, upper and lower case alike; columns of ``ids`` letter by letter."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        value = parameters.text(text)
        exactly = [f"{column} = {value}" for column in ids]
        return either([*exactly, *(f"lowerUTF8({column}) = lowerUTF8({value})" for column in columns)])

    return build


def code(column: str) -> Build:
    """Match a dotted code, or with a trailing ``*`` all that begin so."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        if text.endswith("*"):
            return f"startsWith({column}, {parameters.text(text[:-1])})"
        return f"{column} = {parameters.text(text)}"

    return build


def choice(column: str, values: Collection[str]) -> Build:
    """Match one of a fixed set of values, given in either case."""
    by_lower = {v.lower(): v for v in values}

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        if text.lower() not in by_lower:
            raise UnknownChoice(by_lower.get(nearest(text, by_lower), ""))
        return f"{column} = {parameters.text(by_lower[text.lower()])}"

    return build


def at_least(column: str, ascending: Sequence[str]) -> Build:
    """Match a value of an ordered set or any higher one."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        if text.upper() not in ascending:
            raise UnknownChoice(nearest(text, [v.lower() for v in ascending]).upper())
        return f"{column} IN {parameters.bind(list(ascending[ascending.index(text.upper()) :]), 'Array(String)')}"

    return build


def country(column: str) -> Build:
    """Match a two-letter country code, given in either case."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        if text and not (len(text) == 2 and text.isascii() and text.isalpha()):
            raise ValueError("this is no country code")
        return f"{column} = {parameters.text(text.upper())}"

    return build


def identity(column: str) -> Build:
    """Match a UUID."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        try:
            value = str(UUID(text))
        except ValueError:
            raise ValueError("this is no UUID") from None
        return f"{column} = {parameters.bind(value, 'UUID')}"

    return build


def since(column: str) -> Build:
    """Match moments from one on, itself included."""
    return _moment(column, ">=")


def until(column: str) -> Build:
    """Match moments before one, itself excluded."""
    return _moment(column, "<")


def _moment(column: str, comparison: str) -> Build:
    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        return f"{column} {comparison} {parameters.moment(parse_moment(text, clock))}"

    return build


def known(build: Build) -> Build:
    """Do not match where a column is null, so that the negation does."""

    def build_known(text: str, parameters: Parameters, clock: Clock) -> str:
        return f"ifNull({build(text, parameters, clock)}, 0)"

    return build_known


def entry(column: str) -> Build:
    """Match an entry of a map given as ``key=value``, or any value of a key given alone."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        key, equals, value = text.partition("=")
        bound = parameters.text(key)
        there = f"mapContains({column}, {bound})"
        return f"({there} AND {column}[{bound}] = {parameters.text(value)})" if equals else there

    return build


def item_of(list_column: str) -> Build:
    """Match a list that holds a value."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        return f"has({list_column}, {parameters.text(text)})"

    return build


def flag(column: str) -> Build:
    """Match a comma-separated text that holds a name."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        return f"has(splitByChar(',', {column}), {parameters.text(text)})"

    return build


#: Where free text is looked for: single texts, lists, maps, lists whose items may be null.
_TEXTS = ("message", "outcome_reason", "actor_name", "target_name", "run_value", "task_error", "hook_error")
_LISTS = ("`targets.name`", "`changes.field`", "mapKeys(details)", "mapValues(details)")
_NULLABLE_LISTS = ("`changes.before`", "`changes.after`")


def words() -> Build:
    """Match events in which every word of the value occurs somewhere, also inside a longer word, in either case."""

    def build(text: str, parameters: Parameters, clock: Clock) -> str:
        del clock
        parts = text.split()
        if not parts:
            raise ValueError("there is no word in it")
        return "(" + " AND ".join(_contains(parameters.text(part)) for part in parts) + ")"

    return build


def _contains(word: str) -> str:
    def found(expression: str) -> str:
        return f"positionCaseInsensitiveUTF8({expression}, {word}) > 0"

    lists = [f"arrayExists(x -> {found('x')}, {column})" for column in _LISTS]
    known = found("ifNull(x, '')")
    nullable = [f"arrayExists(x -> {known}, {column})" for column in _NULLABLE_LISTS]
    return either([*map(found, _TEXTS), *lists, *nullable])


def either(conditions: Iterable[str]) -> str:
    """Join conditions so that one of them suffices."""
    parts = list(conditions)
    return parts[0] if len(parts) == 1 else "(" + " OR ".join(parts) + ")"
