"""Events in the order of their arrival, without a gap: what was skipped once would be missed for ever.

Neither the time of an event nor the time it was stored can carry such a walk: events come late, and inserts that run
side by side become visible in another order than their clocks say. A position is therefore one offset for each
topic-partition. A worker writes the ranges of a partition one after the other, and the row of a range in
``ingest_batches`` after its events. So when a range is seen there, its events and those of all earlier ranges are
there to be read, and no event below its end can appear any more. Nothing is waited for, no clock is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from query.cursor import seal, unseal
from query.database import Database
from query.deliveries import arrival_numbers
from query.errors import InvalidCursor
from query.fields import READ_FIELDS, Row, chosen, select_list, shown_fields, to_rows
from query.parameters import Parameters
from query.period import HOUR_MICROS
from query.question import Question
from query.sorting import Order

#: Id of a topic, as text, and number of a partition of it.
TopicPartition: TypeAlias = tuple[str, int]

#: Events of a partition that one step looks at: large enough that a rare match is found soon.
_STEP_EVENTS = 50_000
#: By which deliveries of one event are told.
_KEYS = Order.of("time", descending=False)
#: Spans of time that one statement is narrowed to.
_MOST_SPANS = 100
#: Partitions in one statement.
_PARTITIONS = 64
#: On replicas: only what every replica of the quorum has, so that the manifest is never ahead of the events.
_SETTINGS: dict[str, Any] = {"select_sequential_consistency": 1}


@dataclass(frozen=True, slots=True)
class Position:
    """How far arrivals have been read.

    Attributes:
        next_offsets: The offset to read next of each topic-partition; one that is not named is read from its start.
    """

    next_offsets: Mapping[TopicPartition, int] = field(default_factory=dict)

    def encode(self) -> str:
        """Return the position as URL-safe text."""
        places = [[topic, partition, offset] for (topic, partition), offset in sorted(self.next_offsets.items())]
        return seal(json.dumps(["arrivals", places], separators=(",", ":")).encode())

    @classmethod
    def decode(cls, text: str) -> Position:
        """Return the position of a text.

        Raises:
            InvalidCursor: The text is none, or is damaged.
        """
        try:
            kind, places = json.loads(unseal(text))
            found = {(str(UUID(topic)), int(partition)): int(offset) for topic, partition, offset in places}
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise InvalidCursor("this is no position in arrivals") from None
        if kind != "arrivals" or any(not 0 <= offset < 2**63 for offset in found.values()):
            raise InvalidCursor("this is no position in arrivals")
        return cls(found)


START = Position()


@dataclass(frozen=True, slots=True)
class Arrivals:
    """One step through arrivals.

    Attributes:
        rows: Matching deliveries, each with its number among those of its event; each partition in the order of its offsets, partitions mixed by the time of storing.
        position: Where the next step goes on.
        caught_up: Nothing further had arrived when the step began.
    """

    rows: list[Row]
    position: Position
    caught_up: bool


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Offsets of one partition that are read in one step, both ends included."""

    place: TopicPartition
    first: int
    last: int
    newest: int

    def condition(self, parameters: Parameters) -> str:
        topic, partition = self.place
        return (
            f"(kafka_topic_id = {parameters.bind(topic, 'UUID')} "
            f"AND kafka_partition = {parameters.bind(partition, 'Int32')} "
            f"AND kafka_offset BETWEEN {parameters.bind(self.first, 'Int64')} AND {parameters.bind(self.last, 'Int64')})"
        )


def newest_position(database: Database) -> Position:
    """Return the position behind everything that has arrived.

    Raises:
        QueryError: The database could not answer.
    """
    statement = (
        "SELECT toString(kafka_topic_id) AS topic, kafka_partition AS part, max(last_offset) AS newest "
        "FROM ingest_batches GROUP BY kafka_topic_id, kafka_partition"
    )
    rows = database.rows(statement, Parameters(), settings=_SETTINGS)
    return Position({(r["topic"], r["part"]): r["newest"] + 1 for r in rows})


def arrivals(
    database: Database, question: Question, position: Position, *, limit: int, fields: Sequence[str] = ()
) -> Arrivals:
    """Read the matching events that follow a position.

    Args:
        database: Where to read.
        question: Which events; its order does not count.
        position: ``START``, ``newest_position`` or that of the step before.
        limit: Events of one partition at most.
        fields: Names of ``query.fields.shown_fields``; empty for all.

    Raises:
        InvalidFilter: A field or filter is wrong.
        QueryError: The database could not answer; the same position can be asked again.
    """
    names = chosen(shown_fields(), fields)
    stretches = _stretches(database, position)
    some = [stretches[at : at + _PARTITIONS] for at in range(0, len(stretches), _PARTITIONS)]
    raw = [r for part in some for r in _events(database, question, part, names, limit)]
    raw = _mixed(raw)
    reached = dict(position.next_offsets) | dict(_reached(stretches, raw, limit))
    caught_up = all(reached[s.place] > s.newest for s in stretches)
    return Arrivals(_told(database, question, raw, names), Position(reached), caught_up)


def _told(database: Database, question: Question, raw: list[dict[str, Any]], names: Sequence[str]) -> list[Row]:
    if not set(names) & set(READ_FIELDS):
        return to_rows(raw, names)
    numbered = arrival_numbers(database, question, raw)
    return to_rows([{**e.raw, "deliveries": e.deliveries, "conflict": e.conflict} for e in numbered], names)


def _stretches(database: Database, position: Position) -> list[_Stretch]:
    parameters = Parameters()
    keys = [f"{topic}:{partition}" for topic, partition in position.next_offsets]
    known = parameters.bind(keys, "Array(String)")
    # A place that is not known has index 0, and with it the offset in front of the list.
    offsets = parameters.bind([0, *position.next_offsets.values()], "Array(Int64)")
    key = "concat(toString(kafka_topic_id), ':', toString(kafka_partition))"
    statement = f"""
        SELECT toString(kafka_topic_id) AS topic, kafka_partition AS part, any(start) AS start,
               min(first_offset) AS first, maxIf(last_offset, earlier < {_STEP_EVENTS}) AS last,
               max(last_offset) AS newest
        FROM (
            SELECT kafka_topic_id, kafka_partition, first_offset, last_offset,
                   arrayElement({offsets}, indexOf({known}, {key}) + 1) AS start,
                   sum(stored) OVER (PARTITION BY kafka_topic_id, kafka_partition ORDER BY last_offset
                                     ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - stored AS earlier
            FROM ingest_batches WHERE last_offset >= start
        )
        GROUP BY kafka_topic_id, kafka_partition ORDER BY topic, part"""  # noqa: S608 - values are bound
    rows = database.rows(statement, parameters, settings=_SETTINGS)
    return [_Stretch((r["topic"], r["part"]), max(r["start"], r["first"]), r["last"], r["newest"]) for r in rows]


def _events(
    database: Database, question: Question, stretches: Sequence[_Stretch], names: Sequence[str], limit: int
) -> list[dict[str, Any]]:
    hours = _hours(database, stretches)
    if not hours:
        return []
    parameters = Parameters()
    places = " OR ".join(s.condition(parameters) for s in stretches)
    statement = (
        f"SELECT {select_list(shown_fields(), names)}, {_KEYS.selected()}, "  # noqa: S608 - values are bound
        "tuple(toUnixTimestamp64Milli(ingested_at), toString(kafka_topic_id), kafka_partition, kafka_offset) AS arrival, "
        "tuple(toString(kafka_topic_id), kafka_partition) AS place "
        f"FROM audit_events WHERE ({places}) AND {_within(hours, parameters)} AND {question.where(parameters)} "
        "ORDER BY kafka_topic_id, kafka_partition, kafka_offset "
        f"LIMIT {parameters.bind(limit, 'UInt64')} BY kafka_topic_id, kafka_partition"
    )
    return database.rows(statement, parameters, hint=question.hint, settings=_SETTINGS)


def _hours(database: Database, stretches: Sequence[_Stretch]) -> Sequence[int]:
    """Return the hours, since 1970, in which events of some stretches happened: the projection n_kafka knows them."""
    parameters = Parameters()
    places = " OR ".join(s.condition(parameters) for s in stretches)
    statement = (
        f"SELECT DISTINCT intDiv(toUnixTimestamp64Micro(occurred_at), {HOUR_MICROS}) AS hour "  # noqa: S608 - values are bound
        f"FROM audit_events WHERE {places} ORDER BY hour"
    )
    return [row["hour"] for row in database.rows(statement, parameters, settings=_SETTINGS)]


def _within(hours: Sequence[int], parameters: Parameters) -> str:
    """Return a condition that holds for all events of these hours, by which the table is read in part only."""
    spans: list[list[int]] = []
    for hour in hours:
        if spans and hour - spans[-1][1] <= 1:
            spans[-1][1] = hour
        else:
            spans.append([hour, hour])
    if len(spans) > _MOST_SPANS:
        spans = [[hours[0], hours[-1]]]
    # Division rounds towards zero, so that hours before 1970 reach into the next one.
    ends = (((first - 1) * HOUR_MICROS, (last + 2) * HOUR_MICROS) for first, last in spans)
    told = (
        f"occurred_at BETWEEN {parameters.moment_of_micros(a)} AND {parameters.moment_of_micros(b)}" for a, b in ends
    )
    return "(" + " OR ".join(told) + ")"


def _mixed(raw: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order events by the time of storing, but never against the offsets of their partition.

    A range that was completed after a failure holds events that were stored before those in front of them.
    """
    latest: dict[Any, int] = {}
    keys = []
    for row in raw:
        place = tuple(row["place"])
        latest[place] = max(latest.get(place, 0), row["arrival"][0])
        keys.append((latest[place], *row["arrival"][1:]))
    return [row for _, row in sorted(zip(keys, raw, strict=True), key=lambda pair: pair[0])]


def _reached(
    stretches: Sequence[_Stretch], raw: Sequence[Mapping[str, Any]], limit: int
) -> Iterator[tuple[TopicPartition, int]]:
    offsets: dict[TopicPartition, list[int]] = {}
    for row in raw:
        offsets.setdefault(tuple(row["place"]), []).append(row["arrival"][3])
    for stretch in stretches:
        found = offsets.get(stretch.place, [])
        # A full list may have been cut: only what was returned is done.
        yield stretch.place, (max(found) if len(found) >= limit else stretch.last) + 1
