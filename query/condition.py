"""From an expression to a condition in SQL: names are looked up, values are bound, errors name the term."""

from __future__ import annotations

from query.conditions import UnknownChoice
from query.errors import InvalidFilter, nearest
from query.expression import All, AnyOf, Expression, Not, Term
from query.filters import Filter, by_name
from query.parameters import Parameters
from query.period import Clock

#: Characters of one value at most; the longest identifiers that a worker stores have 512 bytes.
MAX_VALUE_CHARACTERS = 4_096


def condition(expression: Expression, parameters: Parameters, clock: Clock) -> str:
    """Return the SQL condition of an expression.

    Args:
        expression: The question.
        parameters: Where its values are bound.
        clock: What relative and local times are read against.

    Raises:
        InvalidFilter: A term has an unknown name or a value that means nothing to its filter.
    """
    match expression:
        case Term():
            return _term(expression, parameters, clock)
        case Not(part):
            return f"NOT {condition(part, parameters, clock)}"
        case All(parts):
            return _joined("AND", [condition(p, parameters, clock) for p in parts], empty="1")
        case AnyOf(parts):
            return _joined("OR", [condition(p, parameters, clock) for p in parts], empty="0")


def check(expression: Expression, clock: Clock) -> None:
    """Prove that every term of an expression is understood.

    Raises:
        InvalidFilter: See ``condition``.
    """
    condition(expression, Parameters(), clock)


def find_filter(term: Term) -> Filter:
    """Return the filter that a term names.

    Raises:
        InvalidFilter: There is none of that name.
    """
    found = by_name().get(term.name)
    if found:
        return found
    names = by_name()
    expected = "the name of a filter (or quotes around it, to look for it as text)"
    raise InvalidFilter(
        _shown(term),
        f'there is no filter "{term.name}"',
        expected,
        suggestion=nearest(term.name, names),
        position=term.position,
    )


def _term(term: Term, parameters: Parameters, clock: Clock) -> str:
    found = find_filter(term)
    try:
        _check_value(term.value)
        return f"({found.build(term.value, parameters, clock)})"
    except InvalidFilter as error:
        raise _misfit(term, found, f'"{error.term}" is no time zone', error.suggestion) from error
    except UnknownChoice as error:
        raise _misfit(term, found, str(error), error.suggestion) from None
    except ValueError as error:
        raise _misfit(term, found, str(error), "") from None


def _check_value(value: str) -> None:
    if len(value) > MAX_VALUE_CHARACTERS:
        raise ValueError(f"the value has more than {MAX_VALUE_CHARACTERS} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("the value is no valid Unicode text") from None


def _misfit(term: Term, found: Filter, problem: str, suggestion: str) -> InvalidFilter:
    return InvalidFilter(_shown(term), problem, found.expected, suggestion=suggestion, position=term.position)


def _shown(term: Term) -> str:
    value = term.value if len(term.value) <= 80 else term.value[:80] + "…"
    return f"{term.name}:{value}".encode(errors="backslashreplace").decode()


def _joined(operator: str, parts: list[str], *, empty: str) -> str:
    return "(" + f" {operator} ".join(parts) + ")" if parts else f"({empty})"
