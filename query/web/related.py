"""Events that belong to one: of the same request, session, transaction, object, parent or actor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from query.access.scoped_reader import ScopedReader
from query.expression import Term, conjunction
from query.fields import Row
from query.question import Question

#: Related events are counted up to here.
MOST_COUNTED = 100
_JOURNAL = "/journal"


def journal_address(*terms: Term) -> str:
    """Return the address of the list of the events that match all of some filters, each of another name.

    Args:
        terms: The filters; all times are meant when none of them is a period.
    """
    named = {term.name: term.value for term in terms}
    # Without a word about the period the journal shows the last day.
    period = {} if {"since", "until"} & set(named) else {"period": "all"}
    return f"{_JOURNAL}?{urlencode({**named, **period})}"


@dataclass(frozen=True, slots=True)
class Relation:
    """A way in which events belong to one.

    Attributes:
        name: request, session, correlation, trace, object, parent or actor.
        label: What they share, in words.
        value: What it is, for example the id of the request.
        terms: Filters that find them, the one itself included.
    """

    name: str
    label: str
    value: str
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Related:
    """How many events belong to one in some way.

    Attributes:
        relation: In which way.
        others: How many besides the event itself, MOST_COUNTED at most.
        are_more: There are more than ``others``.
    """

    relation: Relation
    others: int
    are_more: bool


#: Relation -> label, column, filter, days before and after the event within which it is looked for. Ids of requests,
#: sessions and transactions are served by no projection, so that an unbounded search would read the whole log.
_JOINS = (
    ("request", "Same request", "request_id", "request", 1),
    ("session", "Same session", "session_id", "session", 7),
    ("correlation", "Same business transaction", "correlation_id", "correlation", 30),
    ("trace", "Same trace", "trace_id", "trace", 1),
)
_PARENT_DAYS = 90


def relations(event: Row) -> list[Relation]:
    """Return every way in which events can belong to one; what the event does not tell is left out.

    Args:
        event: A stored event with all its fields.
    """
    return [*_joined(event), *_objects(event), *_actor(event)]


def related(reader: ScopedReader, event: Row) -> list[Related]:
    """Count the events that belong to one, each way up to MOST_COUNTED; ways without another event are left out.

    Args:
        reader: Counts within its scope.
        event: A stored event with all its fields.

    Raises:
        QueryError: The database could not answer.
        AccessError: The token does not allow it.
    """
    found = (_counted(reader, relation, event["event_id"]) for relation in relations(event))
    return [one for one in found if one.others]


def _counted(reader: ScopedReader, relation: Relation, event_id: str) -> Related:
    # One row more for the event itself, and one to see that there are more.
    page = reader.page(Question(conjunction(*relation.terms)), limit=MOST_COUNTED + 2, fields=("event_id",))
    others = len({row["event_id"] for row in page.rows} - {event_id})
    return Related(relation, min(others, MOST_COUNTED), others > MOST_COUNTED or page.next_cursor is not None)


def _joined(event: Row) -> Iterator[Relation]:
    for name, label, column, term, days in _JOINS:
        if event[column]:
            yield Relation(name, label, event[column], _within(event, days, Term(term, event[column])))


def _objects(event: Row) -> Iterator[Relation]:
    if event["target_type"] and event["target_id"]:
        target = f"{event['target_type']}/{event['target_id']}"
        yield Relation("object", "Same object", target, _of_tenant(event, Term("target", target)))
    if event["parent_type"] and event["parent_id"]:
        parent = f"{event['parent_type']}/{event['parent_id']}"
        terms = _within(event, _PARENT_DAYS, Term("object", parent))
        yield Relation("parent", "Same parent object", parent, terms)


def _actor(event: Row) -> Iterator[Relation]:
    if event["actor_id"]:
        yield Relation("actor", "Same actor", event["actor_id"], _of_tenant(event, Term("actor_id", event["actor_id"])))


def _of_tenant(event: Row, *terms: Term) -> tuple[Term, ...]:
    return (Term("tenant", event["tenant_id"]), *terms)


def _within(event: Row, days: int, term: Term) -> tuple[Term, ...]:
    since, until = (_shifted(event["occurred_at"], by) for by in (-days, days))
    return _of_tenant(event, Term("since", since), Term("until", until), term)


def _shifted(moment: datetime, days: int) -> str:
    try:
        shifted = moment.astimezone(UTC) + timedelta(days=days)
    except OverflowError:
        shifted = moment.astimezone(UTC)
    return shifted.replace(microsecond=0, tzinfo=None).isoformat() + "Z"
