"""Figures of whole hours, from the projection that keeps them: how many rows share hour, tenant, kind, code and outcome.

The projection p_hour holds one row for many rows of the table, so that a figure over a year reads a fraction of it. It
serves questions that ask for nothing but these columns and a period. The hours at the ends of the period, and those of
which some rows run out of their time in the present hour, are read from the table: the figures are those of the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from query.condition import condition, find_filter
from query.database import Database
from query.expression import All, Expression, Term, conjuncts, terms
from query.parameters import Bindable, Parameters
from query.period import HOUR_MICROS, micros, parse_moment
from query.question import Question

#: Expression of a moment -> expression of what is counted by.
ByTime: TypeAlias = Callable[[str], str]

#: Both expressions are keys of the projection, letter by letter.
_HOUR = f"intDiv(toUnixTimestamp64Micro(occurred_at), {HOUR_MICROS})"
_EXPIRY = "intDiv(toUnixTimestamp64Milli(expires_at), 3600000)"
_PRESENT = "intDiv(toUnixTimestamp64Milli(now64(3, 'UTC')), 3600000)"
#: Filters on columns of the projection.
_FILTERS = frozenset({"tenant", "kind", "action", "outcome"})
#: Columns of it that can be counted by.
COLUMNS = frozenset({"tenant_id", "record_kind", "event_code", "outcome"})
#: A shorter period is read from the table in less time.
_LEAST_HOURS = 48
#: Hours with rows that are just running out; of more, the table is read as a whole.
_MOST_EDGES = 100


@dataclass(frozen=True, slots=True)
class By:
    """What rows are counted by.

    Attributes:
        column: One of COLUMNS, or a constant.
        time: Instead of a column, an expression of the time.
        bound: Placeholders of that.
        settings: Settings that it needs.
    """

    column: str = "''"
    time: ByTime | None = None
    bound: Mapping[str, Bindable] = field(default_factory=dict)
    settings: Mapping[str, Any] | None = None

    @property
    def value(self) -> str:
        """The expression over a row of the table."""
        return self.time("occurred_at") if self.time else self.column


ALL_TOGETHER = By()


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows that match.

    Attributes:
        by_value: Rows of each value.
        looked_at: Rows of the tenants and the period, whether they match or not.
    """

    by_value: Mapping[Any, int]
    looked_at: int

    @property
    def rows(self) -> int:
        """All rows that match."""
        return sum(self.by_value.values())


@dataclass(frozen=True, slots=True)
class Hours:
    """The whole hours of a question.

    Attributes:
        question: The question.
        tenants: What it asks of tenants: by it, the projection is sorted.
        columns: What it asks of all columns, the period left out.
        first: Number of the first hour since 1970; hours before it are read from the table.
        end: Number of the hour behind the last one; None when there is no end.
    """

    question: Question
    tenants: Expression
    columns: Expression
    first: int
    end: int | None

    @classmethod
    def of(cls, question: Question) -> Hours | None:
        """Return the hours of a question, None when the projection does not serve it."""
        parts = conjuncts(question.expression)
        period = {name: [p for p in parts if _is(p, name)] for name in ("since", "until")}
        columns = tuple(p for p in parts if not _is(p, "since") and not _is(p, "until"))
        if not _names(All(columns)) <= _FILTERS or any(len(found) > 1 for found in period.values()):
            return None
        since, until = (_moment(question, found) for found in period.values())
        # In whole hours, numbers are rounded towards zero: hours from the first one of 1970 on are as they should be.
        first = 1 if since is None else max(1, -(-since // HOUR_MICROS))
        end = None if until is None else until // HOUR_MICROS
        if end is not None and end - first < _LEAST_HOURS:
            return None
        tenants = All(tuple(p for p in columns if _names(p) == {"tenant"}))
        return cls(question, tenants, All(columns), first, end)

    def counted(self, database: Database, by: By = ALL_TOGETHER) -> Counted | None:
        """Count the rows that match.

        Returns:
            None when hours cannot tell: some are divided by what is counted by, or rows of too many are running out.

        Raises:
            QueryError: The database could not answer.
        """
        rows = self._rows(database, by, self.statement)
        edges = sorted({hour for row in rows for hour in row["edges"]})
        if len(edges) > _MOST_EDGES or any(row["divided"] for row in rows):
            return None
        present = rows[0]["present"] if edges else 0
        ends = self._rows(database, by, lambda by_, parameters: self._ends(by_, edges, present, parameters))
        found = Counter({row["value"]: row["events"] for row in rows})
        found.update({row["value"]: row["events"] for row in ends})
        return Counted(+found, sum(row["looked_at"] for row in rows))

    def _rows(self, database: Database, by: By, statement: Callable[[By, Parameters], str]) -> list[dict[str, Any]]:
        parameters = Parameters(dict(by.bound))
        text = statement(by, parameters)
        return database.rows(text, parameters, hint=self.question.hint, settings=by.settings)

    def statement(self, by: By, parameters: Parameters) -> str:
        """Return the statement over whole hours; it names only what the projection holds."""
        clock = self.question.clock
        column = f", {by.column}" if by.column in COLUMNS else ""
        value = by.time(_moment_of("hour", 0)) if by.time else by.column
        divided = f"{value} != {by.time(_moment_of('hour', HOUR_MICROS - 1))}" if by.time else "0"
        fits = "1" if self.columns == self.tenants else condition(self.columns, parameters, clock)
        where = [condition(self.tenants, parameters, clock), f"{_EXPIRY} >= {_PRESENT}"]
        where.append(f"{_HOUR} >= {parameters.bind(self.first, 'Int64')}")
        if self.end is not None:
            where.append(f"{_HOUR} < {parameters.bind(self.end, 'Int64')}")
        # One number of what rows are grouped by: several keys would double the time of it.
        return (
            "WITH intDiv(slot, 4) AS hour, bitTest(slot, 1) AS edge, bitTest(slot, 0) AS fits "  # noqa: S608 - values are bound
            f"SELECT {value} AS value, sumIf(found, fits AND NOT edge) AS events, sum(found) AS looked_at, "
            f"groupUniqArrayIf(hour, fits AND edge) AS edges, max({divided}) AS divided, {_PRESENT} AS present "
            f"FROM (SELECT {_HOUR} * 4 + ({_EXPIRY} = {_PRESENT}) * 2 + ({fits}) AS slot{column}, "
            f"count() AS found FROM audit_events WHERE {' AND '.join(where)} GROUP BY slot{column}) GROUP BY value"
        )

    def _ends(self, by: By, edges: Sequence[int], present: int, parameters: Parameters) -> str:
        outside = " OR ".join(self._outside(edges, present, parameters))
        return (
            f"SELECT {by.value} AS value, count() AS events FROM audit_events "  # noqa: S608 - values are bound
            f"WHERE {self.question.where(parameters)} AND ({outside}) GROUP BY value"
        )

    def _outside(self, edges: Sequence[int], present: int, parameters: Parameters) -> Iterator[str]:
        """Return conditions on what no whole hour tells."""
        yield f"occurred_at < {parameters.moment_of_micros(self.first * HOUR_MICROS)}"
        if self.end is not None:
            yield f"occurred_at >= {parameters.moment_of_micros(self.end * HOUR_MICROS)}"
        if edges:
            inside = " OR ".join(
                f"occurred_at >= {parameters.moment_of_micros(hour * HOUR_MICROS)} "
                f"AND occurred_at < {parameters.moment_of_micros((hour + 1) * HOUR_MICROS)}"
                for hour in edges
            )
            yield f"{_EXPIRY} = {parameters.bind(present, 'Int64')} AND ({inside})"


def _names(expression: Expression) -> set[str]:
    return {find_filter(term).name for term in terms(expression)}


def _is(part: Expression, name: str) -> bool:
    return isinstance(part, Term) and find_filter(part).name == name


def _moment(question: Question, found: Sequence[Expression]) -> int | None:
    term = next(iter(found), None)
    return micros(parse_moment(term.value, question.clock)) if isinstance(term, Term) else None


def _moment_of(hour: str, later: int) -> str:
    return f"fromUnixTimestamp64Micro({hour} * {HOUR_MICROS} + {later}, 'UTC')"
