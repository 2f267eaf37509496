"""The demo's emitting services: a seeded load that never runs far ahead of the worker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from producers.generator import EventGenerator, Generated
from producers.publisher import Publisher
from producers.settings import ProducerSettings
from schemas.settings import KafkaSettings

#: The mock cluster keeps about 5 MB a partition and drops what is older, read or not.
MOST_AHEAD_BYTES = 3_000_000


class DemoLoad(threading.Thread):
    """Publishes actor cards, then events, until all are sent or it is told to stop.

    Attributes:
        event_ids: Ids of the events that must be stored; empty in a load without end, which would fill the memory.
        fates: Number of messages by what must become of them: ``stored`` or ``dead_letter``.
        damage: Number of messages by kind of damage.
        finished: Set when everything is acknowledged.
        failure: Why a message could not be delivered, empty when all could.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        *,
        schema_ids: tuple[int, int],
        consumed_bytes: Callable[[], float],
        count: int,
        rate: float,
        bad_share: float,
        seed: int,
    ) -> None:
        """Plan the load.

        Args:
            kafka: Where to.
            schema_ids: Registry ids of AuditEvent and Actor.
            consumed_bytes: Bytes of messages that the worker has consumed so far.
            count: Events; 0 for no end.
            rate: Events per second, 0 for as fast as the worker stores them.
            bad_share: Share of damaged messages.
            seed: Same seed, same load.
        """
        super().__init__(name="load", daemon=True)
        self.event_ids: list[str] = []
        self.fates: Counter[str] = Counter()
        self.damage: Counter[str] = Counter()
        self.finished, self._stop_asked = threading.Event(), threading.Event()
        self.failure = ""
        self._kafka, self._schema_ids, self._consumed_bytes = kafka, schema_ids, consumed_bytes
        self._count, self._rate = count, rate
        start = datetime.now(UTC)
        self._generator = EventGenerator(
            seed, schema_id=schema_ids[0], start=start, bad_share=bad_share, step_us=int(1e6 / rate) if rate else 50
        )

    @property
    def produced(self) -> int:
        """Messages handed to Kafka's client so far."""
        return self.fates.total()

    def stop(self) -> None:
        """Send nothing further."""
        self._stop_asked.set()

    def run(self) -> None:
        """Publish."""
        with Publisher(self._kafka, ProducerSettings(linger_ms=20)) as publisher:
            for key, value in self._generator.actor_messages(self._schema_ids[1]):
                publisher.publish(self._kafka.actors_topic, key, value)
            self._publish_events(publisher)
        result = publisher.result()
        self.failure = result.first_failure or ("" if not result.failed else f"{result.failed} messages failed")
        self.finished.set()

    def _publish_events(self, publisher: Publisher) -> None:
        began, sent_bytes = time.monotonic(), 0
        for event in self._generator:
            if self._stop_asked.is_set() or (self._count and self.produced >= self._count):
                return
            sent_bytes += len(event.value)
            self._wait_for_worker(sent_bytes)
            self._pace(began)
            publisher.publish(self._kafka.events_topic, event.key, event.value, event.headers)
            self._note(event)

    def _wait_for_worker(self, sent_bytes: int) -> None:
        while sent_bytes - self._consumed_bytes() > MOST_AHEAD_BYTES and not self._stop_asked.wait(0.01):
            continue

    def _pace(self, began: float) -> None:
        if self._rate and (early_s := began + self.produced / self._rate - time.monotonic()) > 0.01:
            self._stop_asked.wait(early_s)

    def _note(self, event: Generated) -> None:
        self.fates[event.expected] += 1
        if event.kind:
            self.damage[event.kind] += 1
        if event.expected == "stored" and self._count:
            self.event_ids.append(event.event_id)
