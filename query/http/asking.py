"""The one question in its two forms over HTTP: URL parameters and a JSON body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast, get_args
from zoneinfo import ZoneInfo

from query.condition import check, find_filter
from query.errors import InvalidQuery
from query.expression import MAX_TERMS, AnyOf, Expression, Not, Term, conjunction, conjuncts, terms
from query.filters import by_name
from query.http.json_expression import JsonExpression
from query.http.parameters import Values
from query.http.problems import Problem, invalid
from query.period import Clock, parse_zone
from query.question import Question, SortName
from query.syntax import parse

_T = TypeVar("_T")

#: The period is never an alternative to other filters.
_PERIOD = frozenset({"since", "until"})
#: Parameters that win over a filter's other name: ``q`` is the whole question here.
_RESERVED = frozenset({"q", "any", "not", "tz", "sort", "order", "limit", "cursor", "fields", "total"})
BODY_KEYS = ("query", "filters", "any", "not", "tz", "sort", "order", "limit", "cursor", "fields", "total")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a question is put together from."""

    query: Expression
    filters: Sequence[Expression]
    excluded: Sequence[Expression]
    any_of: bool

    def expression(self) -> Expression:
        """Return the whole.

        Raises:
            Problem: It has too many terms.
        """
        whole = self._joined()
        if sum(1 for _ in terms(whole)) > MAX_TERMS:
            raise Problem("invalid-parameter", f"the question has too many terms; expected at most {MAX_TERMS}")
        return whole

    def _joined(self) -> Expression:
        query = conjuncts(self.query)
        parts = [*query, *self.filters]
        left_out = [Not(e) for e in self.excluded]
        if not self.any_of:
            return conjunction(*parts, *left_out)
        period = [p for p in parts if _is_period(p)]
        others = tuple(p for p in parts if not _is_period(p))
        return conjunction(*period, *([AnyOf(others)] if others else []), *left_out)


def question_of_url(values: Values) -> Question:
    """Return the question of URL parameters.

    Raises:
        Problem: A part is not understood; names the parameter, the term and its position.
    """
    clock = Clock(datetime.now(UTC), _placed(lambda: parse_zone(values.text("tz") or "UTC"), parameter="tz"))
    parts = _Parts(
        _parsed(values.text("q") or "", clock, parameter="q"),
        [f for name in by_name() for f in _filter(name, values, clock)],
        [_parsed(text, clock, parameter="not") for text in values.all("not")],
        values.flag("any"),
    )
    sort = cast(SortName, values.chosen("sort", get_args(SortName), "time"))
    descending = values.chosen("order", ("asc", "desc"), "desc") == "desc"
    return Question(parts.expression(), sort, descending=descending, zone=clock.zone, now=clock.now)


def _filter(name: str, values: Values, clock: Clock) -> Iterator[Expression]:
    if name in _RESERVED or not values.all(name):
        return
    found = tuple(Term(name, value) for value in values.all(name))
    for term in found:
        _checked(term, clock, parameter=name)
    yield found[0] if len(found) == 1 else AnyOf(found)


def question_of_json(body: Mapping[str, Any]) -> Question:
    """Return the question of a JSON body.

    Raises:
        Problem: A part is not understood; with a JSON pointer to it.
    """
    reader = JsonBody(body)
    zone = _placed(lambda: parse_zone(reader.text("tz") or "UTC"), pointer="/tz")
    clock = Clock(datetime.now(UTC), zone)
    tree = JsonExpression(lambda term, pointer: _checked(term, clock, pointer=pointer))
    query = body.get("query", "")
    parts = _Parts(
        _parsed(query, clock, pointer="/query") if isinstance(query, str) else tree.of(query, "/query"),
        tree.filters(body.get("filters", {}), "/filters"),
        [_parsed(text, clock, pointer=f"/not/{i}") for i, text in enumerate(reader.texts("not"))],
        reader.flag("any"),
    )
    return _question(parts, reader, zone, clock)


def _question(parts: _Parts, reader: JsonBody, zone: ZoneInfo, clock: Clock) -> Question:
    sort = cast(SortName, reader.chosen("sort", get_args(SortName), "time"))
    descending = reader.chosen("order", ("asc", "desc"), "desc") == "desc"
    return Question(parts.expression(), sort, descending=descending, zone=zone, now=clock.now)


class JsonBody:
    """Members of a JSON object, read with their types; a wrong one is a ``Problem`` with a pointer to it."""

    def __init__(self, body: Mapping[str, Any], known: Sequence[str] = BODY_KEYS) -> None:
        """Wrap an object.

        Raises:
            Problem: It has a member that is not known.
        """
        for name in body:
            if name not in known:
                raise wrong_member(f"/{name}", "unknown", "one of " + ", ".join(known))
        self._body = body

    def text(self, name: str) -> str | None:
        """Return a text, None when it is not there."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, str):
            raise wrong_member(f"/{name}", "no text", "a text")
        return value

    def texts(self, name: str) -> Sequence[str]:
        """Return a text or a list of texts as a list."""
        value = self._body.get(name, [])
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(v, str) for v in found):
            raise wrong_member(f"/{name}", "no text and no list of texts", "texts")
        return found

    def flag(self, name: str) -> bool:
        """Return a truth value, false when it is not there."""
        value = self._body.get(name, False)
        if not isinstance(value, bool):
            raise wrong_member(f"/{name}", "neither true nor false", "true or false")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within limits."""
        value = self._body.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong_member(f"/{name}", "out of range", f"a whole number from {least} to {most}")
        return value

    def chosen(self, name: str, values: Sequence[str], default: str) -> str:
        """Return one of some texts."""
        value = self.text(name) if name in self._body else default
        if value not in values:
            raise wrong_member(f"/{name}", "unknown", "one of " + ", ".join(values))
        return str(value)


def wrong_member(pointer: str, problem: str, expected: str) -> Problem:
    """Return the answer to a body with a wrong member."""
    return Problem("invalid-body", f"{pointer} is {problem}; expected {expected}", pointer=pointer, expected=expected)


def _parsed(text: str, clock: Clock, *, parameter: str = "", pointer: str = "") -> Expression:
    def parsed() -> Expression:
        expression = parse(text)
        check(expression, clock)
        return expression

    return _placed(parsed, parameter=parameter, pointer=pointer)


def _checked(term: Term, clock: Clock, *, parameter: str = "", pointer: str = "") -> Term:
    _placed(lambda: check(term, clock), parameter=parameter, pointer=pointer)
    return term


def _placed(run: Callable[[], _T], *, parameter: str = "", pointer: str = "") -> _T:
    try:
        return run()
    except InvalidQuery as error:
        raise invalid(error, parameter=parameter, pointer=pointer) from None


def _is_period(part: Expression) -> bool:
    return isinstance(part, Term) and find_filter(part).name in _PERIOD
