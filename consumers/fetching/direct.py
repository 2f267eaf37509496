"""Messages straight from librdkafka's queue into arrays."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Consumer, KafkaError

from consumers.batch import Bytes, Int64s
from consumers.fetching.drain import (
    ERROR,
    HEADERS,
    KEY_LENGTH,
    OFFSET,
    PARTITION,
    ROWS,
    TIMESTAMP,
    VALUE_LENGTH,
    compiled,
)
from consumers.fetching.library import LibraryUnusable, NativeHeaders, address_of, error_of, handle_of, library
from consumers.records import Records, Texts

#: Seconds between two times of telling librdkafka where the messages of our partitions go.
_FORWARD_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Failure:
    """What librdkafka says instead of a message.

    Attributes:
        error: The error.
        partition: Partition that it is about, None when it is about none.
    """

    error: KafkaError
    partition: int | None


class DirectQueue:
    """A queue of our own that the messages of some partitions of a consumer come to; used by one thread.

    The consumer's callbacks keep coming by its own ``consume``, which must be called all the time; messages come by
    here only. ``attach`` must be called before a partition is assigned: from then on librdkafka never puts its messages
    into the consumer's own queue (``RD_KAFKA_Q_F_FWD_APP``). When it stops fetching a partition it forgets where to put
    them, and keeps what is fetched afterwards until it is told again, which ``fetch`` does. So none is lost, and the
    messages of a partition stay in order.

    Args:
        consumer: The consumer, open; ``close`` before it is closed.
        client_id: Its ``client.id``.
        topic: The only topic that it reads.
        capacity: Messages of one fetch at most.

    Raises:
        LibraryUnusable: Messages cannot be had this way.
    """

    def __init__(self, consumer: Consumer, client_id: str, topic: str, capacity: int) -> None:
        self._queue = 0
        self._library, self._topic = library(), topic.encode()
        self._consumer = consumer  # kept, since the queue must go before it does
        self._client = handle_of(consumer, client_id)
        names = "rd_kafka_message_timestamp", "rd_kafka_message_detach_headers", "rd_kafka_message_destroy"
        self._word = np.zeros(1, np.int64)
        self._functions = np.array([*map(address_of, names), self._word.ctypes.data], np.int64)
        self._pointers = np.zeros(capacity, np.int64)
        self._measure, self._drain = compiled()
        self._partitions: dict[int, int] = {}
        self._forwarded_at = 0.0
        self._queue = self._library.rd_kafka_queue_new(self._client)
        if not self._queue:
            raise LibraryUnusable("librdkafka makes no queue")

    def attach(self, partitions: Sequence[int]) -> None:
        """Have the messages of partitions come here, unless it is closed; call it before they are assigned.

        Raises:
            LibraryUnusable: There is no such partition.
        """
        if not self._queue:
            return
        for partition in partitions:
            if partition not in self._partitions:
                found = self._library.rd_kafka_queue_get_partition(self._client, self._topic, partition)
                if not found:
                    raise LibraryUnusable(f"librdkafka has no queue of partition {partition}")
                self._partitions[partition] = found
        self._forward()

    def detach(self, partitions: Sequence[int]) -> None:
        """Forget partitions that were taken away."""
        for partition in partitions:
            if queue := self._partitions.pop(partition, 0):
                self._library.rd_kafka_queue_destroy(queue)

    def fetch(self, count: int, timeout_s: float) -> tuple[list[Records], list[Failure]]:
        """Return what has come, of each partition in the order in which it came, and what went wrong.

        Args:
            count: Messages at most, no more than ``capacity``.
            timeout_s: Seconds to wait for ``count`` messages; what came until then is returned.

        Raises:
            LibraryUnusable: The queue is closed, or librdkafka refuses to read from it.
        """
        if not self._queue:
            raise LibraryUnusable("the queue is closed")
        if time.monotonic() - self._forwarded_at >= _FORWARD_EVERY_S:
            self._forward()
        wait_ms, most = int(timeout_s * 1000), min(count, len(self._pointers))
        address = self._pointers.ctypes.data
        got = self._library.rd_kafka_consume_batch_queue(self._queue, wait_ms, address, most)
        if got < 0:
            raise LibraryUnusable("librdkafka gives no messages from the queue")
        return self._taken(got) if got else ([], [])

    def close(self) -> None:
        """Give the queue back; messages still in it were never handed out. Idempotent."""
        self.detach(list(self._partitions))
        queue, self._queue = self._queue, 0
        if queue:
            self._library.rd_kafka_queue_destroy(queue)

    def __del__(self) -> None:
        # librdkafka waits for its queues when the consumer goes, so none may be left behind.
        if self._queue:
            self.close()

    def _forward(self) -> None:
        self._forwarded_at = time.monotonic()
        for queue in self._partitions.values():
            self._library.rd_kafka_queue_forward(queue, self._queue)

    def _taken(self, count: int) -> tuple[list[Records], list[Failure]]:
        messages, partitions = self._pointers.ctypes.data, np.empty(count, np.int64)
        value_bytes, key_bytes, _ = self._measure(messages, count, partitions)
        if (np.diff(partitions) < 0).any():
            # Each partition in one piece, in its order, however much they are mixed.
            self._pointers[:count] = self._pointers[:count][np.argsort(partitions, kind="stable")]
        values, keys = np.empty(value_bytes, np.uint8), np.empty(key_bytes, np.uint8)
        rows = np.empty((ROWS, count), np.int64)
        self._drain(messages, count, self._functions, rows, values, keys)
        wrong = np.flatnonzero(rows[ERROR]).tolist()
        failures = [self._failure(int(rows[PARTITION, i]), int(self._pointers[i]), int(rows[ERROR, i])) for i in wrong]
        good = np.delete(rows, wrong, axis=1) if wrong else rows
        return list(_by_partition(good, values, keys)), failures

    def _failure(self, partition: int, message: int, code: int) -> Failure:
        return Failure(error_of(message, code), partition if partition >= 0 else None)


def _by_partition(rows: Int64s, value_data: Bytes, key_data: Bytes) -> Iterator[Records]:
    """Cut what was drained where another partition begins; each piece has buffers of its own."""
    values, keys = Texts.packed(value_data, rows[VALUE_LENGTH]), Texts.packed(key_data, rows[KEY_LENGTH])
    cuts = [0, *(np.flatnonzero(np.diff(rows[PARTITION])) + 1).tolist(), rows.shape[1]]
    for first, last in itertools.pairwise(cuts):
        if first == last:
            continue
        mine = rows[:, first:last]
        headers = {int(mine[OFFSET, i]): NativeHeaders(int(mine[HEADERS, i])) for i in np.flatnonzero(mine[HEADERS])}
        partition, texts = int(mine[PARTITION, 0]), (values.part(first, last), keys.part(first, last))
        piece = Records(partition, mine[OFFSET], mine[TIMESTAMP], *texts, headers)
        # Copied, or else a small piece of a partition that waits would hold all the others in memory.
        yield piece if len(piece) == rows.shape[1] else piece.copied()
