"""The sink in ClickHouse: on a server over HTTP, or in the engine inside this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa

from schemas.columns import Column
from sinks.checks import MANIFEST_TYPES, Checks
from sinks.clickhouse_errors import UnknownRefusal
from sinks.connection import QUORUM_SETTINGS, SEQUENTIAL_SETTINGS, Connections
from sinks.delivery import Delivery
from sinks.errors import SinkStopped, SinkUnavailable
from sinks.manifest import ROW_SCHEMA, manifest_of
from sinks.rows import ACTORS, BROKEN_GROUPS, COLUMNS, EVENTS, MANIFESTS, insertable, offsets_of
from sinks.settings import ClickHouseSettings
from sinks.sink import Manifest, OffsetRange, WriteGroup

#: Answers in succession with a code that has no verdict, after which the sink stops.
UNKNOWN_LIMIT = 10

_IN_RANGE = "kafka_topic_id = {topic_id:UUID} AND kafka_partition = {partition:Int32} AND kafka_offset BETWEEN {first:Int64} AND {last:Int64}"
_EXACTLY = (
    "kafka_topic_id = {topic_id:UUID} AND kafka_partition = {partition:Int32}"
    " AND first_offset = {first:Int64} AND last_offset = {last:Int64}"
)


def query_prefix(name: str) -> str:
    """Return what the query ids of all inserts on behalf of a range or group start with."""
    return f"auditstream:{name}:"


class ClickHouseStore:
    """Tables in ClickHouse as ``sinks.delivery`` needs them.

    Args:
        connections: Connections to the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._database = connections.settings.database
        self._replicated: bool | None = None
        self._unknown = 0
        self._lock = threading.Lock()

    def insert(self, table: str, rows: pa.Table, token: str, name: str) -> None:
        """See ``sinks.delivery.Store.insert``."""
        block = rows if table == MANIFESTS else insertable(table, rows)
        try:
            self._connections.insert(
                self._name(table),
                block,
                token,
                query_id=f"{query_prefix(name)}{table}:{uuid4()}",
                types=_types(table),
                extra=QUORUM_SETTINGS if self._is_replicated() else None,
            )
        except UnknownRefusal as error:
            self._count_unknown(error)
            raise
        with self._lock:
            self._unknown = 0

    def read(self, table: str, range_: OffsetRange) -> pa.Table:
        """See ``sinks.delivery.Store.read``."""
        columns = COLUMNS[table]()
        rows = self._select(_names(columns), table, self._where(table, range_), range_, "ORDER BY kafka_offset")
        return rows if rows.num_columns else pa.schema([(c.name, c.arrow) for c in columns]).empty_table()

    def _where(self, table: str, range_: OffsetRange) -> str:
        """Narrow the rows of a range by their times, which the projection by offset knows and the primary key uses."""
        if table != EVENTS:
            return _IN_RANGE
        ticks = "min(toUnixTimestamp64Micro(occurred_at)) AS first, max(toUnixTimestamp64Micro(occurred_at)) AS last"
        bounds = self._select(ticks, table, _IN_RANGE, range_, "").to_pylist()[0]
        low, high = (f"fromUnixTimestamp64Micro({int(bounds[end])}, 'UTC')" for end in ("first", "last"))
        return f"{_IN_RANGE} AND occurred_at BETWEEN {low} AND {high}"

    def offsets(self, table: str, range_: OffsetRange) -> Sequence[int]:
        """See ``sinks.delivery.Store.offsets``."""
        rows = self._select("kafka_offset", table, _IN_RANGE, range_, "ORDER BY kafka_offset")
        return tuple(offsets_of(rows).tolist()) if rows.num_rows else ()

    def manifest(self, range_: OffsetRange) -> Manifest | None:
        """See ``sinks.delivery.Store.manifest``."""
        found = self._select(
            _manifest_columns(), MANIFESTS, _EXACTLY, range_, "ORDER BY ingested_at LIMIT 1"
        ).to_pylist()
        return manifest_of(found[0]) if found else None

    def manifests(self, ranges: Sequence[OffsetRange]) -> Mapping[OffsetRange, Manifest]:
        """See ``sinks.delivery.Store.manifests``."""
        exactly = _any_of(
            f"kafka_partition = {r.partition} AND first_offset = {r.first} AND last_offset = {r.last}" for r in ranges
        )
        sql = (
            f"SELECT {_manifest_columns()} FROM {self._name(MANIFESTS)}"  # noqa: S608 - names are constants, values are numbers
            f" WHERE kafka_topic_id = {{topic_id:UUID}} AND ({exactly}) ORDER BY ingested_at LIMIT 1 BY kafka_partition"
        )
        found = map(manifest_of, self._read(sql, {"topic_id": str(ranges[0].topic_id)}).to_pylist())
        return {m.range: m for m in found}

    def heads(self, topic_id: UUID, partitions: Sequence[int]) -> Mapping[int, Manifest]:
        """See ``sinks.delivery.Store.heads``."""
        where = "kafka_topic_id = {topic_id:UUID} AND kafka_partition IN {partitions:Array(Int32)}"
        newest = f"SELECT kafka_partition, max(last_offset) FROM {self._name(MANIFESTS)} WHERE {where} GROUP BY kafka_partition"  # noqa: S608 - the database's name is checked by the settings
        sql = (
            f"SELECT {_manifest_columns()} FROM {self._name(MANIFESTS)}"  # noqa: S608 - as above
            f" WHERE {where} AND (kafka_partition, last_offset) IN ({newest}) ORDER BY ingested_at LIMIT 1 BY kafka_partition"
        )
        rows = self._read(sql, {"topic_id": str(topic_id), "partitions": list(partitions)})
        manifests = map(manifest_of, rows.to_pylist())
        return {m.range.partition: m for m in manifests}

    def last_offsets(self, table: str, topic_id: UUID, firsts: Mapping[int, int]) -> Mapping[int, int]:
        """See ``sinks.delivery.Store.last_offsets``."""
        behind = _any_of(f"kafka_partition = {p} AND kafka_offset >= {first}" for p, first in firsts.items())
        sql = (
            f"SELECT kafka_partition, max(kafka_offset) AS last FROM {self._name(table)}"  # noqa: S608 - as above
            f" WHERE kafka_topic_id = {{topic_id:UUID}} AND ({behind}) GROUP BY kafka_partition"
        )
        return {r["kafka_partition"]: r["last"] for r in self._read(sql, {"topic_id": str(topic_id)}).to_pylist()}

    def break_up(self, group: WriteGroup, range_: OffsetRange) -> None:
        """See ``sinks.delivery.Store.break_up``."""
        row = {
            "group_id": group.id,
            "kafka_topic_id": str(range_.topic_id),
            "kafka_partition": range_.partition,
            "first_offset": range_.first,
            "last_offset": range_.last,
        }
        self._connections.insert(
            self._name(BROKEN_GROUPS),
            pa.Table.from_pylist([row]),
            "",
            query_id=f"{query_prefix(range_.name)}{BROKEN_GROUPS}:{uuid4()}",
            extra={"insert_deduplicate": 0, **(QUORUM_SETTINGS if self._is_replicated() else {})},
        )

    def is_broken(self, group: WriteGroup) -> bool:
        """See ``sinks.delivery.Store.is_broken``."""
        sql = f"SELECT 1 FROM {self._name(BROKEN_GROUPS)} WHERE group_id = {{group_id:String}} LIMIT 1"  # noqa: S608 - as above
        return bool(self._read(sql, {"group_id": group.id}).num_rows)

    def settle(self, names: Sequence[str]) -> None:
        """See ``sinks.delivery.Store.settle``.

        In this process a statement has ended when its call has returned. On a server an insert whose answer was lost
        may still run: it is ended, and waited for.
        """
        if self._connections.in_process:
            return
        mine = {f"prefix_{number}": query_prefix(name) for number, name in enumerate(names)}
        begun = " OR ".join(f"startsWith(query_id, {{{parameter}:String}})" for parameter in mine)
        self._connections.command(f"KILL QUERY WHERE {begun} SYNC", mine)
        running = self._connections.rows(
            f"SELECT count() AS n FROM system.processes WHERE {begun}",  # noqa: S608 - values are parameters
            mine,
        )
        if running[0]["n"]:
            raise SinkUnavailable("busy", f"{running[0]['n']} earlier inserts of {' and '.join(names)} still run")

    def insert_actors(self, cards: pa.Table) -> None:
        """Insert actor cards; without a token, as the highest offset of a key wins anyway."""
        self._connections.insert(
            self._name(ACTORS),
            insertable(ACTORS, cards),
            "",
            query_id=f"auditstream:actors:{uuid4()}",
            types=_types(ACTORS),
            extra={"insert_deduplicate": 0},
        )

    def _select(self, columns: str, table: str, where: str, range_: OffsetRange, rest: str) -> pa.Table:
        sql = f"SELECT {columns} FROM {self._name(table)} WHERE {where} {rest}"  # noqa: S608 - names are constants, values are parameters
        return self._read(
            sql,
            {
                "topic_id": str(range_.topic_id),
                "partition": range_.partition,
                "first": range_.first,
                "last": range_.last,
            },
        )

    def _read(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        return self._connections.read(sql, parameters, extra=SEQUENTIAL_SETTINGS if self._is_replicated() else None)

    def _name(self, table: str) -> str:
        return f"`{self._database}`.`{table}`"

    def _is_replicated(self) -> bool:
        if self._replicated is None:
            rows = self._connections.rows(
                "SELECT engine FROM system.tables WHERE database = {database:String} AND name = {table:String}",
                {"database": self._database, "table": EVENTS},
            )
            self._replicated = bool(rows) and str(rows[0]["engine"]).startswith("Replicated")
        return self._replicated

    def _count_unknown(self, error: UnknownRefusal) -> None:
        with self._lock:
            self._unknown += 1
            if self._unknown >= UNKNOWN_LIMIT:
                raise SinkStopped(f"{self._unknown} times in succession: {error}", code=error.code) from error


@cache
def _types(table: str) -> Mapping[str, str]:
    return MANIFEST_TYPES if table == MANIFESTS else {c.name: c.clickhouse_type for c in COLUMNS[table]()}


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(f"`{c.name}`" for c in columns)


def _any_of(conditions: Iterable[str]) -> str:
    return " OR ".join(f"({condition})" for condition in conditions)


def _manifest_columns() -> str:
    return ", ".join(f"`{name}`" for name in ROW_SCHEMA.names)


class ClickHouseSink(Delivery):
    """Stores batches in ClickHouse; the promise is that of ``sinks.sink.Sink``.

    Args:
        settings: Where the database is. With interface ``chdb`` one process may have one data directory open.
    """

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._connections = Connections(settings)
        self._tables = ClickHouseStore(self._connections)
        super().__init__(self._tables)

    def check(self) -> None:
        """See ``sinks.sink.Sink.check``."""
        Checks(self._connections).run()

    def write_actors(self, cards: pa.Table) -> None:
        """See ``sinks.sink.Sink.write_actors``."""
        if cards.num_rows:
            self._tables.insert_actors(cards)

    def close(self) -> None:
        """See ``sinks.sink.Sink.close``."""
        self._connections.close()
