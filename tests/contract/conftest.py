"""What every sink promises, proved on the one in memory, on the engine in this process and on ClickHouse over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from infrastructure.clickhouse import fresh_database
from sink_subjects import Subject, clickhouse_subject, memory_subject
from sinks.settings import ClickHouseSettings
from sinks.sink import OffsetRange


@pytest.fixture(scope="module", params=["memory", "chdb", "served"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """One for all tests of this module: each test has a topic of its own."""
    if request.param == "memory":
        yield memory_subject()
    elif request.param == "chdb":
        path = request.getfixturevalue("chdb_path")
        yield from clickhouse_subject(fresh_database(ClickHouseSettings(interface="chdb", path=path)))
    else:
        yield from clickhouse_subject(fresh_database(request.getfixturevalue("clickhouse_served")))


@pytest.fixture
def span() -> OffsetRange:
    return OffsetRange("audit.events", uuid4(), 3, 100, 119)
