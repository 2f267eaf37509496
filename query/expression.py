"""The question as a tree: what every form of it (command line, text, URL, JSON) is parsed into.

A tree is plain data: it does not know which filters exist. ``query.condition`` gives it meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

#: Terms in one question, and how deep it may be nested: far beyond what people write, and cheap to plan.
MAX_TERMS = 200
MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Term:
    """One filter with one value.

    Attributes:
        name: Name of the filter, as in ``query.filters``.
        value: Its value as text.
        position: Where it starts in the text form, characters from 0; None when it came another way. Two terms are
            equal wherever they stand.
    """

    name: str
    value: str
    position: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """Everything that the inner expression does not match."""

    part: Expression


@dataclass(frozen=True, slots=True)
class All:
    """What every part matches; without parts, everything."""

    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """What at least one part matches; without parts, nothing."""

    parts: tuple[Expression, ...] = ()


Expression: TypeAlias = Term | Not | All | AnyOf

EVERYTHING = All()


def terms(expression: Expression) -> Iterator[Term]:
    """Yield every term of an expression in order."""
    match expression:
        case Term():
            yield expression
        case Not(part):
            yield from terms(part)
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from terms(part)


def required_terms(expression: Expression) -> tuple[Term, ...]:
    """Return the terms that every match fulfils, whatever else is asked: those that an index may serve."""
    match expression:
        case Term():
            return (expression,)
        case All(parts):
            return tuple(t for part in parts for t in required_terms(part))
    return ()


def depth(expression: Expression) -> int:
    """Return how many levels an expression has; a term has 1."""
    match expression:
        case Not(part):
            return 1 + depth(part)
        case All(parts) | AnyOf(parts):
            return 1 + max(map(depth, parts), default=0)
    return 1


def conjuncts(expression: Expression) -> tuple[Expression, ...]:
    """Return the parts that every match fulfils, one by one; an expression that is no ``All`` is its only part."""
    return expression.parts if isinstance(expression, All) else (expression,)


def conjunction(*expressions: Expression) -> Expression:
    """Return one expression that asks for all of several."""
    parts = tuple(p for e in expressions for p in conjuncts(e))
    return parts[0] if len(parts) == 1 else All(parts)


def canonical(expression: Expression) -> str:
    """Return a text that is the same for equal expressions only, for digests."""
    return json.dumps(_as_data(expression), ensure_ascii=True, separators=(",", ":"))


def _as_data(expression: Expression) -> list[object]:
    match expression:
        case Term(name, value):
            return ["term", name, value]
        case Not(part):
            return ["not", _as_data(part)]
        case All(parts):
            return ["all", *map(_as_data, parts)]
        case AnyOf(parts):
            return ["any", *map(_as_data, parts)]
