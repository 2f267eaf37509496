"""The statements of a page: rows of the table behind a place in an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from query.database import Database
from query.fields import select_list, shown_fields
from query.parameters import Parameters
from query.question import Question
from query.shortcut import Shortcut
from query.sorting import Order


@dataclass(frozen=True, slots=True)
class Scope:
    """A further condition on a page that is no filter, for example to newest states only.

    Attributes:
        name: Its name, part of what a cursor is bound to.
        condition: SQL with placeholders.
        parameters: The values of those placeholders.
    """

    name: str
    condition: str
    parameters: Parameters


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
            QueryError: See ``query.events.page``.
        """
        behind = (after, included)
        shortcut = None if self.scope else Shortcut.of(self.question)
        if shortcut is None:
            return self._select(behind, limit)
        found: list[dict[str, Any]] = []
        start = int(after[0]) if after else None
        for times in shortcut.batches(self.database, start, limit):
            found += self._select(behind, limit - len(found), times=times)
            if len(found) == limit:
                return found
        if shortcut.exhausted:
            return found
        return found + self._select(behind, limit - len(found), beyond=shortcut.reached)

    def _select(
        self,
        behind: tuple[Sequence[str], bool],
        limit: int,
        times: Sequence[int] = (),
        beyond: int | None = None,
    ) -> list[dict[str, Any]]:
        parameters = Parameters(dict(self.scope.parameters.values) if self.scope else {})
        order = Order.of(self.question.sort, descending=self.question.descending)
        where = [self.question.where(parameters)]
        after, included = behind
        if after:
            where.append(order.after(after, parameters, included=included))
        if self.scope:
            where.append(self.scope.condition)
        if times:
            listed = parameters.bind(list(times), "Array(Int64)")
            where.append(f"occurred_at IN (arrayMap(t -> fromUnixTimestamp64Micro(t, 'UTC'), {listed}))")
        if beyond is not None:
            sign = "<" if self.question.descending else ">"
            where.append(f"occurred_at {sign} {parameters.moment_of_micros(beyond)}")
        statement = (
            f"SELECT {select_list(shown_fields(), self.names)}, {order.selected()} FROM audit_events "  # noqa: S608 - values are bound
            f"WHERE {' AND '.join(where)} ORDER BY {order.order_by()} LIMIT {parameters.bind(limit, 'UInt64')}"
        )
        return self.database.rows(statement, parameters, hint=self.question.hint)
