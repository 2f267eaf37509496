"""Sinks under test: the one in memory, the engine in this process and ClickHouse over HTTP, and how to disturb them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from sinks.clickhouse import ClickHouseSink, ClickHouseStore
from sinks.clickhouse_errors import RowsRefused
from sinks.connection import Connections
from sinks.delivery import Delivery, Store
from sinks.errors import SinkUnavailable
from sinks.manifest import NO_PREVIOUS
from sinks.memory import MemorySink, MemoryStore
from sinks.migrate import Migrator
from sinks.rows import ACTORS, EVENTS
from sinks.settings import ClickHouseSettings
from sinks.sink import Manifest, OffsetRange, Sink, SinkBatch, StoredOffsets, WriteGroup
from sinks.testing import batch

#: The tables under test refuse events of this actor, as a constraint does that an operator adds.
UNWANTED = "unwanted"


@dataclass(frozen=True)
class Subject:
    """A sink under test, the tables behind it, and how to take rows away behind its back."""

    sink: Sink
    store: Store
    lose: Callable[[str, Sequence[int], OffsetRange], None]
    actors: Callable[[], Mapping[str, str]]


def _refuse_unwanted(table: str, block: pa.Table, token: str) -> None:
    if table == EVENTS and UNWANTED in block["actor_id"].to_pylist():
        raise RowsRefused(f"{UNWANTED} is not wanted", code=469)


def memory_subject() -> Subject:
    store = MemoryStore(before_insert=_refuse_unwanted)
    sink = MemorySink(store)

    def lose(table: str, offsets: Sequence[int], range_: OffsetRange) -> None:
        store.delete(table, offsets)

    def actors() -> Mapping[str, str]:
        return {str(c["actor_id"]): str(c["name"]) for c in sink.actors()}

    return Subject(sink, store, lose, actors)


def clickhouse_subject(settings: ClickHouseSettings) -> Iterator[Subject]:
    connections = Connections(settings)
    Migrator(connections).migrate()
    connections.command(
        f"ALTER TABLE {settings.database}.{EVENTS} ADD CONSTRAINT wanted CHECK actor_id != '{UNWANTED}'"
    )
    sink = ClickHouseSink(settings)

    def lose(table: str, offsets: Sequence[int], range_: OffsetRange) -> None:
        listed = ", ".join(map(str, offsets))
        where = f"kafka_topic_id = '{range_.topic_id}' AND kafka_offset IN ({listed})"
        connections.command(f"ALTER TABLE {settings.database}.{table} DELETE WHERE {where} SETTINGS mutations_sync = 2")

    def actors() -> Mapping[str, str]:
        found = connections.rows(f"SELECT actor_id, name FROM {settings.database}.{ACTORS} FINAL")
        return {r["actor_id"]: r["name"] for r in found}

    yield Subject(sink, ClickHouseStore(connections), lose, actors)
    sink.close()
    connections.close()


class StoppingStore:
    """The tables behind a worker that is killed at its n-th insert, before or after the block is stored."""

    def __init__(self, store: Store, insert: int, *, stored: bool) -> None:
        self.store, self.left, self.stored_too = store, insert, stored

    def insert(self, table: str, block: pa.Table, token: str, name: str) -> None:
        self.left -= 1
        if self.left == 0 and not self.stored_too:
            raise SinkUnavailable("network", "killed before the insert")
        self.store.insert(table, block, token, name)
        if self.left == 0:
            raise SinkUnavailable("network", "killed after the insert")

    def read(self, table: str, range_: OffsetRange) -> pa.Table:
        return self.store.read(table, range_)

    def offsets(self, table: str, range_: OffsetRange) -> Sequence[int]:
        return self.store.offsets(table, range_)

    def manifest(self, range_: OffsetRange) -> Manifest | None:
        return self.store.manifest(range_)

    def manifests(self, ranges: Sequence[OffsetRange]) -> Mapping[OffsetRange, Manifest]:
        return self.store.manifests(ranges)

    def heads(self, topic_id: UUID, partitions: Sequence[int]) -> Mapping[int, Manifest]:
        return self.store.heads(topic_id, partitions)

    def last_offsets(self, table: str, topic_id: UUID, firsts: Mapping[int, int]) -> Mapping[int, int]:
        return self.store.last_offsets(table, topic_id, firsts)

    def break_up(self, group: WriteGroup, range_: OffsetRange) -> None:
        self.store.break_up(group, range_)

    def is_broken(self, group: WriteGroup) -> bool:
        return self.store.is_broken(group)

    def settle(self, names: Sequence[str]) -> None:
        self.store.settle(names)


def mixed(span: OffsetRange, **values: Any) -> SinkBatch:
    return batch(span, dead=[101, 105], payloads=[102, 103], filtered=[110], skipped=[111], **values)


def write_until_killed(subject: Subject, one: SinkBatch, insert: int, *, stored: bool) -> None:
    with pytest.raises(SinkUnavailable):
        Delivery(StoppingStore(subject.store, insert, stored=stored)).write(one, NO_PREVIOUS)


def assert_each_offset_once(found: StoredOffsets, one: SinkBatch) -> None:
    counts = Counter([*found.events, *found.dead_letters])
    wanted = one.events.num_rows + one.dead_letters.num_rows
    assert set(counts.values()) == {1}
    assert len(counts) == wanted
    assert len(set(found.payloads)) == len(found.payloads)
