"""What travels between the stages of a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

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
