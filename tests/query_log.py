"""A stored log for tests of reads: migrated tables, rows written by the real sink, a reader on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Any
from uuid import UUID

from query import Question, Reader, open_reader, parse
from query.period import micros
from query.question import SortName
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.opening import open_sink
from sinks.settings import ClickHouseSettings
from sinks.sink import OffsetRange, Sink
from sinks.testing import batch

TOPIC = UUID("5f0a4f0e-0000-4000-8000-00000000000a")
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def at(text: str) -> int:
    """Return a moment, ISO 8601 in UTC, as a sink batch holds it."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def address(text: str) -> bytes:
    """Return an address as a sink batch holds it."""
    found = ip_address(text)
    return (found if isinstance(found, IPv6Address) else IPv6Address(f"::ffff:{found}")).packed


@dataclass(slots=True)
class Log:
    """A database with our tables."""

    settings: ClickHouseSettings
    sink: Sink
    reader: Reader
    _next: dict[tuple[UUID, int], int] = field(default_factory=dict)
    _digest: dict[tuple[UUID, int], bytes] = field(default_factory=dict)

    def store(
        self,
        events: Sequence[Mapping[str, Any]],
        *,
        partition: int = 0,
        topic: UUID = TOPIC,
        payloads: Sequence[int] = (),
        dead: Sequence[int] = (),
    ) -> OffsetRange:
        """Store events as the next range of a partition; ``dead`` offsets of the range count from 0."""
        place = (topic, partition)
        first = self._next.get(place, 0)
        range_ = OffsetRange("audit.events", topic, partition, first, first + len(events) - 1)
        values = {first + i: e for i, e in enumerate(events)}
        made = batch(range_, values=values, payloads=[first + p for p in payloads], dead=[first + d for d in dead])
        manifest = self.sink.write(made, self._digest.get(place, bytes(32)))
        self._next[place], self._digest[place] = range_.next_offset, manifest.sha256
        return range_

    def clear(self) -> None:
        """Empty all tables, for the next test; their tokens are forgotten with the rows."""
        connections = Connections(self.settings)
        for table in ("audit_events", "audit_payloads", "dead_letters", "ingest_batches", "actors"):
            connections.command(f"TRUNCATE TABLE {self.settings.database}.{table}")
        connections.close()
        self._next.clear()
        self._digest.clear()

    def offsets(self, text: str) -> list[int]:
        """Return the offsets of the events that a question in text form matches, ascending."""
        rows = self.reader.page(asked(text), limit=1000, fields=["kafka_offset"]).rows
        return sorted(r["kafka_offset"] for r in rows)


def asked(text: str = "", *, sort: SortName = "time", descending: bool = True) -> Question:
    """Return the question of a text, asked at NOW."""
    return Question(parse(text), sort, descending, now=NOW)


@contextmanager
def open_log(settings: ClickHouseSettings) -> Iterator[Log]:
    """Make the tables in the database of the settings and open them."""
    connections = Connections(settings)
    Migrator(connections).migrate()
    sink = open_sink(settings)
    with open_reader(settings) as reader:
        yield Log(settings, sink, reader)
    sink.close()
    connections.close()
