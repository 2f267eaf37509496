"""Events that their service sent several times under one id: shown once, with the number of their deliveries.

What is stored is deliveries, and each stays stored as it came. Two of them are the same event when tenant, time, id
and everything else that the service sent are equal; where they came in Kafka, when they were stored and what
enrichment added may differ. Deliveries that share tenant, time and id but differ in what was sent are in conflict:
each content is shown as an event of its own, and marked, so that nobody hides an event by sending another one under
its id. Only deliveries that match the question count, so that no figure tells of rows beyond a reader's scope.

Repetitions are rare, so reads look for them where they show: deliveries of one event share a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, TypeAlias

from query.database import Database
from query.parameters import Parameters
from query.question import Question
from query.sorting import event_keys, identity, place
from schemas.columns import event_columns

#: Tenant, time in microseconds, id.
Identity: TypeAlias = tuple[str, int, str]
#: Topic id, partition, offset, as text.
Place: TypeAlias = tuple[str, ...]
#: Digest of what was sent -> where it was stored, the first stored first.
Contents: TypeAlias = Mapping[str, Sequence[Place]]

#: Columns that deliveries of one event share; events in conflict do too.
EVENT_KEY = "tenant_id, occurred_at, event_id"
_IDENTITY = "tenant_id AS tenant, toUnixTimestamp64Micro(occurred_at) AS moment, toString(event_id) AS id"
_PLACE = "[toString(kafka_topic_id), toString(kafka_partition), toString(kafka_offset)] AS place"
#: Times looked up in one statement; more outgrow the address of a request.
MOST_TIMES = 500
#: Computed by the worker from what the service sent, and nothing else.
_CONVERTED = ("event_id", "ip")


def _sent_columns() -> Sequence[str]:
    return [c.name for c in event_columns() if c.source == "event" or c.name in _CONVERTED]


@cache
def digest_of_content() -> str:
    """Return the expression of a digest over all that the service sent with an event."""
    return f"hex(SHA256(toString(tuple({', '.join(f'`{name}`' for name in _sent_columns())}))))"


@cache
def sent_fields() -> tuple[str, ...]:
    """Return the fields of an event that hold what its service sent."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in _sent_columns()))


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """One event as a page shows it.

    Attributes:
        raw: The row of its first delivery.
        deliveries: How many of its deliveries match the question.
        conflict: Whether other content is stored under its tenant, time and id.
        digest: Digest of its content; empty where nothing else shares its keys.
    """

    raw: dict[str, Any]
    deliveries: int = 1
    conflict: bool = False
    digest: str = ""


def groups(rows: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return rows in the order of a page, those that share tenant, time and id together."""
    return [list(group) for _, group in groupby(rows, event_keys)]


def shown(
    database: Database,
    question: Question,
    grouped: Sequence[Sequence[dict[str, Any]]],
    *,
    resumed: bool = False,
    every: bool = False,
) -> Iterator[list[ShownEvent]]:
    """Yield the events of each group, by digest.

    Args:
        database: Where to look repetitions up.
        question: What deliveries must match.
        grouped: Whole groups.
        resumed: A page before ended within the first group.
        every: Look every row up, also one that has no equal next to it: in orders by other than time, what conflicts
            may stand elsewhere.
    """
    wanted = {identity(g[0]) for at, g in enumerate(grouped) if len(g) > 1 or (resumed and at == 0)}
    if every:
        wanted |= repeated(database, question, {identity(g[0]) for g in grouped})
    found = contents(database, question, wanted)
    for group in grouped:
        known = found.get(identity(group[0])) if found else None
        yield _events(group, known) if known else [ShownEvent(group[0])]


def _events(group: Sequence[dict[str, Any]], known: Contents) -> list[ShownEvent]:
    rows = {place(raw): raw for raw in group}
    events = []
    for digest, places in sorted(known.items()):
        # Content that is not here stands elsewhere in the order.
        if first := next((rows[p] for p in places if p in rows), None):
            events.append(ShownEvent(first, len(places), len(known) > 1, digest))
    return events


def repeated(database: Database, question: Question, wanted: Collection[Identity]) -> set[Identity]:
    """Return which of some events are stored more than once, within a question."""
    found: set[Identity] = set()
    for some in _chunks(wanted):
        parameters = Parameters()
        statement = (
            f"SELECT {_IDENTITY} FROM audit_events WHERE {_where(question, some, parameters)} "  # noqa: S608 - values are bound
            f"GROUP BY {EVENT_KEY} HAVING count() > 1"
        )
        rows = database.rows(statement, parameters, hint=question.hint)
        found |= {(r["tenant"], r["moment"], r["id"]) for r in rows} & set(some)
    return found


def contents(database: Database, question: Question, wanted: Collection[Identity]) -> dict[Identity, Contents]:
    """Return what is stored under the keys of some events, within a question."""
    found: dict[Identity, dict[str, list[Place]]] = {}
    for some in _chunks(wanted):
        parameters = Parameters()
        ids = parameters.bind([event_id for _, _, event_id in some], "Array(UUID)")
        statement = (
            f"SELECT {_IDENTITY}, {_PLACE}, {digest_of_content()} AS digest FROM audit_events "  # noqa: S608 - values are bound
            f"WHERE {_where(question, some, parameters)} AND event_id IN ({ids}) "
            "ORDER BY ingested_at, kafka_topic_id, kafka_partition, kafka_offset"
        )
        for row in database.rows(statement, parameters, hint=question.hint):
            key = (row["tenant"], row["moment"], row["id"])
            found.setdefault(key, {}).setdefault(row["digest"], []).append(tuple(row["place"]))
    return {key: found[key] for key in wanted if key in found}


def arrival_numbers(database: Database, question: Question, rows: Sequence[Mapping[str, Any]]) -> list[ShownEvent]:
    """Return each row with how many deliveries of its event had been stored by then, itself included."""
    wanted = {identity(r) for r in rows}
    found = contents(database, question, list(repeated(database, question, wanted)))
    return [_numbered(dict(row), found.get(identity(row), {})) for row in rows]


def _numbered(raw: dict[str, Any], known: Contents) -> ShownEvent:
    here = place(raw)
    number = next((places.index(here) + 1 for places in known.values() if here in places), 1)
    return ShownEvent(raw, number, len(known) > 1)


def _where(question: Question, some: Sequence[Identity], parameters: Parameters) -> str:
    tenants = parameters.bind(sorted({tenant for tenant, _, _ in some}), "Array(String)")
    moments = parameters.moments_of_micros(sorted({moment for _, moment, _ in some}))
    return f"{question.where(parameters)} AND tenant_id IN ({tenants}) AND occurred_at IN {moments}"


def _chunks(wanted: Collection[Identity]) -> Iterator[Sequence[Identity]]:
    ordered = sorted(wanted, key=lambda event: event[1])
    for at in range(0, len(ordered), MOST_TIMES):
        yield ordered[at : at + MOST_TIMES]
