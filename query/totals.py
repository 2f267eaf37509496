"""How many events match: events, not deliveries, exactly as far as that can be told in time.

Rows are counted, and what was delivered more than once is taken off. Deliveries of one event share their time, so
only where times repeat are ids looked at, and only where ids repeat contents. Beyond EXACT_ROWS rows that would cost
more than the figure is worth: the number of deliveries is told instead, which is never too low, and marked. So it is
for fewer rows when they would have to be looked for among very many, and ``query.hourly`` tells the number at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from query.condition import condition
from query.database import Database
from query.deliveries import EVENT_KEY, MOST_TIMES, digest_of_content
from query.expression import All
from query.hourly import ALL_TOGETHER, By, Counted, Hours
from query.lanes import exact_lanes
from query.parameters import Parameters
from query.question import ALIVE, Question

#: Rows up to which repetitions are looked for, …
EXACT_ROWS = 250_000
#: … and rows up to which those are looked for of which hours have told the number.
_LOOKED_AT = 8 * EXACT_ROWS


@dataclass(frozen=True, slots=True)
class Total:
    """How many events match.

    Attributes:
        events: The number.
        is_exact: False when it counts deliveries: there are so many events at most.
    """

    events: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Repeats:
    """What is known about repetitions among the rows of a question.

    Attributes:
        rows: Rows that match, ``EXACT_ROWS`` and one when there are more.
        possible: Whether some of them share a time.
    """

    rows: int
    possible: bool

    @property
    def certain(self) -> bool:
        """Whether all rows were looked at."""
        return self.rows <= EXACT_ROWS


def total(database: Database, question: Question) -> Total:
    """Count the events that match.

    Raises:
        QueryError: The database could not answer.
    """
    hours = counted_by_hours(database, question)
    if hours is not None:
        return Total(hours.rows, is_exact=False)
    if (events := _counted_by_lanes(database, question)) is not None:
        return Total(events, is_exact=True)
    found = repeats(database, question)
    if not found.certain:
        return Total(_rows(database, question), is_exact=False)
    more = sum(surplus(database, question).values()) if found.possible else 0
    return Total(found.rows - more, is_exact=True)


def counted_by_hours(database: Database, question: Question, by: By = ALL_TOGETHER) -> Counted | None:
    """Return how many rows match, where whole hours tell it and looking for repetitions would cost too much.

    Raises:
        QueryError: The database could not answer.
    """
    hours = Hours.of(question)
    counted = hours.counted(database, by) if hours else None
    if counted is None or (counted.rows <= EXACT_ROWS and counted.looked_at <= _LOOKED_AT):
        return None
    return counted


def repeats(database: Database, question: Question) -> Repeats:
    """Return whether events that match may have been delivered more than once.

    Raises:
        QueryError: The database could not answer.
    """
    parameters = Parameters()
    statement = (
        "SELECT count() AS found, uniqExact(tenant_id, occurred_at) AS times "  # noqa: S608 - values are bound
        f"FROM (SELECT tenant_id, occurred_at FROM audit_events WHERE {question.where(parameters)} "
        f"LIMIT {EXACT_ROWS + 1})"
    )
    row = database.rows(statement, parameters, hint=question.hint)[0]
    return Repeats(row["found"], row["times"] < row["found"])


def surplus(
    database: Database, question: Question, by: By = ALL_TOGETHER, times: Sequence[int] = ()
) -> Mapping[Any, int]:
    """Return by how many the rows of each value outnumber its events; values without repetitions are left out.

    Args:
        database: Where to read.
        question: Which events.
        by: What rows are counted by.
        times: Where to look, microseconds; empty for everywhere.

    Raises:
        QueryError: The database could not answer.
    """
    parameters = Parameters(dict(by.bound))
    where = _where(question, times, parameters)
    statement = (
        f"SELECT value, sum(copies - 1) AS more FROM (SELECT {by.value} AS value, count() AS copies FROM audit_events "  # noqa: S608 - values are bound
        f"WHERE {where} AND ({EVENT_KEY}) IN "
        f"(SELECT {EVENT_KEY} FROM audit_events WHERE {where} GROUP BY {EVENT_KEY} HAVING count() > 1) "
        f"GROUP BY {EVENT_KEY}, {digest_of_content()}, value HAVING copies > 1) GROUP BY value"
    )
    rows = database.rows(statement, parameters, hint=question.hint, settings=by.settings)
    return {row["value"]: row["more"] for row in rows}


def _counted_by_lanes(database: Database, question: Question) -> int | None:
    """Count the events of a question for any of several keys by their projections; None when those do not serve it.

    A time that only one row of one lane has belongs to one event; the rows of all others are looked at.
    """
    found = exact_lanes(question)
    if not found:
        return None
    parameters = Parameters()
    listed = " UNION ALL ".join(
        "SELECT toUnixTimestamp64Micro(occurred_at) AS micros FROM audit_events "  # noqa: S608 - values are bound
        f"WHERE {ALIVE} AND {condition(All(lane), parameters, question.clock)}"
        for lane in found
    )
    statement = (
        f"SELECT countIf(found = 1) AS once, groupArrayIf({MOST_TIMES + 1})(micros, found > 1) AS several "  # noqa: S608 - values are bound
        f"FROM (SELECT micros, count() AS found FROM ({listed}) GROUP BY micros)"
    )
    row = database.rows(statement, parameters, hint=question.hint)[0]
    if len(row["several"]) > MOST_TIMES:
        return None
    if not row["several"]:
        return int(row["once"])
    more = sum(surplus(database, question, times=row["several"]).values())
    return int(row["once"]) + _rows(database, question, row["several"]) - more


def _rows(database: Database, question: Question, times: Sequence[int] = ()) -> int:
    parameters = Parameters()
    statement = f"SELECT count() AS found FROM audit_events WHERE {_where(question, times, parameters)}"  # noqa: S608 - values are bound
    return int(database.rows(statement, parameters, hint=question.hint)[0]["found"])


def _where(question: Question, times: Sequence[int], parameters: Parameters) -> str:
    where = question.where(parameters)
    return f"{where} AND occurred_at IN {parameters.moments_of_micros(times)}" if times else where
