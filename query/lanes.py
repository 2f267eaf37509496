"""Which parts of a question the small projections by actor, object and address answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from query.condition import find_filter
from query.expression import All, AnyOf, Expression, Term, conjuncts, required_terms, terms
from query.networks import parse_network
from query.question import Question

#: The terms that one projection answers: tenant, key and period.
Lane: TypeAlias = tuple[Term, ...]

_PERIOD = ("since", "until")
#: A question for any of more keys is asked of the table.
_MOST = 8
#: Filters of which each is a projection's key, in this order of preference: the more selective first.
_KEYS = (("target",), ("object_type", "object_id"), ("actor_id",), ("ip",))


def lanes(question: Question) -> tuple[Lane, ...]:
    """Return lanes of which every match is on one at least; none when the projections do not serve the question."""
    tenant = question.required("tenant")
    if tenant is None:
        return ()
    period = [t for t in map(question.required, _PERIOD) if t is not None]
    if keys := _keys(required_terms(question.expression)):
        return ((tenant, *keys, *period),)
    for choices in (p.parts for p in conjuncts(question.expression) if isinstance(p, AnyOf)):
        found = [_keys(required_terms(c)) for c in choices]
        if 0 < len(found) <= _MOST and all(found):
            return tuple((tenant, *keys, *period) for keys in found)
    return ()


def exact_lanes(question: Question) -> tuple[Lane, ...]:
    """Return the lanes of a question for any of several keys that asks for nothing else; none for any other one.

    Everything on one of them is a match.
    """
    parts = conjuncts(question.expression)
    common = [p for p in parts if isinstance(p, Term)]
    others = [p.parts for p in parts if isinstance(p, AnyOf)]
    names = [find_filter(t).name for t in common]
    if len(common) + 1 != len(parts) or len(others) != 1 or sorted(names) != sorted({"tenant", *names} & _COMMON):
        return ()
    found = lanes(question)
    alike = len(found) == len(others[0]) and all(
        _is_plain(choice) and set(lane) == {*common, *terms(choice)}
        for lane, choice in zip(found, others[0], strict=True)
    )
    return found if alike else ()


_COMMON = {"tenant", *_PERIOD}


def _is_plain(choice: Expression) -> bool:
    return isinstance(choice, Term) or (isinstance(choice, All) and all(isinstance(p, Term) for p in choice.parts))


def _keys(required: Sequence[Term]) -> tuple[Term, ...]:
    """Return the terms that are the key of a projection."""
    named = {find_filter(t).name: t for t in reversed(required)}
    for names in _KEYS:
        if all(name in named and _is_key(named[name]) for name in names):
            return tuple(named[name] for name in names)
    return ()


def _is_key(term: Term) -> bool:
    if find_filter(term).name != "ip":
        return True
    if term.value == "none":
        return False
    found = parse_network(term.value)
    return found.prefixlen == found.max_prefixlen
