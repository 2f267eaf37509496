"""Columns without any value take no place in a part, and are read as they were through merges and mutations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from infrastructure.clickhouse import fresh_database
from schemas.columns import event_columns
from sinks.clickhouse import ClickHouseSink, ClickHouseStore
from sinks.connection import Connections
from sinks.digest import digest_by_day
from sinks.manifest import NO_PREVIOUS
from sinks.migrate import Migrator
from sinks.rows import EVENTS
from sinks.settings import ClickHouseSettings
from sinks.sink import OffsetRange
from sinks.testing import batch
from sinks.tuning import SKIP_EMPTY, tune


@pytest.fixture
def connections(chdb_settings: ClickHouseSettings) -> Iterator[Connections]:
    opened = Connections(fresh_database(chdb_settings))
    Migrator(opened).migrate()
    yield opened
    opened.command(f"DROP DATABASE IF EXISTS {opened.settings.database} SYNC")
    opened.close()


@pytest.fixture
def sink(connections: Connections) -> Iterator[ClickHouseSink]:
    opened = ClickHouseSink(connections.settings)
    yield opened
    opened.close()


def table(connections: Connections) -> str:
    return f"{connections.settings.database}.{EVENTS}"


@pytest.fixture(params=[0, 1 << 28], ids=["wide", "compact"])
def parts(request: pytest.FixtureRequest, connections: Connections) -> None:
    """Store every column in files of its own, or all of them in one file."""
    change(connections, f"MODIFY SETTING min_bytes_for_wide_part = {request.param}")


def stored_columns(connections: Connections) -> set[str]:
    found = connections.rows(
        "SELECT DISTINCT column FROM system.parts_columns WHERE database = {d:String} AND table = {t:String} AND active",
        {"d": connections.settings.database, "t": EVENTS},
    )
    return {str(row["column"]) for row in found}


def change(connections: Connections, action: str) -> None:
    connections.command(f"ALTER TABLE {table(connections)} {action} SETTINGS mutations_sync = 2")


def read(connections: Connections, span: OffsetRange) -> pa.Table:
    return ClickHouseStore(connections).read(EVENTS, span)


@pytest.mark.usefixtures("parts")
def test_parts_lack_columns_without_values_and_nothing_reads_differently(
    connections: Connections, sink: ClickHouseSink
) -> None:
    topic = uuid4()
    bare, full = OffsetRange("audit.events", topic, 0, 0, 9), OffsetRange("audit.events", topic, 0, 10, 19)
    first = sink.write(batch(bare), NO_PREVIOUS)
    empty = {"hook_error", "targets.id", "affected_count", "labels"}
    assert not empty & stored_columns(connections)
    values: dict[str, Any] = {"hook_error": "E\0", "affected_count": 0, "labels": [("", "x")], "auth_mfa": True}
    lists = {"targets.type": ["a", ""], "targets.id": ["1", "2"], "targets.name": ["", ""], "targets.role": ["", "r"]}
    second = sink.write(batch(full, values=dict.fromkeys((11, 17), values | lists)), first.sha256)
    for _ in range(2):
        assert digest_by_day(read(connections, bare), event_columns()) == first.digests
        assert digest_by_day(read(connections, full), event_columns()) == second.digests
        connections.command(f"OPTIMIZE TABLE {table(connections)} FINAL")
    assert empty | {"tenant_id"} <= stored_columns(connections)


@pytest.mark.usefixtures("parts")
def test_erasure_in_parts_that_lack_a_column_touches_only_the_rows_it_names(
    connections: Connections, sink: ClickHouseSink
) -> None:
    span = OffsetRange("audit.events", uuid4(), 0, 0, 9)
    sink.write(batch(span), NO_PREVIOUS)
    assert "message" not in stored_columns(connections)
    before = read(connections, span).to_pylist()
    change(connections, "UPDATE message = 'erased' WHERE kafka_offset = 4")
    change(connections, "UPDATE message = '', affected_count = NULL WHERE kafka_offset = 5")
    change(connections, "DELETE WHERE kafka_offset = 6")
    connections.command(f"OPTIMIZE TABLE {table(connections)} FINAL")
    expected = [row | {"message": b"erased"} if row["kafka_offset"] == 4 else row for row in before]
    assert read(connections, span).to_pylist() == [row for row in expected if row["kafka_offset"] != 6]


def test_what_an_operator_set_stays(connections: Connections) -> None:
    change(connections, f"MODIFY SETTING {SKIP_EMPTY} = 0")
    assert not tune(connections)
    assert not Migrator(connections).migrate()
    engine = connections.rows(
        "SELECT engine_full FROM system.tables WHERE database = {d:String} AND name = {t:String}",
        {"d": connections.settings.database, "t": EVENTS},
    )
    assert f"{SKIP_EMPTY} = 0" in engine[0]["engine_full"]


def test_the_tables_are_tuned_once(connections: Connections) -> None:
    change(connections, f"RESET SETTING {SKIP_EMPTY}")
    assert tune(connections)
    assert not tune(connections)
