"""Reading the events topic as a consumer group of one's own, for whoever keeps no rows: at least once, in order.

The worker has stricter ways (``consumers.worker``): it announces what it stores. Here a position is committed after the
reader said that it is done, and a reader that starts again may see some messages again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal
from uuid import UUID

import structlog

from consumers.backoff import Backoff
from consumers.batch import MessageBatch
from consumers.errors import BrokerUnavailable, OwnershipLost
from consumers.kafka import GroupConsumer
from consumers.metrics import Metrics
from consumers.records import Records, batch_of
from consumers.topics import TopicDirectory
from sinks.sink import OffsetRange

log = structlog.get_logger(__name__)

_HELD_TURN_S = 0.2
_COMMIT_EVERY_S = 1.0
_ADOPT_ATTEMPTS = 5


class Subscription:
    """A member of a consumer group that hands out batches of messages; used by one thread.

    Every method may raise ``MustStop``.

    Args:
        kafka: The member; ``close`` closes it.
        topics: Knows the id of the topic.
        start_at: Where a partition begins that the group has no offset of.
        metrics: Counts.
        gone: Called with partitions that go, before anybody else reads them; and with those that are lost.
    """

    def __init__(
        self,
        kafka: GroupConsumer,
        topics: TopicDirectory,
        *,
        start_at: Literal["earliest", "latest"],
        metrics: Metrics,
        gone: Callable[[Collection[int]], None],
    ) -> None:
        self._kafka, self._topics, self._metrics, self._gone = kafka, topics, metrics, gone
        self._from_end = start_at == "latest"
        self._positions: dict[int, int] = {}
        self._newcomers: set[int] = set()
        self._dirty: set[int] = set()
        self._stranded: set[int] = set()
        self._stash: list[Records] = []
        self._committed_at = 0.0

    def open(self) -> None:
        """Join the group."""
        self._kafka.subscribe(self)

    @property
    def unreachable(self) -> str:
        """Why nothing can be read at all, empty when something can."""
        return self._kafka.unreachable

    def owns(self, partition: int) -> bool:
        """Return whether a partition is ours."""
        return partition in self._positions

    @property
    def newcomers(self) -> frozenset[int]:
        """Partitions that came and that nobody has greeted."""
        return frozenset(self._newcomers)

    def greet(self, partitions: Collection[int]) -> None:
        """Say that partitions that came are ready to be read."""
        self._newcomers -= set(partitions)

    def fetch(self, timeout_s: float) -> list[MessageBatch]:
        """Return what has come, a batch per partition, each following the one before.

        Args:
            timeout_s: Seconds to wait for the first message.

        Raises:
            BrokerUnavailable: Call again later; nothing is lost.
        """
        if missing := self._kafka.assignment() - self._positions.keys():
            self._take_up(sorted(missing))
        if not self._stash:
            self._stash = self._kafka.fetch(self._kafka.fetch_messages, timeout_s, self._stranded.add)
        self._collect()
        self._rescue()
        if not self._stash:
            return []
        topic_id = self._topics.topic_id(self._kafka.topic, 0.0)
        pieces, self._stash = self._stash, []
        return [_batch(self._kafka.topic, topic_id, mine) for mine in self._by_partition(pieces).values()]

    def _by_partition(self, pieces: Sequence[Records]) -> Mapping[int, list[Records]]:
        found: dict[int, list[Records]] = {}
        for records in pieces:
            if not self.owns(records.partition):
                continue
            mine = found.setdefault(records.partition, [])
            expected = int(mine[-1].offsets[-1]) + 1 if mine else self._positions[records.partition]
            if fresh := records.beyond(expected):
                mine.append(fresh)
        return {partition: mine for partition, mine in found.items() if mine}

    def done(self, batch: MessageBatch) -> None:
        """Say that a batch needs not be read again."""
        partition, next_offset = batch.range.partition, batch.range.next_offset
        if self.owns(partition) and next_offset > self._positions[partition]:
            self._positions[partition] = next_offset
            self._dirty.add(partition)

    def commit(self) -> None:
        """Commit what is done, at most once a second; the answer is taken in by ``fetch``."""
        now = time.monotonic()
        if self._dirty and now - self._committed_at >= _COMMIT_EVERY_S:
            self._committed_at = now
            self._send(self._dirty)

    def hold(self, seconds: float, given_up: Callable[[], bool]) -> None:
        """Wait as a member of the group, without taking messages.

        Args:
            seconds: How long.
            given_up: Asked a few times a second whether to stop waiting.
        """
        deadline = time.monotonic() + seconds
        while not given_up() and (left := deadline - time.monotonic()) > 0:
            # Those that come meanwhile are not paused yet; what they bring is kept for later.
            self._kafka.pause(self._kafka.assignment())
            self._stash += self._kafka.fetch(self._kafka.fetch_messages, min(left, _HELD_TURN_S), self._stranded.add)
        self._kafka.resume(self._kafka.assignment())

    def close(self) -> None:
        """Commit what is done and leave the group."""
        self._kafka.close()

    # -- partitions come and go (called by Kafka's client inside fetch, hold and close) --

    def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Take partitions, read on where the group left off."""
        backoff = Backoff()
        for _ in range(_ADOPT_ATTEMPTS):
            try:
                found = self._starts(partitions)
            except (BrokerUnavailable, OwnershipLost) as error:
                log.warning("waiting", stage="committed", reason=error.reason, detail=str(error))
                time.sleep(backoff.next_s())
                continue
            self._welcome(found)
            return found
        return {}  # without the committed offsets nothing may be read; fetch asks again

    def _welcome(self, starts: Mapping[int, int]) -> None:
        self._positions |= starts
        self._newcomers |= starts.keys()
        self._metrics.count("auditstream_rebalances_total", len(starts), kind="assigned")
        log.info("partitions_assigned", partitions=sorted(starts))

    def _take_up(self, partitions: Sequence[int]) -> None:
        """Begin with partitions that are ours and whose offsets were not known when they came."""
        starts = self._starts(partitions)
        for partition, start in starts.items():
            self._kafka.restart(partition, start)
        self._kafka.resume(partitions)
        self._welcome(starts)

    def revoked(self, partitions: Sequence[int]) -> None:
        """Commit what is done of partitions that go."""
        self._send(self._dirty & set(partitions))
        self._leave(partitions, "revoked")

    def lost(self, partitions: Sequence[int]) -> None:
        """Forget partitions that already belong to somebody else."""
        self._leave(partitions, "lost")

    def _leave(self, partitions: Sequence[int], kind: str) -> None:
        self._gone(partitions)
        self._forget(partitions)
        self._metrics.count("auditstream_rebalances_total", len(partitions), kind=kind)
        log.info("partitions_gone", partitions=sorted(partitions), kind=kind)

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)
        for places in (self._newcomers, self._dirty, self._stranded):
            places -= set(partitions)
        self._stash = [m for m in self._stash if m.partition not in partitions]

    def _starts(self, partitions: Sequence[int]) -> dict[int, int]:
        found = {c.partition: c.offset for c in self._kafka.committed(partitions)}
        fresh = {p: self._kafka.watermarks(p)[int(self._from_end)] for p, offset in found.items() if offset is None}
        # Committed at once: else what comes before the first commit would be passed over by the next start.
        self._dirty |= fresh.keys()
        return {p: fresh[p] if offset is None else offset for p, offset in found.items()}

    # -- commits, and offsets that are gone --

    def _send(self, partitions: Collection[int]) -> None:
        offsets = {p: (self._positions[p], "") for p in partitions if p in self._positions}
        if not offsets:
            return
        try:
            self._kafka.send_commit(offsets)
        except (OwnershipLost, BrokerUnavailable) as error:
            log.info("not_committed", partitions=sorted(offsets), reason=error.reason)
            return
        self._dirty -= offsets.keys()

    def _collect(self) -> None:
        for answer in self._kafka.answers():
            refused = {p for p in answer.refused if p in self._positions}
            self._dirty |= refused
            self._metrics.count(
                "auditstream_commits_total", len(answer.offsets) - len(answer.refused), result="accepted"
            )
            self._metrics.count("auditstream_commits_total", len(answer.refused), result="refused")

    def _rescue(self) -> None:
        """Read on from what there is where the next message was deleted by the broker."""
        for partition in sorted(self._stranded & self._positions.keys()):
            oldest, end = self._kafka.watermarks(partition)
            position = self._positions[partition]
            start = oldest if position < oldest else end
            self._metrics.count("auditstream_offsets_lost_total", max(0, start - position))
            log.warning("offsets_lost", partition=partition, position=position, oldest=oldest, end=end)
            self._kafka.restart(partition, start)
            self._positions[partition] = start
            self._dirty.add(partition)
            self._stranded.discard(partition)


def _batch(topic: str, topic_id: UUID, pieces: Sequence[Records]) -> MessageBatch:
    first, last = int(pieces[0].offsets[0]), int(pieces[-1].offsets[-1])
    return batch_of(OffsetRange(topic, topic_id, pieces[0].partition, first, last), pieces)
