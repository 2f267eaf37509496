"""What a worker knows of one partition that it owns; the policy stands in settings, the state here."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from consumers.batch import MessageBatch
from consumers.budget import MESSAGE_OVERHEAD_BYTES
from consumers.records import Records, batch_of, sizes_of
from consumers.settings import WorkerSettings
from sinks.sink import Manifest, OffsetRange


@dataclass(slots=True)
class Flight:
    """A batch on its way through decode, validate, enrich and the sink.

    Attributes:
        batch: The messages.
        previous_sha256: Digest of the partition's previous manifest row.
        replay: The range may be stored in part already.
        size_bytes: What it holds of the memory budget.
        first_at: Monotonic seconds at which its first message was fetched.
        cut_at: Monotonic seconds at which all of its messages had been fetched.
        group: Id of the group that its intent names, empty for a range that was announced alone.
        cancelled: Set when the partition was taken away: try nothing further.
    """

    batch: MessageBatch
    previous_sha256: bytes
    replay: bool
    size_bytes: int
    first_at: float
    cut_at: float
    group: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, eq=False)
class Convoy:
    """Flights that are written together: small ones of several partitions, or a single one.

    Attributes:
        flights: At most one per partition, ascending by partition.
        left: How many of them have not come to their end; counted by the poll thread.
    """

    flights: Sequence[Flight]
    left: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = len(self.flights)


@dataclass(slots=True)
class PartitionState:
    """One owned partition. ``next_offset`` is always the first offset that is not known to be stored.

    Attributes:
        topic: Topic.
        partition: Partition.
        next_offset: First offset of the next range.
        pending_last: Last offset of a range that an earlier owner announced and may have stored in part.
        pending_group: The group with which it was to be stored, empty for none.
        announced: Last offset of our own next range, while Kafka's answer to its announcement is outstanding.
        announced_group: The group with which it is going to be stored, empty for none.
        committed_topic_id: Topic id found in the commit metadata, None when no worker wrote it.
        topic_id: Id of the topic now; None until the partition is settled.
        previous_sha256: Digest of the newest manifest row.
        verify: Complete the next range instead of writing it: nobody vouches that none of it is stored.
        verify_below: The same for every range that begins below this offset: the sink holds rows up to there.
        dirty: ``next_offset`` is ahead of what is committed.
        flight: The announced range being stored.
        buffer: Fetched messages from ``next_offset`` (or from behind the flight) on, in pieces.
        buffered: How many they are.
        buffer_bytes: What they hold of the memory budget.
        first_at: Monotonic seconds at which the oldest of them was fetched.
        expected: Lowest offset that the next fetched message can have.
        seek_to: Offset to read from, while librdkafka was not told yet; nothing is accepted until it was.
        stranded: The broker does not have the next offset; dealt with when nothing of the partition is in hand.
        halted: librdkafka has given up fetching the partition; it begins again when it is assigned anew.
        epoch: Tells this time of owning the partition from earlier ones.
    """

    topic: str
    partition: int
    next_offset: int
    pending_last: int | None = None
    pending_group: str = ""
    announced: int | None = None
    announced_group: str = ""
    committed_topic_id: UUID | None = None
    topic_id: UUID | None = None
    previous_sha256: bytes = bytes(32)
    verify: bool = False
    verify_below: int = 0
    dirty: bool = False
    dirty_at: float = 0.0
    flight: Flight | None = None
    buffer: list[Records] = field(default_factory=list)
    buffered: int = 0
    buffer_bytes: int = 0
    first_at: float = 0.0
    expected: int = field(init=False)
    seek_to: int | None = None
    stranded: bool = False
    halted: bool = False
    epoch: int = 0

    def __post_init__(self) -> None:
        self.expected = self.next_offset

    @property
    def settled(self) -> bool:
        """Topic id and manifest head are known, so that ranges may be announced."""
        return self.topic_id is not None

    @property
    def replaying(self) -> bool:
        """A range of an earlier owner has to be completed first."""
        return self.pending_last is not None

    @property
    def vouched(self) -> bool:
        """Whether it is known that nothing of the next range is stored yet."""
        return not (self.replaying or self.verify or self.next_offset < self.verify_below)

    @property
    def value_bytes(self) -> int:
        """Bytes of the buffered message values."""
        return self.buffer_bytes - self.buffered * MESSAGE_OVERHEAD_BYTES

    def accept(self, records: Records, now: float) -> tuple[int, int]:
        """Take fetched messages but for those that were already taken before a seek; return their number and bytes."""
        if self.seek_to is not None:
            return 0, 0
        fresh = records.beyond(self.expected)
        count, value_bytes = len(fresh), fresh.value_bytes
        if count:
            if not self.buffer:
                self.first_at = now
            self.buffer.append(fresh)
            self.buffered += count
            self.buffer_bytes += value_bytes + count * MESSAGE_OVERHEAD_BYTES
            self.expected = int(fresh.offsets[-1]) + 1
        return count, value_bytes

    def due(self, now: float, policy: WorkerSettings, *, age_s: float, pressed: bool) -> bool:
        """Whether a batch should be cut: full, older than ``age_s``, or memory is short."""
        if not self.buffer:
            return False
        full = self.buffered >= policy.batch_rows or self.value_bytes >= policy.batch_bytes
        return full or pressed or self.stranded or now - self.first_at >= age_s

    def replay_due(self) -> bool:
        """Whether the whole pending range has been read again."""
        return self.pending_last is not None and self.expected > self.pending_last and bool(self.buffer)

    def plan(self, policy: WorkerSettings) -> int:
        """Return how many buffered messages the next batch takes, at least one."""
        last = self.pending_last if self.pending_last is not None else self.announced
        if last is not None:
            return sum(int(np.searchsorted(r.offsets, last, side="right")) for r in self.buffer)
        most = min(self.buffered, policy.batch_rows)
        if self.value_bytes <= policy.batch_bytes:
            return most
        ends = np.cumsum(sizes_of(np.concatenate([r.values.lengths for r in self.buffer])[:most]))
        return max(1, int(np.searchsorted(ends, policy.batch_bytes, side="right")))

    def last_planned(self, count: int) -> int:
        """Return the last offset of a batch of ``count`` messages."""
        if self.pending_last is not None:
            return self.pending_last
        for records in self.buffer:
            if count <= len(records):
                return int(records.offsets[count - 1])
            count -= len(records)
        raise ValueError(f"{count} more messages were planned than there are")

    def _cut(self, count: int) -> list[Records]:
        """Take the first ``count`` messages out of the buffer."""
        taken: list[Records] = []
        while count:
            first = self.buffer.pop(0)
            taken.append(first.part(0, count))
            if count < len(first):
                self.buffer.insert(0, first.part(count, len(first)))
            count -= len(taken[-1])
        return taken

    def take_off(self, count: int, now: float) -> Flight:
        """Cut ``count`` messages into a flight; the range reaches from ``next_offset`` to the planned last offset."""
        if self.topic_id is None:
            raise ValueError(f"{self.topic}-{self.partition} is not settled")
        last = self.last_planned(count)
        batch_records = self._cut(count)
        size = sum(r.value_bytes for r in batch_records) + count * MESSAGE_OVERHEAD_BYTES
        self.buffer_bytes -= size
        self.buffered -= count
        range_ = OffsetRange(self.topic, self.topic_id, self.partition, self.next_offset, last)
        group = self.pending_group if self.replaying else self.announced_group
        batch = batch_of(range_, batch_records)
        self.announced = None
        self.flight = Flight(batch, self.previous_sha256, not self.vouched, size, self.first_at, now, group)
        self.first_at = now
        return self.flight

    def land(self, manifest: Manifest, now: float) -> None:
        """Note that the flight's range is stored."""
        self.next_offset = manifest.range.next_offset
        self.previous_sha256 = manifest.sha256
        self.pending_last, self.verify, self.flight = None, False, None
        self.dirty, self.dirty_at = True, now

    def drop_buffer(self) -> tuple[int, int]:
        """Forget the fetched messages, to be read again; return their count and budget bytes."""
        dropped = self.buffered, self.buffer_bytes
        self.buffer, self.buffered, self.buffer_bytes = [], 0, 0
        self.expected = self.flight.batch.range.next_offset if self.flight else self.next_offset
        return dropped
