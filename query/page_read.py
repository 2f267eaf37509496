"""The statements of a page: rows of the table behind a place in an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from query.database import Database
from query.fields import select_list, shown_fields
from query.parameters import Parameters
from query.period import HOUR_MICROS, micros, parse_moment
from query.question import Question
from query.shortcut import Shortcut
from query.sorting import Order, cursor_keys

#: Binds its values and returns a condition on the time of events.
_Times: TypeAlias = Callable[[Parameters], str]

#: Widths of windows that are looked into one after the other, then all the rest. Each is far wider than the one
#: before, so that a search for what is rare asks few questions, and little is read twice as long as none finds enough.
_WIDTHS_MICROS = (6 * HOUR_MICROS, 6 * 16 * HOUR_MICROS, 6 * 256 * HOUR_MICROS)
#: Filters by ids that few rows have: their index leaves out nearly everything, whatever the time.
_RARE = ("event", "request", "session", "correlation", "trace", "run", "task", "export", "webhook")
#: Rows up to which the engine does well to read the further columns after it has sorted.
_FEW_ROWS = 1_000
_MANY: Mapping[str, Any] = {"query_plan_optimize_lazy_materialization": 0}


@dataclass(frozen=True, slots=True)
class Scope:
    """A further condition on a page that is no filter: to the newest states of what has an id.

    Attributes:
        name: Its name, part of what a cursor is bound to.
        identity: Column of the id.
        condition: What rows fulfil that may be shown, SQL.
        kept: Returns those of some rows that are shown.
    """

    name: str
    identity: str
    condition: str
    kept: Callable[[Database, Sequence[dict[str, Any]]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class PageRead:
    """Reads rows in the order of a question.

    Attributes:
        database: Where to read.
        question: Which rows, in which order.
        names: Fields to read.
        scope: A further condition.
    """

    database: Database
    question: Question
    names: tuple[str, ...]
    scope: Scope | None = None

    def rows(self, after: Sequence[str], limit: int, *, included: bool = False) -> list[dict[str, Any]]:
        """Return rows with their ``cursor_keys``, ``limit`` at most.

        Args:
            after: Keys to go on behind; empty for the beginning.
            limit: Fewer rows mean that there are no more.
            included: Rows that equal the keys come too.

        Raises:
            InvalidCursor: The keys do not fit the order.
            QueryError: See ``query.events.page``.
        """
        behind = _Behind(after, included)
        if after:
            # Whoever computes a cursor may have written anything: it is proven before its time is taken.
            Order.of(self.question.sort, descending=self.question.descending).after(after, Parameters())
        return self._kept(self.scope, behind, limit) if self.scope else self._rows(behind, limit)

    def _kept(self, scope: Scope, behind: _Behind, limit: int) -> list[dict[str, Any]]:
        """Read candidates and keep those that are shown, until there are enough."""
        found: list[dict[str, Any]] = []
        while True:
            read = 0
            for candidates in self._batches(behind, _FEW_ROWS):
                found += scope.kept(self.database, candidates)
                if len(found) >= limit:
                    return found[:limit]
                read += len(candidates)
            if read < _FEW_ROWS:
                return found
            behind = _Behind(cursor_keys(candidates[-1]), included=False)

    def _rows(self, behind: _Behind, limit: int) -> list[dict[str, Any]]:
        return [row for rows in self._batches(behind, limit) for row in rows]

    def _batches(self, behind: _Behind, limit: int) -> Iterator[list[dict[str, Any]]]:
        """Yield rows as they are found, in their order, ``limit`` altogether at most; fewer when there are no more."""
        shortcut = Shortcut.of(self.question)
        if shortcut is None:
            yield from self._by_windows(behind, limit)
            return
        for times in shortcut.batches(self.database, behind.moment, limit):
            rows = self._select(behind, limit, _at(times))
            limit -= len(rows)
            yield rows
            if not limit:
                return
        if not shortcut.exhausted and shortcut.reached is not None:
            yield from self._by_windows(behind.past(shortcut.reached), limit)

    def _by_windows(self, behind: _Behind, limit: int) -> Iterator[list[dict[str, Any]]]:
        """Read windows of time that join, each longer than the one before, until there are enough rows.

        Rows of one time lie in several parts, and every part that may hold some is looked into; a window leaves out
        those of other times.
        """
        for window in self._windows(behind):
            rows = self._select(behind, limit, window)
            limit -= len(rows)
            yield rows
            if not limit:
                return

    def _windows(self, behind: _Behind) -> Iterable[_Times | None]:
        if self.question.sort != "time" or any(map(self.question.required, _RARE)):
            return (None,)
        return _windows(self.question, behind.moment)

    def _select(self, behind: _Behind, limit: int, times: _Times | None = None) -> list[dict[str, Any]]:
        parameters = Parameters()
        order = Order.of(self.question.sort, descending=self.question.descending)
        where = [self.question.where(parameters)]
        if behind.keys:
            where.append(order.after(behind.keys, parameters, included=behind.included))
        if behind.passed is not None:
            sign = "<" if self.question.descending else ">"
            where.append(f"occurred_at {sign} {parameters.moment_of_micros(behind.passed)}")
        if self.scope:
            where.append(self.scope.condition)
        if times:
            where.append(times(parameters))
        state_id = f", {self.scope.identity} AS state_id" if self.scope else ""
        statement = (
            f"SELECT {select_list(shown_fields(), self.names)}, {order.selected()}{state_id} FROM audit_events "  # noqa: S608 - values are bound
            f"WHERE {' AND '.join(where)} ORDER BY {order.order_by()} LIMIT {parameters.bind(limit, 'UInt64')}"
        )
        settings = _MANY if limit > _FEW_ROWS else None
        return self.database.rows(statement, parameters, hint=self.question.hint, settings=settings)


@dataclass(frozen=True, slots=True)
class _Behind:
    """Where rows begin: keys, whether what equals them is read too, and a time that was passed in another way."""

    keys: Sequence[str]
    included: bool
    passed: int | None = None

    @property
    def moment(self) -> int | None:
        """The time to go on from, microseconds; only of an order by time."""
        if self.passed is not None:
            return self.passed
        return int(self.keys[0]) if self.keys else None

    def past(self, moment: int) -> _Behind:
        """Return the same, beyond a time."""
        return replace(self, passed=moment)


def _at(times: Sequence[int]) -> _Times:
    def condition(parameters: Parameters) -> str:
        return f"occurred_at IN {parameters.moments_of_micros(times)}"

    return condition


def _windows(question: Question, start: int | None) -> Iterator[_Times | None]:
    near: int | None = None
    edge = _first_edge(question, start)
    if edge is not None:
        step = -1 if question.descending else 1
        for width in _WIDTHS_MICROS:
            far = edge + step * width
            yield _between(near, far, question)
            near = far
    yield _between(near, None, question)


def _first_edge(question: Question, start: int | None) -> int | None:
    if start is not None:
        return start
    bound = question.required("until" if question.descending else "since")
    if bound is not None:
        return micros(parse_moment(bound.value, question.clock))
    return micros(question.now) if question.descending else None


def _between(near: int | None, far: int | None, question: Question) -> _Times | None:
    """Return the condition of a window, its near end left out where another window ended, its far end included."""
    if near is None and far is None:
        return None
    inner, outer = ("<", ">=") if question.descending else (">", "<=")

    def condition(parameters: Parameters) -> str:
        ends = ((inner, near), (outer, far))
        told = [f"occurred_at {s} {parameters.moment_of_micros(m)}" for s, m in ends if m is not None]
        return " AND ".join(told)

    return condition
