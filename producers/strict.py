"""Strict delivery: straight to Kafka, and the caller learns what became of each event."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError

from producers.delivery import KafkaSender, Report, SendFailure, client_properties, reporting
from producers.errors import DeliveryFailed
from producers.promise import Counts, OnFate, Tally
from producers.settings import ProducerSettings
from schemas.settings import KafkaSettings

_ROOM_PAUSE_S = 0.002


class StrictDelivery:
    """Hands events to the Kafka client; fails those it gives up. See ``producers.promise.Delivery``."""

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings, header: bytes) -> None:
        """Start the client.

        Args:
            kafka: The connection and the topic.
            settings: Sizes and times.
            header: Wire header of the current schema version.
        """
        self._topic, self._header = kafka.events_topic, header
        self._tally = Tally()
        self._sender = KafkaSender(client_properties(kafka, settings, give_up=True))

    def accept(self, event_id: str, key: bytes, body: bytes, on_fate: OnFate | None, deadline_s: float) -> None:
        """Take one event; wait for room until the deadline.

        Raises:
            DeliveryFailed: There was no room in time; the event was not handed over.
        """
        report = self._report(event_id, on_fate) if on_fate else self._count
        # Counted first: the report may come before send returns.
        self._tally.accepted()
        while not self._sender.send(self._topic, key or None, self._header + body, report):
            if time.monotonic() >= deadline_s:
                self._tally.accepted(-1)
                raise DeliveryFailed(event_id, "the queue of the Kafka client stayed full", may_arrive=False)
            time.sleep(_ROOM_PAUSE_S)

    def _count(self, error: KafkaError | None, message: object) -> None:
        """Report for events whose fate nobody asked for."""
        del message
        self._tally.settled(acknowledged=error is None)

    def _report(self, event_id: str, on_fate: OnFate) -> Report:
        def done(failure: SendFailure | None) -> None:
            self._tally.settled(acknowledged=failure is None)
            on_fate(event_id, failure.error(event_id) if failure else None)

        return reporting(done)

    def counts(self) -> Counts:
        """Return the counts."""
        return Counts(self._tally.emitted, self._tally.acknowledged, self._tally.failed, 0)

    def flush(self, timeout_s: float) -> int:
        """Wait until every event is settled; return how many are not."""
        return self._tally.wait(timeout_s)

    def close(self) -> None:
        """Stop the client; what is unacknowledged fails."""
        self._sender.close()
