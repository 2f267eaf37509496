"""The demo as it runs: load and worker side by side on an embedded platform."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType

from auditstream.demo.accounting import Balance, balance
from auditstream.demo.embedded import ACTORS_TOPIC, EVENTS_TOPIC, EmbeddedPlatform
from auditstream.demo.load import DemoLoad
from auditstream.service import WorkerService
from consumers.topics import NamedTopics
from schemas.registry import value_subject
from sinks import open_sink
from sinks.connection import Connections


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What load to put on the demo.

    Attributes:
        count: Events, 0 for no end.
        rate: Events per second, 0 for as fast as the worker stores them.
        bad_share: Share of damaged messages.
        seed: Same seed, same load.
    """

    count: int
    rate: float
    bad_share: float
    seed: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures of one moment.

    Attributes:
        produced: Messages produced.
        stored: Messages stored as events.
        dead_lettered: Messages stored as dead letters.
        waiting: Messages produced and not stored yet.
        latency_s: Mean seconds from Kafka to queryable.
    """

    produced: int
    stored: int
    dead_lettered: int
    waiting: int
    latency_s: float


class RunningDemo:
    """Load, worker and database; use as a context manager."""

    def __init__(self, platform: EmbeddedPlatform, plan: LoadPlan) -> None:
        self.platform = platform
        self._sink = open_sink(platform.settings.clickhouse)
        self.service = WorkerService(platform.settings, self._sink, platform.registry, NamedTopics())
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self._error: BaseException | None = None
        topics = (EVENTS_TOPIC, ACTORS_TOPIC)
        events, actors = (platform.registry.latest(value_subject(topic)).schema_id for topic in topics)
        self.load = DemoLoad(
            platform.settings.kafka,
            schema_ids=(events, actors),
            consumed_bytes=lambda: self.service.metrics.value("auditstream_bytes_consumed_total"),
            count=plan.count,
            rate=plan.rate,
            bad_share=plan.bad_share,
            seed=plan.seed,
        )

    def __enter__(self) -> RunningDemo:
        """Start worker and load."""
        self.service.__enter__()
        self._worker.start()
        self.load.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the load, let the worker finish what it announced, close everything."""
        self.load.stop()
        self.load.finished.wait(30.0)
        self.service.worker.stop()
        self._worker.join(60.0)
        self.service.__exit__(kind, error, trace)
        self._sink.close()

    def _work(self) -> None:
        try:
            self.service.run()
        except BaseException as error:  # shown by the thread that runs the demo
            self._error = error

    def check(self) -> None:
        """Raise what stopped the worker or the load, if anything did.

        Raises:
            RuntimeError: The load could not be delivered.
        """
        if self._error is not None:
            raise self._error
        if self.load.failure:
            raise RuntimeError(f"the demo's load could not be delivered: {self.load.failure}")

    def snapshot(self) -> Snapshot:
        """Return the figures of this moment."""
        metrics, produced = self.service.metrics, self.load.produced
        stored = int(metrics.value("auditstream_messages_total", fate="stored"))
        dead = int(metrics.value("auditstream_messages_total", fate="dead_lettered"))
        count = metrics.value("auditstream_event_to_queryable_seconds_count")
        latency_s = metrics.value("auditstream_event_to_queryable_seconds_sum") / count if count else 0.0
        return Snapshot(produced, stored, dead, max(0, produced - stored - dead), latency_s)

    def drained(self) -> bool:
        """Whether everything produced is stored."""
        return self.load.finished.is_set() and self.snapshot().waiting == 0

    def balance(self) -> Balance:
        """Compare what was produced with what the database holds."""
        connections = Connections(self.platform.settings.clickhouse)
        try:
            return balance(connections, self.load.event_ids, self.load.fates["dead_letter"])
        finally:
            connections.close()

    def wait(self, seconds: float) -> None:
        """Let it run for a moment.

        Raises:
            Exception: What stopped the worker.
        """
        time.sleep(seconds)
        self.check()
