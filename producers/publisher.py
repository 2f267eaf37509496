"""Raw messages to Kafka, for load generators and tests: no checks, no masking, but every acknowledgement counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from producers.delivery import Headers, KafkaSender, SendFailure, client_properties, reporting
from producers.promise import Tally
from producers.settings import ProducerSettings
from schemas.settings import KafkaSettings

_ROOM_PAUSE_S = 0.002


@dataclass(frozen=True, slots=True)
class Published:
    """What became of the messages.

    Attributes:
        acknowledged: Confirmed by all replicas in sync.
        failed: Given up.
        first_failure: Why the first of them failed; empty without any.
    """

    acknowledged: int
    failed: int
    first_failure: str


class Publisher:
    """Sends ready-made messages with the same safe client as AuditProducer. For one thread."""

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings) -> None:
        self._sender = KafkaSender(client_properties(kafka, settings, give_up=True))
        self._report = reporting(self._settle)
        self._tally, self._timeout_s = Tally(), settings.delivery_timeout_s
        self._first_failure = ""

    @property
    def published(self) -> int:
        """Messages handed over so far."""
        return self._tally.emitted

    def publish(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()) -> None:
        """Send one message; waits while the client's queue is full.

        Args:
            topic: Topic.
            key: Kafka key, None for none.
            value: Kafka value, None for a tombstone.
            headers: Kafka headers.
        """
        self._tally.accepted()
        while not self._sender.send(topic, key, value, self._report, headers):
            time.sleep(_ROOM_PAUSE_S)

    def close(self) -> None:
        """Wait for the acknowledgements, at most ``delivery_timeout_s``, and stop. Idempotent."""
        self._tally.wait(self._timeout_s)
        self._sender.close()

    def result(self) -> Published:
        """Return what became of the messages; final after ``close``."""
        return Published(self._tally.acknowledged, self._tally.failed, self._first_failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _settle(self, failure: SendFailure | None) -> None:
        if failure is not None and not self._first_failure:
            self._first_failure = failure.reason
        self._tally.settled(acknowledged=failure is None)
