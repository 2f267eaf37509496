"""Which partitions are ours and what state each is in: partitions come, are settled, and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from consumers.budget import MESSAGE_OVERHEAD_BYTES, Budget
from consumers.errors import BrokerUnavailable, ForeignOffset, LostData, OwnershipLost, RewoundOffset
from consumers.intents import Intent
from consumers.kafka import Committed, GroupConsumer
from consumers.metrics import Metrics
from consumers.partition import PartitionState
from consumers.pipeline import Settled
from consumers.records import Records
from consumers.settings import WorkerSettings

log = structlog.get_logger(__name__)


class Ownership:
    """The states of our partitions; used by the poll thread only.

    Attributes:
        states: State by partition number.
    """

    def __init__(
        self, kafka: GroupConsumer, policy: WorkerSettings, budget: Budget, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self.states: dict[int, PartitionState] = {}
        self._epoch = 0
        self._kafka, self._policy, self._budget, self._metrics, self._clock = kafka, policy, budget, metrics, clock

    def adopt(self, partitions: Sequence[int]) -> dict[int, int]:
        """Take partitions: read what is committed for each and where to go on.

        Returns:
            Offset to read from, by partition.

        Raises:
            BrokerUnavailable: It could not be asked; nothing was taken.
            ForeignOffset: Something else commits under our group.
        """
        states = [self._state(c) for c in self._kafka.committed(partitions)]
        self._epoch += 1
        for state in states:
            state.epoch = self._epoch
            self.states[state.partition] = state
        return {s.partition: s.next_offset for s in states}

    def epochs(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the epochs of some partitions, for settling them."""
        return {p: self.states[p].epoch for p in partitions}

    def unvouched(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return the next offset of those partitions behind which the sink may hold rows that no intent names."""
        return {p: s.next_offset for p in partitions if (s := self.states[p]).verify}

    def _state(self, committed: Committed) -> PartitionState:
        topic, partition = self._kafka.topic, committed.partition
        try:
            intent = Intent.decode(committed.metadata)
        except ValueError:
            raise ForeignOffset(topic, partition, committed.metadata) from None
        if committed.offset is None:
            return PartitionState(topic, partition, self._start(partition), verify=True, dirty=True)
        state = PartitionState(
            topic,
            partition,
            committed.offset,
            pending_last=intent.last,
            pending_group=intent.group,
            committed_topic_id=intent.topic_id,
        )
        state.verify = intent.topic_id is None
        if state.replaying:
            log.info("replay_pending", partition=partition, first=committed.offset, last=intent.last)
        return state

    def _start(self, partition: int) -> int:
        low, high = self._kafka.watermarks(partition)
        start = low if self._policy.start_at == "earliest" else high
        log.info("partition_new", partition=partition, offset=start, start_at=self._policy.start_at)
        if start != low:
            # Committed at once: a restart must not take a later end for its start.
            self._kafka.send_commit({partition: (start, "")})
        return start

    def settle(self, settled: Settled) -> None:
        """Take in topic id and manifest heads; from now on ranges may be announced.

        Raises:
            RewoundOffset: The sink has more than the group says, and the policy is to stop.
        """
        for partition, epoch in settled.epochs.items():
            state = self.states.get(partition)
            if state is not None and state.epoch == epoch and not state.settled:
                self._settle(state, settled)

    def _settle(self, state: PartitionState, settled: Settled) -> None:
        if state.committed_topic_id not in (None, settled.topic_id):
            low, _ = self._kafka.watermarks(state.partition)
            log.warning("topic_recreated", partition=state.partition, offset=low)
            state.pending_last, state.verify = None, True
            self._go_on_at(state, low)
        head = settled.heads.get(state.partition)
        if head is not None:
            state.previous_sha256 = head.sha256
            if head.range.last >= state.next_offset:
                self._pass_stored(state, head.range.first, head.range.last)
        # Somebody else's crash may have left rows without a manifest row: ranges that meet them must not be written anew.
        stray = settled.strays.get(state.partition)
        if stray is not None:
            state.verify_below = stray + 1
            # No worker of any group ever stored anything of it: its first range need not be looked for.
            state.verify = head is not None or stray >= 0
        state.topic_id = settled.topic_id

    def _pass_stored(self, state: PartitionState, first: int, last: int) -> None:
        announced = state.next_offset == first and state.pending_last == last
        if not announced and self._policy.on_rewound_offset == "stop":
            raise RewoundOffset(state.topic, state.partition, state.next_offset, last)
        log.info("already_stored", partition=state.partition, first=state.next_offset, last=last, announced=announced)
        state.pending_last, state.dirty = None, True
        self._go_on_at(state, last + 1)

    def _go_on_at(self, state: PartitionState, offset: int) -> None:
        self._discard(state)
        state.next_offset = state.expected = state.seek_to = offset

    def rewind(self, state: PartitionState) -> None:
        """Forget what was fetched of a partition and read it again later."""
        self._discard(state)
        state.seek_to = state.expected

    def apply_seeks(self, *, paused: bool) -> None:
        """Tell librdkafka where to read on; it refuses until it has begun to fetch the partition.

        Args:
            paused: Fetching is paused; what would begin to fetch waits.
        """
        for state in self.states.values():
            if state.seek_to is None or (state.halted and paused):
                continue
            try:
                (self._kafka.restart if state.halted else self._kafka.seek)(state.partition, state.seek_to)
            except (BrokerUnavailable, OwnershipLost) as error:
                log.debug("seek_refused", partition=state.partition, reason=error.reason)
                continue
            state.seek_to, state.halted = None, False

    def strand(self, partition: int) -> None:
        """Note that the broker does not have the next offset of a partition."""
        state = self.states.get(partition)
        if state is not None:
            state.stranded = state.halted = True

    def rescue(self) -> None:
        """Deal with stranded partitions, each when everything that was read of it is stored.

        Not before a partition is settled: the offset may belong to an earlier topic of the same name.

        Raises:
            LostData: Messages are gone, and the policy is to stop; or the partition was truncated.
            BrokerUnavailable: The watermarks could not be asked for.
        """
        for state in self.states.values():
            idle = state.settled and state.flight is None and (state.replaying or not state.buffer)
            if state.stranded and idle:
                self._rescue(state)

    def _rescue(self, state: PartitionState) -> None:
        low, high = self._kafka.watermarks(state.partition)
        if low <= state.expected <= high:
            state.seek_to = state.expected  # the leader changed while it was asked
        elif state.expected > high or self._policy.on_lost_data == "stop":
            raise LostData(state.topic, state.partition, state.expected, low, high)
        else:
            self._skip_lost(state, low)
        state.stranded = False

    def _skip_lost(self, state: PartitionState, low: int) -> None:
        lost = low - state.next_offset
        log.error("data_lost", partition=state.partition, first=state.next_offset, last=low - 1, offsets=lost)
        self._metrics.count("auditstream_offsets_lost_total", lost)
        if state.pending_last is not None and state.pending_last < low:
            state.pending_last = None
        state.dirty = state.verify = True
        self._go_on_at(state, low)

    def release(self, partitions: Iterable[int]) -> None:
        """Forget partitions; flights still under way try nothing further."""
        for partition in partitions:
            state = self.states.pop(partition, None)
            if state is None:
                continue
            self._discard(state)
            if state.flight is not None:
                state.flight.cancelled.set()
            for name in ("auditstream_lag_offsets", "auditstream_lag_seconds"):
                self._metrics.forget(name, topic=state.topic, partition=str(partition))

    def _discard(self, state: PartitionState) -> None:
        count, size = state.drop_buffer()
        self._budget.give_back(size)
        self._metrics.count("auditstream_messages_discarded_total", count)

    def accept(self, pieces: Sequence[Records]) -> None:
        """Sort fetched messages into their partitions' buffers."""
        now = self._clock()
        taken = total = 0
        for records in pieces:
            if (state := self.states.get(records.partition)) is not None:
                count, value_bytes = state.accept(records, now)
                taken += count
                total += value_bytes
        self._budget.take(total + taken * MESSAGE_OVERHEAD_BYTES)
        self._metrics.count("auditstream_messages_consumed_total", taken)
        self._metrics.count("auditstream_bytes_consumed_total", total)

    def unsettled(self) -> list[int]:
        """Return partitions that wait for topic id and manifest head."""
        return [p for p, s in self.states.items() if not s.settled]

    def busy(self) -> bool:
        """Whether anything fetched is not stored yet."""
        return any(s.buffer or s.flight for s in self.states.values())

    def committable(self, now: float, calm_s: float) -> Mapping[int, PartitionState]:
        """Return partitions that are idle and whose progress is not committed yet."""
        return {
            p: s
            for p, s in self.states.items()
            if s.dirty and s.settled and s.flight is None and not s.buffer and now - s.dirty_at >= calm_s
        }

    def buffered(self) -> int:
        """Return how many fetched messages wait for their batch."""
        return sum(s.buffered for s in self.states.values())

    def measure_lag(self, now: float) -> None:
        """Set the lag of every partition, in offsets and in seconds."""
        for state in self.states.values():
            labels = {"topic": state.topic, "partition": str(state.partition)}
            oldest = state.flight.first_at if state.flight else state.first_at if state.buffer else now
            self._metrics.set("auditstream_lag_seconds", now - oldest, **labels)
            try:
                _, high = self._kafka.watermarks(state.partition, cached=True)
            except (BrokerUnavailable, OwnershipLost):
                continue  # nothing was fetched of it yet: the lag is unknown, not zero
            self._metrics.set("auditstream_lag_offsets", max(0, high - state.next_offset), **labels)
