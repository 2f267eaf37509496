"""Where batches go: the promise that every sink keeps, and the data that crosses it.

Exactly-once rests on three facts. A batch is one contiguous range of offsets of one topic-partition, announced in
Kafka before it is written. Every row carries topic id, partition and offset, so that what is stored can be read back.
Every block carries a deduplication token made of the range and its table, or of a group of ranges that are written
together and the table, so that a late duplicate is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import pyarrow as pa


@dataclass(frozen=True, slots=True, order=True)
class OffsetRange:
    """A contiguous range of offsets of one topic-partition, both ends included.

    Attributes:
        topic: Name of the topic.
        topic_id: Id of the topic; a re-created topic of the same name has another one.
        partition: Partition number.
        first: First offset of the range.
        last: Last offset of the range; ``next_offset`` is one more.
    """

    topic: str
    topic_id: UUID
    partition: int
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"empty offset range {self.first}-{self.last} of {self.topic}-{self.partition}")

    @property
    def next_offset(self) -> int:
        """Offset that follows the range."""
        return self.last + 1

    @property
    def span(self) -> int:
        """Number of offsets in the range."""
        return self.last - self.first + 1

    @property
    def name(self) -> str:
        """Name of the range, by which its statements and blocks are known."""
        return f"{self.topic_id}:{self.partition}:{self.first}-{self.last}"

    def token(self, table: str) -> str:
        """Return the deduplication token of this range's block in one table."""
        return f"{self.name}:{table}"


@dataclass(frozen=True, slots=True)
class WriteGroup:
    """Ranges of several partitions that are written together, as one block per table.

    The intents of all its ranges name the group before anything of them is written, so that whoever completes one of
    the ranges knows the token that a stale worker may still come with.

    Attributes:
        id: 32 hexadecimal digits, chosen at random for this one attempt.
    """

    id: str

    @property
    def name(self) -> str:
        """Name of the group, by which its statements and blocks are known."""
        return f"group:{self.id}"

    def token(self, table: str) -> str:
        """Return the deduplication token of this group's block in one table."""
        return f"{self.name}:{table}"


@dataclass(frozen=True, slots=True)
class SinkBatch:
    """Everything one range of offsets becomes.

    ``events.num_rows + dead_letters.num_rows + filtered + skipped == range.span``.

    Attributes:
        range: The offsets that the batch covers.
        events: Rows for ``audit_events`` in offset order: ``schemas.columns.event_columns()`` by name, in that order;
            strings may be dictionary-encoded.
        payloads: Rows for ``audit_payloads`` in offset order: ``schemas.columns.payload_columns()``; only rows that have a body.
        dead_letters: Rows for ``dead_letters`` in offset order: ``schemas.columns.DEAD_LETTER_COLUMNS``.
        filtered: Number of offsets left out by a setting.
        skipped: Number of offsets without a message (transaction markers, aborted messages, compaction).
        schema_ids: Registry ids of the writer schemas seen.
        dead_letter_source: Builds the dead letter of an offset that only the sink finds bad.
    """

    range: OffsetRange
    events: pa.Table
    payloads: pa.Table
    dead_letters: pa.Table
    filtered: int
    skipped: int
    schema_ids: Sequence[int]
    dead_letter_source: DeadLetterSource


@dataclass(frozen=True, slots=True)
class JointRows:
    """Rows of several batches, one behind the other in the order of the batches.

    Attributes:
        events: Rows for ``audit_events``.
        payloads: Rows for ``audit_payloads``.
        dead_letters: Rows for ``dead_letters``.
    """

    events: pa.Table
    payloads: pa.Table
    dead_letters: pa.Table


class DeadLetterSource(Protocol):
    """Turns offsets of a batch into dead letters when the sink itself finds their rows bad."""

    def dead_letters(self, reasons: Mapping[int, str], *, stage: str, reason_code: str) -> pa.Table:
        """Return rows for ``dead_letters`` in offset order.

        Args:
            reasons: Reason in words by offset; every offset has a message in the batch.
            stage: Stage to record, ``insert``.
            reason_code: Stable name to record, for example ``row_refused``.
        """
        ...


@dataclass(frozen=True, slots=True)
class DayDigest:
    """Rows of one range that expire on one day.

    Attributes:
        day: Day of ``expires_at`` in UTC, days since 1970-01-01.
        rows: Number of rows.
        sha256: SHA-256 over their canonical form in offset order (``sinks.digest``), 32 bytes.
    """

    day: int
    rows: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is stored of one range: one row of ``ingest_batches``.

    Attributes:
        range: The offsets it covers.
        stored: Rows in ``audit_events``.
        dead_lettered: Rows in ``dead_letters``.
        filtered: Offsets left out by a setting.
        skipped: Offsets without a message.
        schema_ids: Registry ids of the writer schemas seen, ascending.
        digests: One per day of expiry, ascending.
        previous_sha256: ``sha256`` of the partition's previous manifest row, 32 zero bytes for the first one.
        sha256: SHA-256 over all of the above in canonical form, 32 bytes.
    """

    range: OffsetRange
    stored: int
    dead_lettered: int
    filtered: int
    skipped: int
    schema_ids: tuple[int, ...]
    digests: tuple[DayDigest, ...]
    previous_sha256: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredOffsets:
    """Which offsets of a range are in the sink, from reading it back.

    Attributes:
        events: Offsets in ``audit_events``, ascending.
        dead_letters: Offsets in ``dead_letters``, ascending.
        payloads: Offsets in ``audit_payloads``, ascending.
        manifest: The manifest row of exactly this range, if it is stored.
    """

    events: Sequence[int] = field(default_factory=tuple)
    dead_letters: Sequence[int] = field(default_factory=tuple)
    payloads: Sequence[int] = field(default_factory=tuple)
    manifest: Manifest | None = None


class Sink(Protocol):
    """A place that stores batches exactly once.

    Order: batches of one partition are handed over in offset order, one at a time; batches of different partitions
    may be handed over at the same time from several threads. Closing is the business of whoever opened it.
    """

    def check(self) -> None:
        """Prove that the delivery promise can hold.

        Raises:
            SinkMisconfigured: With every problem found.
            SinkUnavailable: It could not be asked.
        """
        ...

    def heads(self, topic_id: UUID, partitions: Sequence[int]) -> Mapping[int, Manifest]:
        """Return the newest manifest row of each partition that has one.

        Raises:
            SinkUnavailable: It could not be asked.
        """
        ...

    def last_offsets(self, topic_id: UUID, firsts: Mapping[int, int]) -> Mapping[int, int]:
        """Return the highest stored offset of each partition that has any from a given one on.

        Args:
            topic_id: Id of the topic.
            firsts: The offset by partition, at least one.

        Raises:
            SinkUnavailable: It could not be asked.
        """
        ...

    def write(self, batch: SinkBatch, previous_sha256: bytes) -> Manifest:
        """Store a batch that was never tried before: dead letters, payloads, events, manifest, in this order.

        Returns:
            The manifest as stored.

        Raises:
            SinkUnavailable: Unknown what is stored; go on with ``complete`` until it returns.
            SinkStopped: See there; part of the batch may be stored.
        """
        ...

    def write_together(
        self, batches: Sequence[SinkBatch], rows: JointRows, previous_sha256: Sequence[bytes], group: WriteGroup
    ) -> Sequence[Manifest]:
        """Store batches of different partitions that were never tried before, each table's rows as one block.

        Args:
            batches: One per partition, small enough that a table takes all their rows in one block.
            rows: The rows of all of them.
            previous_sha256: Digest of each partition's newest manifest row.
            group: The group that the intents of all of them name.

        Returns:
            Their manifests as stored.

        Raises:
            SinkUnavailable: Unknown what is stored; go on with ``complete_together`` until it returns.
            SinkStopped: See there; part of the batches may be stored.
        """
        ...

    def complete_together(
        self, batches: Sequence[SinkBatch], rows: JointRows, previous_sha256: Sequence[bytes], group: WriteGroup
    ) -> Sequence[Manifest]:
        """Bring batches that were written together to their end, as ``complete`` does; some of the group may be left out.

        Raises:
            SinkUnavailable: Still unknown; call again.
            SinkStopped: See there.
        """
        ...

    def complete(self, batch: SinkBatch, previous_sha256: bytes, group: WriteGroup | None = None) -> Manifest:
        """Bring a batch that may be stored in part to its end: whatever happened before, each offset is stored once.

        The first attempt repeats the original tokens, then everything is read back and what is still missing goes in
        under a new token, after earlier statements on the range have ended. An offset that is already among the
        events or the dead letters is done, whatever the batch says now; the manifest describes what is stored.

        Args:
            batch: The batch.
            previous_sha256: Digest of the partition's newest manifest row.
            group: The group that its intent names, None when it was to be written alone.

        Raises:
            SinkUnavailable: Still unknown; call again.
            SinkStopped: See there.
        """
        ...

    def stored(self, range_: OffsetRange) -> StoredOffsets:
        """Read back which offsets of a range are stored.

        Raises:
            SinkUnavailable: It could not be asked.
        """
        ...

    def write_actors(self, cards: pa.Table) -> None:
        """Store actor cards (``schemas.columns.ACTOR_COLUMNS``); the card with the highest offset of a key wins.

        Raises:
            SinkUnavailable: Call again; repeating is harmless.
        """
        ...

    def close(self) -> None:
        """Release connections. Idempotent."""
        ...
