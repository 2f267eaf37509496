"""Fixtures of tests that read a stored log: ``pytest_plugins = ["infrastructure.log_fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.clickhouse import fresh_database
from query_log import Log, open_log
from sinks.settings import ClickHouseSettings


@pytest.fixture(scope="module")
def tables(chdb_path: Path) -> Iterator[Log]:
    """Our tables in a database of the engine in this process; one for each module."""
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        yield opened


@pytest.fixture
def log(tables: Log) -> Log:
    """The same, emptied for the test."""
    tables.clear()
    return tables
