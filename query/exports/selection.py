"""The rows of an export, read as the screen reads them: page by page, by the same reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from query.events import Page
from query.expression import Term, conjunction
from query.fields import Row
from query.period import from_micros, micros
from query.question import Question

#: Where a row came from, by which it is told from every other.
_PLACE = ("kafka_topic_id", "kafka_partition", "kafka_offset")
#: Rows that a window of time should hold, and how much wider or narrower the next one may be.
_WINDOW_ROWS = 50_000
#: Rows after which a window is left for a narrower one.
_CROWDED_ROWS = 200_000
_WIDER, _NARROWER = 8, 4
_FIRST_WINDOW_MICROS = 24 * 3_600_000_000


class Pages(Protocol):
    """What exports need of ``query.Reader``; one that is confined to somebody's rights is asked just so."""

    def page(
        self, question: Question, *, limit: int = ..., cursor: str | None = ..., fields: Sequence[str] = ...
    ) -> Page:
        """Read one page; see ``query.Reader.page``."""
        ...


@dataclass(slots=True)
class Selection:
    """Reads the rows of one export, once.

    Attributes:
        reader: Who reads.
        question: Which rows, in which order.
        fields: Fields that the columns need.
        limit: The newest so many rows; None for all.
        page_rows: Rows read at a time.
        rows: How many rows were handed out so far.
        truncated: Whether rows were left out because of the limit; known when all were handed out.
    """

    reader: Pages
    question: Question
    fields: Sequence[str]
    limit: int | None
    page_rows: int
    rows: int = field(default=0, init=False)
    truncated: bool = field(default=False, init=False)

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows in the order of the question, some at a time.

        Raises:
            QueryError: See ``query.Reader.page``.
        """
        for rows in self._read():
            self.rows += len(rows)
            yield rows

    def _read(self) -> Iterator[list[Row]]:
        by_time = self.question.sort == "time"
        if self.limit is None:
            return self._windows() if by_time else self._walk(self.question, self.fields)
        if by_time and self.question.descending:
            return self._newest(self.question, self.fields, self.limit)
        return self._newest_in_order(self.limit)

    def _walk(self, question: Question, fields: Sequence[str]) -> Iterator[list[Row]]:
        cursor: str | None = None
        while True:
            page = self.reader.page(question, limit=self.page_rows, cursor=cursor, fields=fields)
            yield page.rows
            cursor = page.next_cursor
            if cursor is None:
                return

    def _newest(self, question: Question, fields: Sequence[str], limit: int) -> Iterator[list[Row]]:
        cursor, left = None, limit
        while left > 0:
            page = self.reader.page(question, limit=min(left, self.page_rows), cursor=cursor, fields=fields)
            yield page.rows
            cursor, left = page.next_cursor, left - len(page.rows)
            if cursor is None:
                return
        self.truncated = True

    def _newest_in_order(self, limit: int) -> Iterator[list[Row]]:
        """Find where the newest rows begin, then read from there in the order that was asked for."""
        edge = self._edge(limit)
        more = self.truncated
        wanted = _between(self.question, edge.moment, None) if more else self.question
        for rows in self._walk(wanted, [*self.fields, "occurred_at", *_PLACE]):
            kept = [row for row in rows if edge.holds(row)] if more else rows
            # What arrived since the edge was found does not make the export longer than it says.
            self.truncated |= len(kept) > limit - self.rows
            yield kept[: limit - self.rows]

    def _edge(self, limit: int) -> _Edge:
        edge = _Edge()
        newest_first = replace(self.question, sort="time", descending=True)
        for rows in self._newest(newest_first, ["occurred_at", *_PLACE], limit):
            edge.take(rows)
        return edge

    def _windows(self) -> Iterator[list[Row]]:
        """Walk windows of time that join without gap, so that no page looks at more than its window.

        A page of a question without tenant has to look at every row before its cursor; window by window that is as
        much as one window holds, whatever lies behind it.
        """
        ends = self._ends()
        if ends is None:
            return
        sign, seen = -1 if self.question.descending else 1, _Edge()
        (edge, last), step = map(micros, ends), _FIRST_WINDOW_MICROS
        near: datetime | None = None
        while True:
            far, rows = edge + sign * step, self.rows
            is_last = (last - far) * sign <= 0
            yield from self._window(near, None if is_last else from_micros(far), seen)
            if self.rows - rows >= _CROWDED_ROWS and seen.moment is not None:
                # It holds more than was guessed: go on in narrower ones from the time of the row that was reached.
                edge, step = micros(seen.moment), max(1, step // _NARROWER)
                near = from_micros(edge + 1) if self.question.descending else seen.moment
            elif is_last:
                return
            else:
                edge, near, step = far, from_micros(far), _next_step(step, self.rows - rows)

    def _window(self, near: datetime | None, far: datetime | None, seen: _Edge) -> Iterator[list[Row]]:
        """Walk one window without the rows seen before, until it turns out to be crowded."""
        first, end = (far, near) if self.question.descending else (near, far)
        left = _CROWDED_ROWS
        for rows in self._walk(_between(self.question, first, end), [*self.fields, "occurred_at", *_PLACE]):
            new = [row for row in rows if not seen.has(row)]
            seen.take(rows)
            yield new
            left -= len(new)
            if left <= 0:
                return

    def _ends(self) -> tuple[datetime, datetime] | None:
        """Return the times of the first and the last row in the order of the question, None without rows."""
        found = [
            self.reader.page(replace(self.question, descending=descending), limit=1, fields=["occurred_at"]).rows
            for descending in (self.question.descending, not self.question.descending)
        ]
        if not all(found):
            return None
        return found[0][0]["occurred_at"], found[1][0]["occurred_at"]


@dataclass(slots=True)
class _Edge:
    """Where rows that were read in order of time end: the time of the last, and which rows of just that time it were."""

    moment: datetime | None = None
    places: set[tuple[Any, ...]] = field(default_factory=set)

    def take(self, rows: Sequence[Row]) -> None:
        """Take further rows in order of time."""
        for row in rows:
            if row["occurred_at"] != self.moment:
                self.moment = row["occurred_at"]
                self.places.clear()
            self.places.add(_place(row))

    def holds(self, row: Row) -> bool:
        """Return whether a row lies before the edge, or is one of those at the edge."""
        return row["occurred_at"] != self.moment or _place(row) in self.places

    def has(self, row: Row) -> bool:
        """Return whether a row is one of those at the edge."""
        return row["occurred_at"] == self.moment and _place(row) in self.places


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _PLACE)


def _next_step(step: int, rows: int) -> int:
    wanted = step * _WINDOW_ROWS // max(rows, 1)
    return max(1, step // _NARROWER, min(wanted, step * _WIDER))


def _between(question: Question, since: datetime | None, until: datetime | None) -> Question:
    """Return the question narrowed to a window; the window comes first, where shortcuts look for the period."""
    given = (("since", since), ("until", until))
    terms = [Term(name, moment.isoformat()) for name, moment in given if moment is not None]
    return replace(question, expression=conjunction(*terms, question.expression))
