"""The query language on one event in memory: the same filters as on the stored log, with the same answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from auditstream.notify.predicates import ABSOLUTE, FILTERS, Predicate
from query.condition import check, find_filter
from query.errors import InvalidFilter
from query.expression import All, AnyOf, Expression, Not, Term, terms
from query.fields import Row
from query.period import Clock, parse_moment
from query.syntax import parse

_Fields: TypeAlias = frozenset[str]

#: Filters whose value is a time.
_TIMES = ("since", "until")
#: Why a filter means nothing for an event that has just arrived.
REFUSED: Mapping[str, str] = {
    "stored_since": "a rule sees an event before it is stored",
    "stored_until": "a rule sees an event before it is stored",
}
_NEEDS_LOG = "this filter needs the stored log, and a rule sees one event at a time"
#: Another present, for which no relative time means what it means for the first one.
_LATER = Clock(ABSOLUTE.now + timedelta(days=5, hours=5), ABSOLUTE.zone)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A question that is asked of single events.

    Attributes:
        text: The question in text form.
        fields: Fields of an event that it looks at.
        matches: Whether an event, given with at least these fields, is what is asked for.
    """

    text: str
    fields: _Fields
    matches: Callable[[Row], bool]


def event_filter(text: str) -> EventFilter:
    """Return the filter that a question in text form means; times that name no zone are UTC.

    Raises:
        InvalidFilter: The text is not understood, or has a term that cannot be answered for one event: it needs the
            stored log, or a time relative to the present.
    """
    expression = parse(text)
    check(expression, _LATER)
    fields: set[str] = set()
    for term in terms(expression):
        fields |= _answerable(term)
    return EventFilter(text, frozenset(fields), _predicate(expression))


def _answerable(term: Term) -> _Fields:
    """Return the fields that a term looks at.

    Raises:
        InvalidFilter: It cannot be answered for one event.
    """
    name = find_filter(term).name
    if name not in FILTERS:
        problem = REFUSED.get(name, _NEEDS_LOG)
        raise InvalidFilter(_shown(term), problem, "a filter on what the event itself says", position=term.position)
    if name.endswith(_TIMES) and parse_moment(term.value, ABSOLUTE) != parse_moment(term.value, _LATER):
        problem = "a rule runs for months, so a time relative to now means nothing in it"
        raise InvalidFilter(_shown(term), problem, "a date such as 2026-01-31", position=term.position)
    return frozenset(FILTERS[name].fields)


def _shown(term: Term) -> str:
    return f"{term.name}:{term.value[:80]}"


def _predicate(expression: Expression) -> Predicate:
    match expression:
        case Term():
            return FILTERS[find_filter(expression).name].build(expression.value)
        case Not(part):
            inner = _predicate(part)
            return lambda row: not inner(row)
        case All(parts):
            every = tuple(map(_predicate, parts))
            return lambda row: all(p(row) for p in every)
        case AnyOf(parts):
            some = tuple(map(_predicate, parts))
            return lambda row: any(p(row) for p in some)
