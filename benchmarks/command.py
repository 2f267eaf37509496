"""``python -m benchmarks``: run, profile, render."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from benchmarks import machine, report, run
from benchmarks.ground import Ground
from benchmarks.plan import BATCH_ROWS, FULL, PARTITIONS, SHORT, TRIAL
from benchmarks.profiling import run_staged, table
from benchmarks.subjects import reads
from sinks.settings import ClickHouseSettings

_PLANS = {"short": SHORT, "full": FULL, "trial": TRIAL}
#: What a test of ours reads from the environment; everything else named AUDITSTREAM_ would change what is measured.
_KEPT = "AUDITSTREAM_TEST_"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the README's figures come from.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="measure and write benchmarks/results")
    one.add_argument("--plan", choices=_PLANS, default="short")
    one.add_argument("--only", nargs="+", choices=run.MEASUREMENTS, help="these measurements; printed, not written")
    profile = commands.add_parser("profile", help="where the worker's time goes, by stage and by function")
    profile.add_argument("--batches", type=int, default=2, help=f"full batches of each of {PARTITIONS} partitions")
    profile.add_argument("--batch-rows", type=int, default=BATCH_ROWS, help="rows of a batch")
    for command in (one, profile):
        command.add_argument("--data", type=Path, help="existing directory for data; in memory by default")
    query = commands.add_parser("query", help="the named reads on a store of a size, without Kafka; printed")
    query.add_argument("--rows", type=int, default=SHORT.query_rows, help="rows of the store; 50 million: 50400000")
    query.add_argument("--directory", type=Path, help="where the store is made, and stays; a temporary one by default")
    render = commands.add_parser("render", help="write README's table and the plot from the results")
    render.add_argument("--results", default="latest", help="name of the results")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    for name in [n for n in os.environ if n.startswith("AUDITSTREAM_") and not n.startswith(_KEPT)]:
        del os.environ[name]
    if given.command == "render":
        report.write(run.read(given.results))
        return 0
    if given.command == "query" and given.directory:
        return _query(given.directory, given.rows)
    if given.command == "query":
        with tempfile.TemporaryDirectory(prefix="auditstream-benchmarks-") as directory:
            return _query(Path(directory), given.rows)
    with tempfile.TemporaryDirectory(prefix="auditstream-benchmarks-", dir=given.data or machine.memory()) as directory:
        if given.command == "profile":
            return _profile(Path(directory), given.batches, given.batch_rows)
        return _run(Path(directory), given.plan, given.only)


def _run(directory: Path, plan_name: str, only: list[str] | None) -> int:
    plan = _PLANS[plan_name]
    results = run.measure(directory, plan, only or list(run.MEASUREMENTS), _tell)
    print(report.text(results))
    if only is None and plan is not TRIAL:
        path = run.write(results, plan.name)
        report.write(results)
        _tell(f"wrote {path} and the table of README.md")
    return 0


def _query(directory: Path, rows: int) -> int:
    settings = ClickHouseSettings(interface="chdb", path=directory)
    directory.mkdir(parents=True, exist_ok=True)
    print(json.dumps(reads.measure(settings, reads.filled(settings, rows, _tell), _tell), indent=2))
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    del frame
    # As on Ctrl-C: whatever was started is ended on the way out.
    raise KeyboardInterrupt(f"signal {number}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _profile(directory: Path, batches: int, batch_rows: int) -> int:
    print(f"load of the machine: {machine.load()}")
    with Ground(directory, min(100_000, PARTITIONS * batch_rows)) as ground:
        stages, _ = run_staged(ground, batches, batch_rows=batch_rows)
        print(table(stages), flush=True)
        _, functions = run_staged(ground, 1, functions=True, batch_rows=batch_rows)
        print(functions)
    return 0
