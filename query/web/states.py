"""What lists of latest states share: their filters, and the states that one id went through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from query.access.scoped_reader import ScopedReader
from query.condition import check
from query.expression import Expression, Term, conjunction
from query.fields import Row
from query.filters import enum_values
from query.question import Question
from query.web.clock import clock_of
from query.web.visit import Visit

ROWS = 50
#: States of one id that are shown; what has more is worth a look in the journal.
MOST_STATES = 500
#: Symbols of an enum that nobody looks for.
_NOTHING = frozenset({"unknown", "unspecified", ""})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of a list asks for.

    Attributes:
        chosen: Parameter of the address -> its value, empty for none.
        question: The same as a question.
        descending: The newest first.
    """

    chosen: Mapping[str, str]
    question: Question
    descending: bool

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out."""
        return any(self.chosen.values())


def asked(visit: Visit, filters: Mapping[str, str]) -> Asked:
    """Return what the address of a visit asks for.

    Args:
        visit: The visit.
        filters: Parameter of the address -> name of the filter.

    Raises:
        Problem: A parameter is given twice, or the order is none.
        InvalidFilter: A value is not understood.
    """
    chosen = {name: (visit.values.text(name) or "").strip() for name in filters}
    descending = visit.values.chosen("order", ("asc", "desc"), "desc") == "desc"
    clock = clock_of(visit)
    expression = conjunction(*(Term(filters[name], value) for name, value in chosen.items() if value))
    check(expression, clock)
    return Asked(chosen, Question(expression, "time", descending, clock.zone, clock.now), descending)


def statuses(column: str) -> Sequence[str]:
    """Return the states that a filter offers."""
    return [value for value in enum_values(column) if value not in _NOTHING]


def of_one(kind: str, name: str, value: str, tenant: str) -> Expression:
    """Return what every state of one id matches.

    Args:
        kind: Kind of the records.
        name: Name of the filter by id.
        value: The id.
        tenant: Its tenant, empty for any.
    """
    return conjunction(Term("kind", kind), Term(name, value), *([Term("tenant", tenant)] if tenant else []))


def history(reader: ScopedReader, one: Expression, fields: Sequence[str], sequence: str) -> list[Row]:
    """Return the states of one id in their order; those of several tenants after each other.

    Args:
        reader: Within the scope of the visitor.
        one: As ``of_one`` returns it.
        fields: Fields of the rows; ``tenant_id``, ``ingested_at`` and the sequence among them.
        sequence: Field that rises with every state.
    """
    rows = reader.page(Question(one), limit=MOST_STATES, fields=fields).rows
    return sorted(rows, key=lambda row: (row["tenant_id"], row[sequence], row["ingested_at"]))
