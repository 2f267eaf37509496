"""What travels between the stages of a worker."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks.sink import OffsetRange

#: Bytes of readable padding behind the last message of a buffer, so that kernels may over-read inside it.
TAIL_PADDING_BYTES = 64

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Payloads:
    """The values of n messages in one buffer, in offset order.

    Attributes:
        data: All values back to back, then TAIL_PADDING_BYTES zeros; uint8[total + padding].
        starts: Where each value starts in ``data``; int64[n].
        lengths: Its length, bytes; 0 for an empty or absent value; int64[n].
    """

    data: Bytes
    starts: Int64s
    lengths: Int64s

    @classmethod
    def joined(cls, parts: Sequence[Payloads]) -> Payloads:
        """Put the values of several buffers, each back to back, behind one another; at least one part."""
        used = [p.data[: int(p.starts[-1] + p.lengths[-1]) if len(p) else 0] for p in parts]
        before = np.cumsum([0, *(len(data) for data in used[:-1])])
        starts = np.concatenate([p.starts + base for p, base in zip(parts, before.tolist(), strict=True)])
        data: Bytes = np.concatenate([*used, np.zeros(TAIL_PADDING_BYTES, np.uint8)])
        return cls(data, starts, np.concatenate([p.lengths for p in parts]))

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Payloads:
        """Gather message values; an absent value counts as empty."""
        parts = [v or b"" for v in values]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        starts = np.zeros(len(parts), np.int64)
        np.cumsum(lengths[:-1], out=starts[1:])
        parts.append(bytes(TAIL_PADDING_BYTES))
        return cls(np.frombuffer(b"".join(parts), np.uint8), starts, lengths)

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A Kafka message as dead letters need it.

    Attributes:
        key: Key, raw bytes, or None.
        value: Value, raw bytes, or None.
        headers: Name and value pairs in order.
    """

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Columns of the messages that decoded, and what was wrong with the others.

    Columns are keyed by their path in the reader schema (``tenant_id``, ``api.method``, ``changes.before``):

    - string: ``pa.string()``, or dictionary-encoded (int32 codes) for the columns the decoder was told to encode;
    - enum: dictionary-encoded, entry 0 is ``""`` and stands for "its block is absent", symbols follow in schema order;
    - a value in an absent block, or null where the column is not nullable in the table, is ``""``, 0, False or empty;
    - a nullable scalar keeps its nulls;
    - an array of strings: ``list<string>``; an array of records: one list column per field, sharing offsets; a map:
      ``map<string, string>``;
    - a nullable record additionally yields a column under its own path: ``pa.bool_()``, True where it is present.

    Attributes:
        columns: Arrays of equal length m, no chunks.
        rows: Position in the batch of the message of each row, ascending; int32[m].
        errors: Per message of the batch: 0, or a ``DecodeError`` code; uint8[n].
        generations: Per dictionary-encoded column a number; as long as it stays the same between batches, the
            dictionary has only grown and codes keep their meaning.
        blank: Paths of columns in which no row holds anything (null, empty, 0, False, the enum's entry 0); one that is
            dictionary-encoded may come with the entry 0 alone. A column that is not named may be blank, too.
    """

    columns: Mapping[str, pa.Array]
    rows: Int32s
    errors: Bytes
    generations: Mapping[str, int]
    blank: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rejection:
    """Messages that became dead letters in one stage.

    Attributes:
        position: Position of the message in the batch.
        stage: ``decode`` or ``validate``.
        reason_code: Stable name of the reason.
        reason: The reason in words.
        tenant_id: Tenant when known, else empty.
        event_code: Event code when known, else empty.
        event_id: Event id as received when known, else empty.
    """

    position: int
    stage: str
    reason_code: str
    reason: str
    tenant_id: str = ""
    event_code: str = ""
    event_id: str = ""


class Messages(Protocol):
    """Messages on their way to rows, of one partition or of several, without their values in one buffer."""

    @property
    def offsets(self) -> Int64s:
        """Their offsets; int64[n]."""
        ...

    @property
    def timestamps_ms(self) -> Int64s:
        """Their Kafka timestamps, milliseconds since 1970 UTC; int64[n]."""
        ...

    @property
    def messages(self) -> Sequence[RawMessage]:
        """Access to key, value and headers by position; only used for dead letters."""
        ...

    @property
    def topic(self) -> str:
        """Their topic."""
        ...

    @property
    def topic_id(self) -> UUID:
        """Its id."""
        ...

    def partitions(self, positions: Int32s) -> Int32s:
        """Return the partition of some messages; int32[k]."""
        ...


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """One contiguous range of offsets of one topic-partition, as consumed.

    Attributes:
        range: The offsets covered; there may be fewer messages than offsets (transaction markers, aborted messages).
        payloads: Values of the n messages.
        offsets: Their offsets, ascending; int64[n].
        timestamps_ms: Their Kafka timestamps, milliseconds since 1970 UTC; int64[n].
        messages: Access to key, value and headers by position; only used for dead letters.
    """

    range: OffsetRange
    payloads: Payloads
    offsets: Int64s
    timestamps_ms: Int64s
    messages: Sequence[RawMessage]

    @property
    def topic(self) -> str:
        """Its topic."""
        return self.range.topic

    @property
    def topic_id(self) -> UUID:
        """Id of its topic."""
        return self.range.topic_id

    def partitions(self, positions: Int32s) -> Int32s:
        """Return the partition of some messages; int32[k]."""
        return np.full(len(positions), self.range.partition, np.int32)


class JointMessages:
    """Batches of different partitions of one topic, one behind the other.

    Args:
        batches: The batches; at least one.

    Attributes:
        offsets: Offsets of the n messages, ascending within a batch; int64[n].
        timestamps_ms: Their Kafka timestamps, milliseconds since 1970 UTC; int64[n].
        messages: Access to key, value and headers by position.
        topic: Their topic.
        topic_id: Its id.
    """

    def __init__(self, batches: Sequence[MessageBatch]) -> None:
        self.offsets: Int64s = np.concatenate([b.offsets for b in batches])
        self.timestamps_ms: Int64s = np.concatenate([b.timestamps_ms for b in batches])
        self.messages: Sequence[RawMessage] = _Chained([b.messages for b in batches])
        self.topic, self.topic_id = batches[0].topic, batches[0].topic_id
        numbers = np.array([b.range.partition for b in batches], np.int32)
        self._partitions: Int32s = np.repeat(numbers, [len(b.offsets) for b in batches])

    def partitions(self, positions: Int32s) -> Int32s:
        """Return the partition of some messages; int32[k]."""
        return self._partitions[positions]


class _Chained(Sequence[RawMessage]):
    """Sequences one behind the other, of which nothing is copied."""

    def __init__(self, parts: Sequence[Sequence[RawMessage]]) -> None:
        self._parts = parts
        self._starts = list(accumulate(map(len, parts), initial=0))

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> RawMessage:  # type: ignore[override]  # nobody asks for slices
        part = bisect_right(self._starts, index) - 1
        return self._parts[part][index - self._starts[part]]
