"""The demo: the whole path in one process, counted, and open to visitors while it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infrastructure.ports import wait_until
from infrastructure.processes import ControlledProcess, Processes

AUDITSTREAM = Path(sys.executable).with_name("auditstream")


def test_a_run_to_the_end_accounts_for_every_event_and_says_so_in_its_last_line(processes: Processes) -> None:
    demo = processes.start("demo", [AUDITSTREAM, "demo", "--once", "--events", "4000", "--bad-share", "0.05"])
    assert demo.wait(180.0) == 0
    lines = demo.log_text().splitlines()
    summary = json.loads(lines[-1])
    assert list(summary) == ["produced", "stored", "dead_lettered", "duplicates", "missing", "seconds"]
    assert summary["produced"] == 4000 == summary["stored"] + summary["dead_lettered"]
    assert summary["duplicates"] == summary["missing"] == 0
    assert summary["dead_lettered"] > 100
    assert sum(line.startswith("$ auditstream") for line in lines) == 5


def test_a_data_directory_that_is_in_use_is_refused(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    demo = processes.start("demo", [AUDITSTREAM, "demo", "--once", "--data-dir", tmp_path])
    assert demo.wait(60.0) == 2
    assert "is not empty" in demo.log_text()


@pytest.fixture
def running(processes: Processes, tmp_path: Path) -> tuple[ControlledProcess, dict[str, object]]:
    ready = tmp_path / "ready.json"
    demo = processes.start("demo", [AUDITSTREAM, "demo", "--rate", "200", "--ready-file", ready])
    wait_until(lambda: ready.exists() or not demo.running, timeout_s=120.0, what="the demo to be ready")
    return demo, json.loads(ready.read_text(encoding="utf-8"))


def visit(environment: object, *arguments: str, standard_input: str = "") -> subprocess.CompletedProcess[str]:
    assert isinstance(environment, dict)
    command = [str(AUDITSTREAM), *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(
        command, env=variables, input=standard_input, capture_output=True, text=True, timeout=90, check=False
    )


def test_a_running_demo_takes_events_and_answers_queries_of_other_processes(
    running: tuple[ControlledProcess, dict[str, object]], tmp_path: Path
) -> None:
    demo, addresses = running
    environment = {**dict(addresses["environment"]), "AUDITSTREAM_REGISTRY_CACHE_DIR": str(tmp_path / "cache")}  # type: ignore[call-overload]
    event = json.dumps({"event_code": "campaign.activate", "tenant_id": "visitor", "actor_id": "ann"})
    emitted = visit(environment, "emit", standard_input=event + "\n")
    assert emitted.returncode == 0, emitted.stderr

    def stored() -> bool:
        found = visit(environment, "query", "--tenant", "visitor", "--format", "ndjson", "--columns", "actor_id")
        assert found.returncode == 0, found.stderr
        return [json.loads(line) for line in found.stdout.splitlines()] == [{"actor_id": "ann"}]

    wait_until(stored, timeout_s=60.0, what="the visitor's event to be stored", every_s=1.0)
    assert "auditstream_messages_total" in httpx.get(str(addresses["metrics"])).text
    demo.send(signal.SIGINT)
    assert demo.wait(60.0) == 0
