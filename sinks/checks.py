"""Start-up checks: does the database, as it is set up, keep the delivery promise?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.columns import INGESTED_AT
from sinks.connection import INSERT_SETTINGS, Connections
from sinks.errors import SinkMisconfigured, SinkStopped
from sinks.migrate import Migrator
from sinks.rows import BROKEN_GROUPS, COLUMNS, DEAD_LETTERS, EVENTS, MANIFESTS, PAYLOADS

#: Oldest server whose behaviour the tables rely on: projections with a granularity of their own.
OLDEST_SERVER = (26, 3)
#: Blocks whose tokens must be remembered. A worker writes a few blocks a second; a range is replayed within minutes.
NEEDED_WINDOW_BLOCKS = 10_000
#: A partition may wait a long week-end for its replay.
NEEDED_WINDOW_S = 7 * 86_400

#: Tables whose blocks carry tokens.
DEDUPLICATED = (EVENTS, PAYLOADS, DEAD_LETTERS, MANIFESTS)

MANIFEST_TYPES: Mapping[str, str] = {
    "kafka_topic": "LowCardinality(String)",
    "kafka_topic_id": "UUID",
    "kafka_partition": "Int32",
    "first_offset": "Int64",
    "last_offset": "Int64",
    "stored": "UInt64",
    "dead_lettered": "UInt64",
    "filtered": "UInt64",
    "skipped": "UInt64",
    "schema_ids": "Array(Int32)",
    "digests.day": "Array(Int32)",
    "digests.rows": "Array(UInt64)",
    "digests.sha256": "Array(FixedString(32))",
    "previous_sha256": "FixedString(32)",
    "sha256": "FixedString(32)",
    "ingested_at": "DateTime64(3, 'UTC')",
}


def expected_types() -> Mapping[str, Mapping[str, str]]:
    """Return the ClickHouse types of all columns by table and name."""
    types = {
        table: {c.name: c.clickhouse_type for c in (*columns(), INGESTED_AT)} for table, columns in COLUMNS.items()
    }
    return {**types, MANIFESTS: MANIFEST_TYPES}


@dataclass(frozen=True, slots=True)
class Table:
    """How a table is kept.

    Attributes:
        engine: Name of its engine.
        engine_full: Its engine with keys and settings.
    """

    engine: str
    engine_full: str

    @property
    def replicated(self) -> bool:
        """Whether other servers have the same rows."""
        return self.engine.startswith(("Replicated", "Shared"))

    def setting(self, name: str, defaults: Mapping[str, str]) -> int:
        """Return a setting of the table, or else the server's default."""
        own = re.search(rf"\b{name}\s*=\s*(\d+)", self.engine_full)
        return int(own[1] if own else defaults.get(name, "0"))


def unreplicated(database: str, tables: Mapping[str, Table]) -> list[str]:
    """Return a problem for each table that other servers of a replicated log do not see.

    Args:
        database: Their database.
        tables: The tables by name.
    """
    if EVENTS not in tables or not tables[EVENTS].replicated:
        return []
    return [
        f"{database}.{name}: engine: found {table.engine}, needed one that replicates, as {EVENTS} does"
        for name, table in tables.items()
        if name in {*DEDUPLICATED, BROKEN_GROUPS} and not table.replicated
    ]


class Checks:
    """Asks the database everything that the promise rests on and names each problem.

    Args:
        connections: Connections to the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._database = connections.settings.database

    def run(self) -> bool:
        """Run all checks.

        Returns:
            Whether the tables are replicated.

        Raises:
            SinkMisconfigured: With every problem found.
            SinkUnavailable: The database could not be asked.
        """
        problems = [*self._version(), *self._settings(), *self._migrations()]
        tables = self._tables()
        problems += [*self._columns(tables), *self._windows(tables), *unreplicated(self._database, tables)]
        if problems:
            raise SinkMisconfigured(problems)
        return tables[EVENTS].replicated

    def _version(self) -> Sequence[str]:
        found = str(self._connections.rows("SELECT version() AS version")[0]["version"])
        if tuple(int(n) for n in found.split(".")[:2]) >= OLDEST_SERVER:
            return ()
        return (f"server: version found {found}, needed {OLDEST_SERVER[0]}.{OLDEST_SERVER[1]} or newer",)

    def _settings(self) -> Sequence[str]:
        """Have the server accept every setting of an insert, as a profile may pin one of them."""
        try:
            self._connections.read("SELECT 1", extra=INSERT_SETTINGS)
        except SinkStopped as error:
            return (
                f"user {self._connections.settings.user}: the settings of inserts are refused ({error}); needed: the right to change them",
            )
        return ()

    def _migrations(self) -> Sequence[str]:
        try:
            pending = Migrator(self._connections).pending()
        except SinkMisconfigured as error:
            return error.problems
        return [
            f"database {self._database}: migration {m.version:04}_{m.name} is not applied; needed: run `auditstream migrate`"
            for m in pending
        ]

    def _tables(self) -> Mapping[str, Table]:
        rows = self._connections.rows(
            "SELECT name, engine, engine_full FROM system.tables WHERE database = {database:String}",
            {"database": self._database},
        )
        return {str(r["name"]): Table(str(r["engine"]), str(r["engine_full"])) for r in rows}

    def _columns(self, tables: Mapping[str, Table]) -> list[str]:
        rows = self._connections.rows(
            "SELECT table, name, type, default_kind FROM system.columns WHERE database = {database:String}",
            {"database": self._database},
        )
        found = {(r["table"], r["name"]): r["type"] for r in rows}
        problems = self._defaults({(r["table"], r["name"]): r["default_kind"] for r in rows})
        for table, columns in expected_types().items():
            if table not in tables:
                problems.append(f"{self._database}.{table}: the table is missing; needed: run `auditstream migrate`")
                continue
            for name, kind in columns.items():
                if (has := found.get((table, name), "no such column")) != kind:
                    problems.append(f"{self._database}.{table}: column {name}: found {has}, needed {kind}")
        return problems

    def _defaults(self, kinds: Mapping[tuple[str, str], str]) -> list[str]:
        """Refuse expressions for defaults: what equals the default of its type is not sent, and they would replace it."""
        return [
            f"{self._database}.{table}: column {name}: found a {kinds[table, name]} expression, needed none"
            for table, columns in expected_types().items()
            for name in columns
            if name != INGESTED_AT.name and kinds.get((table, name))
        ]

    def _windows(self, tables: Mapping[str, Table]) -> list[str]:
        defaults = {
            str(r["name"]): str(r["value"])
            for r in self._connections.rows("SELECT name, value FROM system.merge_tree_settings")
        }
        problems = []
        for name in DEDUPLICATED:
            if name in tables:
                problems += self._window(name, tables[name], defaults)
        return problems

    def _window(self, name: str, table: Table, defaults: Mapping[str, str]) -> list[str]:
        if not table.engine.endswith("MergeTree"):
            return [
                f"{self._database}.{name}: engine: found {table.engine}, needed a MergeTree, which deduplicates blocks"
            ]
        needs = {"non_replicated_deduplication_window": NEEDED_WINDOW_BLOCKS}
        if table.replicated:
            needs = {
                "replicated_deduplication_window": NEEDED_WINDOW_BLOCKS,
                "replicated_deduplication_window_seconds": NEEDED_WINDOW_S,
            }
        found = {setting: table.setting(setting, defaults) for setting in needs}
        return [
            f"{self._database}.{name}: {setting}: found {found[setting]}, needed {needed} or more"
            for setting, needed in needs.items()
            if found[setting] < needed
        ]
