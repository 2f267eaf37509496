"""Dictionaries of string columns that outlive a batch, so that codes can be looked up instead of strings.

A dictionary only grows, and what it grows out of is left to the arrays that refer to it; when it has become too
large, the next batch starts a new one under the next generation number. A column therefore keeps at most its limit
(entries and bytes) plus the distinct strings of the one batch that passed it, also when its values turn out to be
nearly unique; per entry 8 bytes of hash, 4 of offset and 8 to 16 of buckets come on top of the string.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.batch import Bytes, Int32s, Int64s
from consumers.decode import opcodes as op
from consumers.decode.errors import BatchTooLarge

_Scalar = TypeVar("_Scalar", bound=np.generic)
_FIRST_ENTRIES = 256
_FIRST_BYTES = 4096
_MAX_BYTES = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Limits:
    """When a dictionary is given up.

    Attributes:
        entries: Words at most at the start of a batch.
        bytes: Bytes of its words at most at the start of a batch.
    """

    entries: int
    bytes: int


class Dictionary:
    """The dictionary of one column; word 0 is the empty string, which is in no bucket.

    Attributes:
        generation: Changes when codes change their meaning.
        words: Words in it.
    """

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self.generation = 0
        self._start()

    def _start(self) -> None:
        self.generation += 1
        self._moved = True
        self.words = 1
        self._offsets: Int32s = np.zeros(_FIRST_ENTRIES + 1, np.int32)
        self._hashes: Int64s = np.zeros(_FIRST_ENTRIES, np.int64)
        self._buckets: Int32s = np.zeros(2 * _FIRST_ENTRIES, np.int32)
        self._bytes: Bytes = np.empty(_FIRST_BYTES + op.SLACK_BYTES, np.uint8)
        self._array: pa.Array | None = None

    @property
    def used_bytes(self) -> int:
        """Bytes of all words."""
        return int(self._offsets[self.words])

    def begin(self) -> bool:
        """Give the dictionary up if it has become too large; called before each batch.

        Returns:
            Whether it has other buffers than before: at first, and when it was given up.
        """
        if self.words > self._limits.entries or self.used_bytes > self._limits.bytes:
            self._start()
        moved, self._moved = self._moved, False
        return moved

    def buffers(self) -> dict[int, Int32s | Int64s | Bytes]:
        """Return the buffers by role."""
        return {op.OFFSETS: self._offsets, op.HASHES: self._hashes, op.BUCKETS: self._buckets, op.WORDS: self._bytes}

    def grow(self, words: int, needed_bytes: int) -> None:
        """Make room for another word; afterwards the buckets are empty and must be filled again.

        Args:
            words: Words in it by now.
            needed_bytes: Bytes that the words need with the new one, slack included.

        Raises:
            BatchTooLarge: The words of one batch pass what 32-bit offsets reach.
        """
        if needed_bytes > _MAX_BYTES:
            raise BatchTooLarge(f"the dictionary of {self._path}", needed_bytes)
        self.words = words
        room = len(self._hashes) * (2 if words + 1 >= len(self._hashes) else 1)
        size = max(needed_bytes, min(2 * len(self._bytes), _MAX_BYTES)) if needed_bytes > len(self._bytes) else None
        self._offsets = _enlarged(self._offsets, room + 1)
        self._hashes = _enlarged(self._hashes, room)
        self._bytes = _enlarged(self._bytes, size or len(self._bytes))
        self._buckets = np.zeros(2 * room, np.int32)

    def array(self, words: int) -> pa.Array:
        """Return the words as Arrow strings, the same array as before if there are no new ones.

        Args:
            words: Words in it after the batch.
        """
        self.words = words
        if self._array is None or words != len(self._array):
            offsets = pa.py_buffer(self._offsets[: words + 1])
            self._array = pa.Array.from_buffers(
                pa.string(), words, [None, offsets, pa.py_buffer(self._bytes[: self.used_bytes])], 0
            )
        return self._array


def _enlarged(array: npt.NDArray[_Scalar], length: int) -> npt.NDArray[_Scalar]:
    if length <= len(array):
        return array
    larger = np.zeros(length, array.dtype)
    larger[: len(array)] = array
    return larger
