"""``auditstream worker``: consume, validate, enrich and store until told to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from concurrent.futures import Future, wait
from types import FrameType

import click
import structlog

from auditstream.logs import configure_logging
from auditstream.memory import return_freed_memory
from auditstream.service import WorkerService
from auditstream.settings import load_settings
from consumers.backoff import Backoff
from consumers.decode import prepare
from consumers.errors import ConsumerError
from schemas.errors import SchemaError
from schemas.registry import open_registry
from sinks import open_sink
from sinks.errors import SinkError, SinkMisconfigured, SinkUnavailable
from sinks.sink import Sink

log = structlog.get_logger(__name__)

_SIGNAL_S = 0.2
#: Seconds beyond worker.stop_budget_s that leaving the group may take.
_CLOSE_S = 5.0


class _Signals:
    """Turns SIGTERM and SIGINT into a calm stop; a second one ends the process at once."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.service: WorkerService | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)

    def _received(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.stopping.is_set():
            os._exit(128 + number)
        self.stopping.set()
        if self.service is not None:
            self.service.worker.stop()


@click.command()
def worker() -> None:
    """Consume audit events from Kafka and store them in ClickHouse, each exactly once.

    Runs until SIGTERM or Ctrl-C, then finishes what it announced and leaves the group. Metrics and health are served
    on worker.http_port. Exit codes: 0 stopped on request, 1 stopped because going on would break the delivery
    promise, 2 wrong settings or a database that does not fit.

    Example:
      AUDITSTREAM_KAFKA_BOOTSTRAP_SERVERS=broker:9092 auditstream worker
    """
    settings = load_settings()
    configure_logging(settings.log)
    return_freed_memory()
    signals = _Signals()
    code = 1
    try:
        sink = open_sink(settings.clickhouse)
        registry = open_registry(settings.registry)
        prepare()
        if _check(sink, signals.stopping):
            with WorkerService(settings, sink, registry) as service:
                signals.service = service
                if signals.stopping.is_set():
                    service.worker.stop()
                _run(service, signals.stopping, settings.worker.stop_budget_s)
        code = 0
    except SinkMisconfigured as error:
        log.error("worker_refused", reason=str(error))
        click.echo(str(error), err=True)
        code = 2
    except (ConsumerError, SinkError, SchemaError, OSError) as error:
        log.error("worker_failed", reason=str(error), kind=type(error).__name__)
        click.echo(f"auditstream worker stopped: {error}", err=True)
    _leave(code)


def _run(service: WorkerService, stopping: threading.Event, stop_budget_s: float) -> None:
    """Run the worker beside this thread: a signal is heard even while Kafka's client blocks in a call.

    Raises:
        ConsumerError: See ``WorkerService.run``.
        SinkError: See there.
    """
    outcome: Future[None] = Future()

    def work() -> None:
        try:
            service.run()
        except BaseException as error:  # raised again by whoever asks for the result
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=work, name="poll", daemon=True).start()
    while not outcome.done() and not stopping.is_set():
        wait([outcome], _SIGNAL_S)
    if not outcome.done():
        wait([outcome], stop_budget_s + _CLOSE_S)
    if outcome.done():
        outcome.result()
    else:
        log.warning("stop_budget_exceeded", hint="what is announced is completed by the next worker")


def _check(sink: Sink, stopping: threading.Event) -> bool:
    """Check the database, waiting out an outage; False when a stop was asked for meanwhile."""
    backoff = Backoff()
    while not stopping.is_set():
        try:
            sink.check()
        except SinkUnavailable as error:
            wait_s = backoff.next_s(error.retry_after_s)
            log.warning("waiting", stage="check", reason=error.reason, detail=str(error), wait_s=round(wait_s, 2))
            stopping.wait(wait_s)
            continue
        return True
    return False


def _leave(code: int) -> None:
    """End the process; a write that hangs in a dead connection is not waited for beyond its own time-out."""
    lingering = [
        t for t in threading.enumerate() if t.name.startswith(("commit", "poll", "prepare", "write")) and t.is_alive()
    ]
    deadline = time.monotonic() + 1.0
    for thread in lingering:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(t.is_alive() for t in lingering):
        # Whatever it still does is announced in Kafka and completed by the next owner.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
