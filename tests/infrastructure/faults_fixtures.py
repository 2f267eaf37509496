"""Fixtures of tests that order faults of the engine: ``pytest_plugins = ["infrastructure.faults_fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from infrastructure.clickhouse import ServedEngine


@pytest.fixture(scope="module")
def faulty_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEngine]:
    """The engine served over HTTP, with faults to order at ``/faults``; one for each module."""
    served = ServedEngine(tmp_path_factory.mktemp("served"), "--faults")
    served.start()
    yield served
    served.close()


@pytest.fixture
def http(faulty_engine: ServedEngine) -> Iterator[httpx.Client]:
    """A client of ``faulty_engine``; what is left of the faults that the test ordered is taken back at its end."""
    with httpx.Client(base_url=f"http://127.0.0.1:{faulty_engine.settings.port}", timeout=30) as client:
        yield client
        client.delete("/faults")
