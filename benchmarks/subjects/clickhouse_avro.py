"""ClickHouse's own Avro reader: ``INSERT … SELECT … FROM file('….avro', Avro)`` on one thread into the same table."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.subjects.flat import insert_select
from benchmarks.subjects.reporting import Moment, expect_rows, hold_merges, merged_cpu_s, tell, tell_warm
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings


def settings_clause(block_rows: int) -> str:
    """Return the settings: one thread, and blocks of exactly ``block_rows``."""
    settings = {
        "max_threads": 1,
        "max_insert_threads": 1,
        "input_format_parallel_parsing": 0,
        "input_format_null_as_default": 1,
        "max_block_size": block_rows,
        "max_insert_block_size": block_rows,
        "min_insert_block_size_rows": block_rows,
        "min_insert_block_size_bytes": 0,
        "input_format_max_block_size_bytes": 0,
        "async_insert": 0,
    }
    return " SETTINGS " + ", ".join(f"{name} = {value}" for name, value in settings.items())


def measure(directory: Path, warm_file: Path, file: Path, events: tuple[int, int], block_rows: int) -> dict[str, float]:
    """Store a small file, then measure a large one."""
    warm, count = events
    connections = Connections(ClickHouseSettings(interface="chdb", path=directory, insert_timeout_s=30.0))
    Migrator(connections).migrate()
    table = f"`{connections.settings.database}`.audit_events"
    clause = settings_clause(block_rows)
    connections.command(insert_select(table, str(warm_file)) + clause)
    hold_merges(connections)
    tell_warm()
    before = Moment.now()
    connections.command(insert_select(table, str(file)) + clause)
    after = Moment.now()
    merges_s = merged_cpu_s(connections, count, warm + count)
    expect_rows(connections, warm + count)
    connections.close()
    return before.until(after, count) | {"merges_after_cpu_s": merges_s}


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("warm_file", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("warm", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("block_rows", type=int)
    given = parser.parse_args()
    tell(
        measure(
            given.directory,
            given.warm_file,
            given.file,
            (given.warm, given.count),
            given.block_rows,
        )
    )


if __name__ == "__main__":
    main()
