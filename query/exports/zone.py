"""Another zone for what is written, without moving the period that was asked for."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from query.condition import find_filter
from query.expression import All, AnyOf, Expression, Not, Term
from query.period import EXPECTED, parse_moment
from query.question import Question


def written_in(question: Question, zone: ZoneInfo) -> Question:
    """Return a question for the same events whose answer is written in a zone.

    Times of its filters that name no offset mean what they mean in the zone of the question: they become absolute.

    Args:
        question: A question whose filters are understood.
        zone: Zone in which times are written.
    """
    if zone.key == question.zone.key:
        return question
    return replace(question, expression=_absolute(question.expression, question), zone=zone)


def _absolute(expression: Expression, question: Question) -> Expression:
    match expression:
        case Term() if find_filter(expression).expected == EXPECTED:
            return Term(expression.name, parse_moment(expression.value, question.clock).isoformat())
        case Not(part):
            return Not(_absolute(part, question))
        case All(parts):
            return All(tuple(_absolute(part, question) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_absolute(part, question) for part in parts))
    return expression
