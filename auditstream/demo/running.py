"""The demo as it runs: story, load, worker and HTTP server side by side on an embedded platform."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TypeVar

from auditstream.demo.accounting import Balance, accounted, balance
from auditstream.demo.embedded import ACTORS_TOPIC, EVENTS_TOPIC, EmbeddedPlatform
from auditstream.demo.emitting import emit_story, story_events
from auditstream.demo.load import DemoLoad
from auditstream.demo.served import Served, served_demo
from auditstream.service import WorkerService
from consumers.topics import NamedTopics
from schemas.registry import value_subject
from sinks import open_sink
from sinks.connection import Connections

_T = TypeVar("_T")
_STORY_S = 60.0


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What load to put on the demo.

    Attributes:
        count: Events, those of the story among them; 0 for no end. A plan of fewer tells no story.
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
    """Story, load, worker and HTTP server; use as a context manager.

    Attributes:
        platform: What it runs on.
        service: The worker.
        load: The load.
        served: Where it answers over HTTP; known once it is entered.
    """

    served: Served

    def __init__(self, platform: EmbeddedPlatform, plan: LoadPlan, *, any_port: bool) -> None:
        """Plan it; nothing runs yet.

        Args:
            platform: What it runs on, entered.
            plan: The load.
            any_port: Whether another port will do when that of the HTTP settings is in use.
        """
        self.platform, self._any_port = platform, any_port
        story = story_events(datetime.now(UTC))
        self._story = story if not plan.count or plan.count > len(story) else ()
        self._story_ids: list[str] = []
        self._serving = ExitStack()
        self._sink = open_sink(platform.settings.clickhouse)
        self.service = WorkerService(platform.settings, self._sink, platform.registry, NamedTopics())
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self._error: BaseException | None = None
        topics = (EVENTS_TOPIC, ACTORS_TOPIC)
        events, actors = (platform.registry.latest(value_subject(topic)).schema_id for topic in topics)
        self._actor_schema_id = actors
        self.load = DemoLoad(
            platform.settings.kafka,
            schema_ids=(events, actors),
            consumed_bytes=lambda: self.service.metrics.value("auditstream_bytes_consumed_total"),
            count=plan.count and plan.count - len(self._story),
            rate=plan.rate,
            bad_share=plan.bad_share,
            seed=plan.seed,
        )

    def __enter__(self) -> RunningDemo:
        """Store the story, then serve it and start the load."""
        platform = self.platform
        # Emitted before the worker starts, so that it knows the people before their events come.
        settings, schema_id = platform.settings, self._actor_schema_id
        self._story_ids = emit_story(settings.kafka, platform.registry, schema_id, self._story)
        self.service.__enter__()
        self._worker.start()
        try:
            self._wait_for_story()
            self.served = self._serving.enter_context(served_demo(platform.reader_settings, any_port=self._any_port))
        except BaseException:
            self._stop()
            raise
        self.load.start()
        return self

    def _wait_for_story(self) -> None:
        deadline = time.monotonic() + _STORY_S
        while self.snapshot().stored < len(self._story_ids):
            self.wait(0.05)
            if time.monotonic() > deadline:
                raise TimeoutError(f"the worker did not store the demo's story within {_STORY_S:g} s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the load, answer what was asked, let the worker finish what it announced, close everything."""
        self.load.stop()
        self.load.finished.wait(30.0)
        self._stop()

    def _stop(self) -> None:
        self._serving.close()
        self.service.worker.stop()
        self._worker.join(60.0)
        self.service.__exit__(None, None, None)
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
        metrics, produced = self.service.metrics, len(self._story_ids) + self.load.produced
        stored = int(metrics.value("auditstream_messages_total", fate="stored"))
        dead = int(metrics.value("auditstream_messages_total", fate="dead_lettered"))
        count = metrics.value("auditstream_event_to_queryable_seconds_count")
        latency_s = metrics.value("auditstream_event_to_queryable_seconds_sum") / count if count else 0.0
        return Snapshot(produced, stored, dead, max(0, produced - stored - dead), latency_s)

    def drained(self) -> bool:
        """Whether everything produced is stored."""
        if not self.load.finished.is_set():
            return False
        now = self.snapshot()
        # Records of reads are among the messages that the worker counts, so the database is asked in the end.
        return now.waiting == 0 and self._asked(accounted) >= now.produced

    def balance(self) -> Balance:
        """Compare what was produced with what the database holds."""
        ids = [*self._story_ids, *self.load.event_ids]
        return self._asked(lambda connections: balance(connections, ids, self.load.fates["dead_letter"]))

    def _asked(self, ask: Callable[[Connections], _T]) -> _T:
        connections = Connections(self.platform.settings.clickhouse)
        try:
            return ask(connections)
        finally:
            connections.close()

    def wait(self, seconds: float) -> None:
        """Let it run for a moment.

        Raises:
            Exception: What stopped the worker.
        """
        time.sleep(seconds)
        self.check()
