"""Fetched messages as arrays: no Python object for each, from the fetch to the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from consumers.batch import TAIL_PADDING_BYTES, Bytes, Int64s, MessageBatch, Payloads, RawMessage
from sinks.sink import OffsetRange

#: Length that stands for "there is none", which Kafka tells from an empty key or value.
ABSENT = -1


def sizes_of(lengths: Int64s) -> Int64s:
    """Return the bytes that texts take: their lengths, 0 for ``ABSENT``; int64[n]."""
    return np.maximum(lengths, 0)


class Headers(Protocol):
    """Headers of one message, taken apart only when somebody asks."""

    def pairs(self) -> Sequence[tuple[str, bytes | None]]:
        """Return name and value of each, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Texts:
    """Keys or values of n messages in one buffer, back to back in order.

    Attributes:
        data: The bytes; there may be others before and behind.
        starts: Where each begins; int64[n].
        lengths: Its length, bytes; ``ABSENT`` where there is none; int64[n].
    """

    data: Bytes
    starts: Int64s
    lengths: Int64s

    @classmethod
    def of(cls, texts: Sequence[bytes | None]) -> Texts:
        """Gather texts."""
        lengths = np.fromiter((ABSENT if text is None else len(text) for text in texts), np.int64, len(texts))
        return cls.packed(np.frombuffer(b"".join(filter(None, texts)), np.uint8), lengths)

    @classmethod
    def packed(cls, data: Bytes, lengths: Int64s) -> Texts:
        """Take bytes that begin with the first text and lie back to back."""
        sizes = sizes_of(lengths)
        return cls(data, np.cumsum(sizes) - sizes, lengths)

    def part(self, first: int, last: int) -> Texts:
        """Return those from ``first`` up to but without ``last``; the buffer is shared."""
        return Texts(self.data, self.starts[first:last], self.lengths[first:last])

    def used(self) -> Bytes:
        """Return the part of the buffer that they take."""
        if not len(self.starts):
            return self.data[:0]
        end = int(self.starts[-1]) + max(0, int(self.lengths[-1]))
        return self.data[int(self.starts[0]) : end]

    def copied(self) -> Texts:
        """Return the same texts in a buffer that holds no others."""
        used = self.used().copy()
        starts = self.starts - self.starts[0] if len(self.starts) else self.starts
        return Texts(used, starts, self.lengths.copy())

    def __getitem__(self, index: int) -> bytes | None:
        start, length = int(self.starts[index]), int(self.lengths[index])
        return None if length == ABSENT else self.data[start : start + length].tobytes()

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Records(Sequence[RawMessage]):
    """n messages of one partition, in the order in which they came.

    Attributes:
        partition: Partition.
        offsets: int64[n].
        timestamps_ms: Kafka's timestamps, milliseconds since 1970 UTC, 0 where there is none; int64[n].
        values: Values.
        keys: Keys.
        headers: Headers by offset, of the messages that have some.
    """

    partition: int
    offsets: Int64s
    timestamps_ms: Int64s
    values: Texts
    keys: Texts
    headers: Mapping[int, Headers]

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> RawMessage:  # type: ignore[override]  # ``part`` is for slices
        headers = self.headers.get(int(self.offsets[index]))
        return RawMessage(self.keys[index], self.values[index], headers.pairs() if headers else ())

    @property
    def value_bytes(self) -> int:
        """Bytes of all values."""
        return len(self.values.used())

    def part(self, first: int, last: int) -> Records:
        """Return those from ``first`` up to but without ``last``; the buffers are shared."""
        keys, values = self.keys.part(first, last), self.values.part(first, last)
        return Records(
            self.partition, self.offsets[first:last], self.timestamps_ms[first:last], values, keys, self.headers
        )

    def copied(self) -> Records:
        """Return the same messages in buffers that hold no others."""
        keys, values = self.keys.copied(), self.values.copied()
        return Records(self.partition, self.offsets.copy(), self.timestamps_ms.copy(), values, keys, self.headers)

    def beyond(self, expected: int) -> Records:
        """Return those that have neither a lower offset than ``expected`` nor one that was there before them."""
        highest = np.maximum.accumulate(np.concatenate([[expected - 1], self.offsets]))
        fresh = self.offsets > highest[:-1]
        if fresh.all():
            return self
        kept = np.flatnonzero(fresh).tolist()
        return joined([self.part(i, i + 1) for i in kept]) if kept else self.part(0, 0)


def joined(pieces: Sequence[Records]) -> Records:
    """Put messages of one partition together, in new buffers; at least one piece."""
    return Records(
        pieces[0].partition,
        np.concatenate([p.offsets for p in pieces]),
        np.concatenate([p.timestamps_ms for p in pieces]),
        _joined_texts([p.values for p in pieces]),
        _joined_texts([p.keys for p in pieces]),
        {offset: found for p in pieces for offset, found in p.headers.items()},
    )


def _joined_texts(pieces: Sequence[Texts]) -> Texts:
    data: npt.NDArray[np.uint8] = np.concatenate([*(p.used() for p in pieces), np.zeros(TAIL_PADDING_BYTES, np.uint8)])
    return Texts.packed(data, np.concatenate([p.lengths for p in pieces]))


def none_of(partition: int) -> Records:
    """Return no messages."""
    nothing, texts = np.zeros(0, np.int64), Texts.of(())
    return Records(partition, nothing, nothing, texts, texts, {})


def batch_of(range_: OffsetRange, pieces: Sequence[Records]) -> MessageBatch:
    """Make the batch of a range of the messages that lie in it; none when all of them are gone."""
    records = joined(pieces or [none_of(range_.partition)])
    values = records.values
    payloads = Payloads(values.data, values.starts, sizes_of(values.lengths))
    return MessageBatch(range_, payloads, records.offsets, records.timestamps_ms, records)
