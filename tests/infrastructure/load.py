"""A load of events on a topic, with what must become of every message."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from confluent_kafka import KafkaError, Message, Producer

from producers.generator import EventGenerator, Generated
from schemas.columns import avro_schema
from schemas.registry import Registry, value_subject

Place = tuple[int, int]


@dataclass(slots=True)
class Sent:
    """What was delivered to a topic.

    Attributes:
        fates: ``stored`` or ``dead_letter`` by partition and offset.
        event_ids: Event id by partition and offset, of messages that must be stored.
        failed: Deliveries that Kafka did not confirm.
    """

    fates: dict[Place, str] = field(default_factory=dict)
    event_ids: dict[Place, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def note(self, event: Generated, error: KafkaError | None, message: Message) -> None:
        """Take in one delivery report."""
        if error is not None:
            self.failed.append(error.str())
            return
        place = (message.partition() or 0, message.offset() or 0)
        self.fates[place] = event.expected
        if event.expected == "stored":
            self.event_ids[place] = str(event.event_id)


class Load(threading.Thread):
    """Produces generated events at a rate, spread over all partitions."""

    def __init__(
        self,
        bootstrap: str,
        registry: Registry,
        topic: str,
        *,
        count: int,
        rate: float = 0.0,
        bad_share: float = 0.02,
        seed: int = 1,
    ) -> None:
        """Prepare a load.

        Args:
            bootstrap: Address of Kafka.
            registry: Where the event schema is registered.
            topic: Existing topic.
            count: Messages.
            rate: Messages per second, 0 for as fast as possible.
            bad_share: Share of messages that no worker can store.
            seed: Same seed, same messages.
        """
        super().__init__(name="load", daemon=True)
        self.sent = Sent()
        self._topic, self._count, self._rate = topic, count, rate
        schema_id = registry.register(value_subject(topic), avro_schema("audit_event", 1))
        self._events: Iterator[Generated] = iter(
            EventGenerator(seed, schema_id=schema_id, bad_share=bad_share, start=datetime.now(UTC))
        )
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 10, "log_level": 2}
        )

    def run(self) -> None:
        """Produce everything and wait for the confirmations."""
        started = time.monotonic()
        for number, event in enumerate(islice(self._events, self._count)):
            self._produce(event)
            if self._rate and number % 100 == 0:
                time.sleep(max(0.0, started + number / self._rate - time.monotonic()))
        self._producer.flush(60.0)
        del self._producer  # a client that outlives its broker complains on standard error

    def _produce(self, event: Generated) -> None:
        def report(error: KafkaError | None, message: Message) -> None:
            self.sent.note(event, error, message)

        while True:
            try:
                self._producer.produce(
                    self._topic, key=event.key, value=event.value, headers=list(event.headers), on_delivery=report
                )
            except BufferError:
                self._producer.poll(0.1)
                continue
            self._producer.poll(0)
            return
