"""Fixtures of tests that run workers: ``pytest_plugins = ["infrastructure.running_fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.decode import prepare
from infrastructure.bench import Bench
from infrastructure.kafka import Topics
from infrastructure.running import Warehouse
from schemas.settings import RegistrySettings
from sinks.settings import ClickHouseSettings


@pytest.fixture(scope="session")
def decoder() -> None:
    """The compiled decoder, so that no test's patience pays for compiling it."""
    prepare()


@pytest.fixture
def registry_settings(schema_registry_url: str, tmp_path: Path) -> RegistrySettings:
    """The shared registry, with a cache of this test."""
    return RegistrySettings(url=schema_registry_url, cache_dir=tmp_path / "schemas", timeout_s=2.0, retries=1)


@pytest.fixture
def bench(decoder: None, topics: Topics, registry_settings: RegistrySettings) -> Iterator[Bench]:
    """A bench with one partition."""
    made = Bench(topics, registry_settings, topics.create(partitions=1))
    yield made
    made.close()


@pytest.fixture
def wide_bench(decoder: None, topics: Topics, registry_settings: RegistrySettings) -> Iterator[Bench]:
    """A bench with four partitions."""
    made = Bench(topics, registry_settings, topics.create(partitions=4))
    yield made
    made.close()


@pytest.fixture
def warehouse(clickhouse_settings: ClickHouseSettings) -> Iterator[Warehouse]:
    """A migrated database of this test."""
    made = Warehouse(clickhouse_settings)
    made.migrate()
    yield made
    made.close()
