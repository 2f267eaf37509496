"""Every form in which a block can be sent over HTTP stores the same rows, once per token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest

from infrastructure.clickhouse import fresh_database
from schemas.columns import event_columns
from sinks.clickhouse import ClickHouseStore
from sinks.connection import Connections
from sinks.digest import digest_by_day
from sinks.migrate import Migrator
from sinks.rows import EVENTS, insertable
from sinks.settings import ClickHouseSettings
from sinks.sink import OffsetRange
from sinks.testing import batch

TYPES = {c.name: c.clickhouse_type for c in event_columns()}
FORMS = [(types, compression) for types in (TYPES, None) for compression in (None, "lz4")]


@pytest.fixture
def connections(clickhouse_served: ClickHouseSettings) -> Iterator[Connections]:
    opened = Connections(fresh_database(clickhouse_served))
    Migrator(opened).migrate()
    yield opened
    opened.command(f"DROP DATABASE IF EXISTS {opened.settings.database} SYNC")
    opened.close()


def events(span: OffsetRange) -> pa.Table:
    odd: dict[int, dict[str, Any]] = {
        0: {"message": "a\0" * 90, "labels": [("k", "")], "affected_count": 0},
        7: {"geo_lat": -0.0},
    }
    return insertable(EVENTS, batch(span, values=odd).events)


@pytest.mark.parametrize(("types", "compression"), FORMS, ids=["native", "native-lz4", "arrow", "arrow-lz4"])
def test_a_block_is_stored_as_it_is(
    connections: Connections, types: dict[str, str] | None, compression: str | None
) -> None:
    span = OffsetRange("audit.events", uuid4(), 0, 0, 999)
    block = events(span)
    connections.compression = compression
    connections.insert(f"{connections.settings.database}.{EVENTS}", block, "one", query_id=str(uuid4()), types=types)
    stored = ClickHouseStore(connections).read(EVENTS, span)
    assert digest_by_day(stored, event_columns()) == digest_by_day(block, event_columns())


def test_one_token_is_stored_once_whatever_the_form_of_its_block(connections: Connections) -> None:
    span = OffsetRange("audit.events", uuid4(), 0, 0, 99)
    for types, compression in FORMS:
        connections.compression = compression
        name = f"{connections.settings.database}.{EVENTS}"
        connections.insert(name, events(span), "one", query_id=str(uuid4()), types=types)
    assert list(ClickHouseStore(connections).offsets(EVENTS, span)) == list(range(100))


def test_compression_is_for_the_way_to_other_machines() -> None:
    def compression(host: str) -> str | None:
        return Connections(ClickHouseSettings(host=host)).compression

    assert [compression(h) for h in ("127.0.0.1", "localhost", "::1", "db.example", "10.0.0.1")] == [None] * 3 + [
        "lz4"
    ] * 2
