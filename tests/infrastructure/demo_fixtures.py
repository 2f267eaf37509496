"""The demo of the whole run: ``pytest_plugins = ["infrastructure.demo_fixtures"]``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from infrastructure.demo import AUDITSTREAM, Demo
from infrastructure.ports import wait_until
from infrastructure.processes import Processes

_START_S, _STOP_S = 180.0, 120.0


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo with a small load, the same for the whole run."""
    directory = tmp_path_factory.mktemp("demo")
    file = directory / "ready.json"
    processes = Processes(directory)
    process = processes.start("demo", [AUDITSTREAM, "demo", "--rate", "50", "--port", "0", "--ready-file", file])
    try:
        wait_until(lambda: file.exists() or not process.running, timeout_s=_START_S, what="the demo to be ready")
        assert file.exists(), process.log_text()
        yield Demo(json.loads(file.read_text(encoding="utf-8")), file, directory / "cache")
        assert process.terminate(_STOP_S) == 0, process.log_text()
    finally:
        processes.close()
