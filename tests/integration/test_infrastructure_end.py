"""However a test run ends, what it started is gone."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from infrastructure.ports import wait_until
from infrastructure.processes import Processes

TESTS = Path(__file__).parents[1]
INNER = """
import time

def test_that_waits(processes):
    sleeper = processes.start("sleeper", ["sleep", "600"])
    frozen = processes.start("frozen", ["sleep", "600"])
    frozen.pause()
    print("started", sleeper.pid, frozen.pid, flush=True)
    time.sleep(600)
"""


def _ended(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    # Z: ended, and not yet reaped by the init process.
    return not stat.exists() or stat.read_text("utf-8").rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_an_interrupted_test_run_leaves_no_process_behind(
    processes: Processes, tmp_path: Path, number: signal.Signals
) -> None:
    inner = tmp_path / "test_inner.py"
    inner.write_text(INNER, "utf-8")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pytest",
        "-s",
        "-p",
        "conftest",
        "-c",
        tmp_path / "none.ini",
        inner,
    ]
    (tmp_path / "none.ini").write_text("[pytest]\n", "utf-8")
    run = processes.start("pytest", command, environment={"PYTHONPATH": str(TESTS)})
    pids = [int(pid) for pid in run.wait_for_log(r"started (\d+) (\d+)").groups()]
    run.send(number)
    assert run.wait(20) == pytest.ExitCode.INTERRUPTED
    wait_until(lambda: all(_ended(pid) for pid in pids), timeout_s=5, what="the end of both processes")
