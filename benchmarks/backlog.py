"""Messages that appear all at once: written in a transaction whose commit is the starting shot.

A worker reads committed messages only. So it can start, warm up and come to rest while the whole backlog is in Kafka
already, and neither the producer nor the start is part of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import uuid4

from confluent_kafka import Producer

_TIMEOUT_S = 120.0


class Backlog:
    """Writes one topic; for one thread..

    Args:
        bootstrap: Address of Kafka.
        topic: Existing topic.
        partitions: Its partitions, which the messages go to in turn.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._topic, self._partitions = topic, partitions
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": f"benchmark-{uuid4()}",
                "transaction.timeout.ms": 900_000,
                "message.timeout.ms": 120_000,
                "compression.type": "lz4",
                "linger.ms": 20,
                "message.max.bytes": 32 << 20,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 512 << 10,
                "log_level": 2,
            }
        )
        self._producer.init_transactions(_TIMEOUT_S)

    def hide(self, values: Iterable[bytes]) -> int:
        """Write messages that nobody sees before ``show``; return their number."""
        self._producer.begin_transaction()
        count = 0
        for value in values:
            self._produce(value, count % self._partitions)
            count += 1
        if left := self._producer.flush(_TIMEOUT_S):
            raise TimeoutError(f"{left} of {count} messages were not acknowledged within {_TIMEOUT_S:g} s")
        return count

    def show(self) -> None:
        """Make the hidden messages visible."""
        self._producer.commit_transaction(_TIMEOUT_S)

    def put(self, values: Iterable[bytes]) -> int:
        """Write messages that are visible at once; return their number."""
        count = self.hide(values)
        self.show()
        return count

    def _produce(self, value: bytes, partition: int) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, partition=partition)
            except BufferError:
                self._producer.poll(0.05)
            else:
                return
