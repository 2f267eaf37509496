"""How many events match: events, not deliveries, exactly as far as that can be told in time.

Rows are counted, and what was delivered more than once is taken off. Deliveries of one event share their time, so
only where times repeat are ids looked at, and only where ids repeat contents. Beyond EXACT_ROWS rows that would cost
more than the figure is worth: the number of deliveries is told instead, which is never too low, and marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from query.database import Database
from query.deliveries import digest_of_content
from query.parameters import Parameters
from query.question import Question

#: Rows up to which repetitions are looked for.
EXACT_ROWS = 250_000

_ID = "tenant_id, occurred_at, event_id"


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
    found = repeats(database, question)
    if not found.certain:
        return Total(_rows(database, question), is_exact=False)
    more = sum(surplus(database, question).values()) if found.possible else 0
    return Total(found.rows - more, is_exact=True)


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
    database: Database,
    question: Question,
    value: str = "''",
    parameters: Parameters | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Mapping[Any, int]:
    """Return by how many the rows of each value outnumber its events; values without repetitions are left out.

    Args:
        database: Where to read.
        question: Which events.
        value: Expression of the value.
        parameters: Those that the expression needs.
        settings: Settings that it needs.

    Raises:
        QueryError: The database could not answer.
    """
    parameters = parameters or Parameters()
    where = question.where(parameters)
    statement = (
        f"SELECT value, sum(copies - 1) AS more FROM (SELECT {value} AS value, count() AS copies FROM audit_events "  # noqa: S608 - values are bound
        f"WHERE {where} AND ({_ID}) IN "
        f"(SELECT {_ID} FROM audit_events WHERE {where} GROUP BY {_ID} HAVING count() > 1) "
        f"GROUP BY {_ID}, {digest_of_content()}, value HAVING copies > 1) GROUP BY value"
    )
    rows = database.rows(statement, parameters, hint=question.hint, settings=settings)
    return {row["value"]: row["more"] for row in rows}


def _rows(database: Database, question: Question) -> int:
    parameters = Parameters()
    statement = f"SELECT count() AS found FROM audit_events WHERE {question.where(parameters)}"  # noqa: S608 - values are bound
    return int(database.rows(statement, parameters, hint=question.hint)[0]["found"])
