"""Reads on a large store: fills it in the engine of this process, then asks every named read."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.load_store import PARTITIONS, PLAIN_TABLE, Store
from benchmarks.query_reads import Meter, Reads, measured, probe
from benchmarks.subjects.reporting import CountMismatch, tell
from query import Reader
from query.collector import collect_rarely
from query.database import Database, Limits, open_client
from query.parameters import Parameters
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings

#: Plain tables of fifty million rows take long to answer.
_LIMITS = Limits(seconds=600.0)


def filled(settings: ClickHouseSettings, rows: int, told: Callable[[str], None]) -> datetime:
    """Fill a store that is new, and go on with one that was filled before; return the present of its questions.

    Raises:
        CountMismatch: It does not hold what it should.
    """
    connections = Connections(settings)
    Migrator(connections).migrate()
    store = Store(connections, rows - rows % PARTITIONS, datetime.now(UTC))
    started = time.monotonic()
    if not _count(connections, "audit_events"):
        store.fill(told)
        store.fill_plain()
        store.merge(told)
    told(f"the store is there after {time.monotonic() - started:.0f} s")
    for table in ("audit_events", PLAIN_TABLE):
        found = _count(connections, table)
        if found != store.rows:
            raise CountMismatch(f"{table} holds {found} rows instead of {store.rows}")
    newest = connections.rows(f"SELECT max(occurred_at) AS at FROM `{settings.database}`.{PLAIN_TABLE}")[0]["at"]  # noqa: S608 - ours
    connections.close()
    return datetime.fromisoformat(str(newest)).replace(tzinfo=UTC)


def _count(connections: Connections, table: str) -> int:
    return int(connections.rows(f"SELECT count() AS n FROM `{connections.settings.database}`.{table}")[0]["n"])  # noqa: S608 - ours


def measure(settings: ClickHouseSettings, at: datetime, told: Callable[[str], None]) -> dict[str, Any]:
    """Return what every named read costs."""
    collect_rarely()  # as `auditstream serve` does
    database = Database(open_client(settings), _LIMITS)
    reader = Reader(open_client(settings), _LIMITS)
    stored = database.rows("SELECT count() AS n FROM audit_events", Parameters())[0]["n"]
    meter, found = Meter(database), {}
    for read in Reads(reader, database, probe(database, at)).named():
        found[read.name] = {**measured(read, database, meter), "store_rows": stored}
        told(line(read.name, found[read.name]))
    reader.close()
    database.close()
    return found


def line(name: str, figures: dict[str, Any]) -> str:
    """Return the figures of one read for a terminal."""
    gain = figures["plain_rows_read"] / max(1, figures["rows_read"])
    return (
        f"{name:20} {figures['ms']:>9,.1f} ms {figures['rows_read']:>12,} rows read, plain {figures['plain_ms']:>9,.1f} ms "
        f"{figures['plain_rows_read']:>12,} rows: {gain:,.1f} times"
    )


def main() -> None:
    """Fill, ask, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("rows", type=int)
    given = parser.parse_args()
    settings = ClickHouseSettings(interface="chdb", path=given.directory)

    def told(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    at = filled(settings, given.rows, told)
    tell(measure(settings, at, told))


if __name__ == "__main__":
    main()
