"""``auditstream demo``: the whole path in one process, to look at or to check."""

from __future__ import annotations

import json
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from auditstream.demo.accounting import Balance
from auditstream.demo.embedded import EmbeddedPlatform
from auditstream.demo.questions import ask, questions
from auditstream.demo.running import LoadPlan, RunningDemo
from auditstream.demo.served import Served
from auditstream.demo.show import show_answer, show_next_steps, show_welcome, watch
from auditstream.logs import LogSettings, configure_logging
from consumers.decode import prepare

_LOOK_S = 8.0
_RATE = 500.0


@click.command(epilog="Example: auditstream demo --once --events 20000")
@click.option("--once", is_flag=True, help="Run --events events to the end, count them, and stop.")
@click.option("--events", type=click.IntRange(1), default=20_000, show_default=True, help="Events with --once.")
@click.option(
    "--rate",
    type=click.FloatRange(0.0),
    help="Events per second; 0 for as fast as they are stored.  [default: 500, with --once 0]",
)
@click.option(
    "--bad-share", type=click.FloatRange(0.0, 1.0), default=0.01, show_default=True, help="Share of damaged messages."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same events.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the page and the API.  [default: 8480, or a free one]"
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the database here; must be new or empty.  [default: removed at the end]",
)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the addresses here as JSON once everything is up.",
)
def demo(
    *,
    once: bool,
    events: int,
    rate: float | None,
    bad_share: float,
    seed: int,
    port: int | None,
    data_dir: Path | None,
    ready_file: Path | None,
) -> None:
    """Run Kafka, registry, ClickHouse, a load, a worker, the API and the page in this process; ask five questions.

    Nothing needs to be installed or started: Kafka is librdkafka's mock cluster, the registry is in memory, and the
    database is ClickHouse's own engine with its data on disk. The load begins with the story of one company. With
    --once the last line is one JSON object, and the exit code is 0 only if every produced event is in the database
    exactly once. Without it the demo prints its URL and a token for each role, and runs until Ctrl-C or SIGTERM.
    """
    # Ended by a signal as by Ctrl-C: in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    configure_logging(LogSettings(level="error", format="keyvalue"))
    logging.getLogger("consumers.decode").setLevel(logging.INFO)
    console = Console(stderr=not once, width=None)
    plan = LoadPlan(
        count=events if once else 0,
        rate=rate if rate is not None else (0.0 if once else _RATE),
        bad_share=bad_share,
        seed=seed,
    )
    started = time.monotonic()
    with _directory(data_dir) as directory:
        console.print("starting Kafka, registry, database and worker in this process …", highlight=False)
        prepare()
        with (
            EmbeddedPlatform(directory, {} if port is None else {"port": port}) as platform,
            RunningDemo(platform, plan, any_port=port is None) as running,
        ):
            if ready_file is not None:
                platform.write_ready_file(ready_file, running.service.port, running.served.ready())
            if not once:
                _run_until_interrupted(console, running)
                return
            watch(console, running, None)
            seconds = time.monotonic() - started
            balance = running.balance()
            _show_questions(console, running)
    _conclude(console, balance, seconds)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is None:
        with tempfile.TemporaryDirectory(prefix="auditstream-demo-") as name:
            yield Path(name)
        return
    given.mkdir(parents=True, exist_ok=True)
    if any(given.iterdir()):
        raise click.UsageError(
            f"--data-dir {given} is not empty: the demo counts from zero, so give it a new directory"
        )
    yield given


def _run_until_interrupted(console: Console, running: RunningDemo) -> None:
    served = running.served
    try:
        show_welcome(console, served)
        watch(console, running, _LOOK_S)
        _show_questions(console, running, served)
        metrics_url = f"http://127.0.0.1:{running.service.port}/metrics"
        show_next_steps(console, running.platform.environment(), served, metrics_url)
        console.print(f"The demo goes on at {served.url}; [bold]Ctrl-C[/bold] stops it.\n", highlight=False)
        watch(console, running, float("inf"))
    except KeyboardInterrupt:
        console.print("\nstopping: the load ends, the worker stores what it announced …")


def _show_questions(console: Console, running: RunningDemo, served: Served | None = None) -> None:
    asked = questions(datetime.now(UTC), running.served.export_id)
    for answer in ask(running.platform.environment(), asked):
        show_answer(console, answer, served)
        if answer.exit_code:
            raise click.ClickException(f"`{answer.question.command}` ended with exit code {answer.exit_code}")


def _conclude(console: Console, balance: Balance, seconds: float) -> None:
    console.print()
    verdict = "every event is accounted for exactly once" if balance.exact else "the balance does NOT hold"
    console.print(
        f"{balance.produced:,} produced = {balance.stored:,} stored + {balance.dead_lettered:,} dead letters: {verdict}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        "Next: `make demo` without ARGS keeps it running, to try queries from another terminal.", highlight=False
    )
    summary = {
        "produced": balance.produced,
        "stored": balance.stored,
        "dead_lettered": balance.dead_lettered,
        "duplicates": balance.duplicates,
        "missing": balance.missing,
        "seconds": round(seconds, 1),
    }
    click.echo(json.dumps(summary))
    sys.exit(0 if balance.exact else 1)
