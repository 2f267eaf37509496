"""Expressions as JSON: ``{"all": […]}``, ``{"any": […]}``, ``{"not": …}``, and terms ``{"actor": "ann@x.com"}``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from query.expression import MAX_DEPTH, MAX_TERMS, All, AnyOf, Expression, Not, Term
from query.http.problems import Problem

EXPECTED = 'an object: {"all": […]}, {"any": […]}, {"not": …} or {"<filter>": "value" or ["value", …]}'


class JsonExpression:
    """Reads one body; counts its terms over all of its parts."""

    def __init__(self, checked: Callable[[Term, str], Term]) -> None:
        """Prepare it.

        Args:
            checked: Proves that a term is understood, given the pointer to it, and returns it.
        """
        self._checked, self._terms = checked, 0

    def of(self, value: object, pointer: str, level: int = 1) -> Expression:
        """Return the expression of a JSON value.

        Args:
            value: The value.
            pointer: JSON pointer to it.
            level: How deep it is nested.

        Raises:
            Problem: It is none, or is nested too deep, or has too many terms.
        """
        if level > MAX_DEPTH:
            raise _wrong(pointer, "nested too deep", f"at most {MAX_DEPTH} levels")
        if not isinstance(value, dict) or len(value) != 1:
            raise _wrong(pointer, "not understood", EXPECTED)
        ((name, inner),) = value.items()
        place = f"{pointer}/{_escaped(name)}"
        match name:
            case "not":
                return Not(self.of(inner, place, level + 1))
            case "all" | "any":
                parts = tuple(self._parts(inner, place, level + 1))
                return All(parts) if name == "all" else AnyOf(parts)
        return self._term(name, inner, place)

    def filters(self, value: object, pointer: str) -> list[Expression]:
        """Return the terms of an object from names of filters to values.

        Raises:
            Problem: It is none.
        """
        if not isinstance(value, dict):
            raise _wrong(pointer, "no object", "an object from names of filters to values")
        return [self._term(name, inner, f"{pointer}/{_escaped(name)}") for name, inner in value.items()]

    def _parts(self, value: object, pointer: str, level: int) -> Iterator[Expression]:
        if not isinstance(value, list):
            raise _wrong(pointer, "no list", "a list of expressions")
        for number, part in enumerate(value):
            yield self.of(part, f"{pointer}/{number}", level)

    def _term(self, name: str, value: Any, pointer: str) -> Expression:  # noqa: ANN401 - whatever JSON holds
        if isinstance(value, list) and value:
            return AnyOf(tuple(self._one(name, v, f"{pointer}/{i}") for i, v in enumerate(value)))
        return self._one(name, value, pointer)

    def _one(self, name: str, value: object, pointer: str) -> Term:
        if not isinstance(value, str):
            raise _wrong(pointer, "no text", "a text, or a list of texts")
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise _wrong(pointer, "one term too many", f"at most {MAX_TERMS}")
        return self._checked(Term(name, value), pointer)


def _wrong(pointer: str, problem: str, expected: str) -> Problem:
    return Problem("invalid-body", f"{pointer} is {problem}; expected {expected}", pointer=pointer, expected=expected)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
