"""The memory that one batch is decoded into.

Every batch has fresh memory, owned by the Arrow arrays made of it: nothing is written again once it was handed out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.batch import Bytes, Int64s
from consumers.decode import opcodes as op
from consumers.decode.errors import BatchTooLarge
from consumers.decode.layout import Column
from consumers.decode.placement import Placement, side_by_side

Buffer = npt.NDArray[np.generic]

#: Bytes or rows allocated where none are expected.
_LEAST = 256
#: The most that 32-bit offsets reach.
MAX_BYTES = (1 << 31) - 1 - op.SLACK_BYTES


def address_of(array: Buffer) -> int:
    """Return the address of a C-contiguous array; several times cheaper than ``array.ctypes.data``."""
    address: int = pa.py_buffer(array).address
    return address


class Expectation:
    """What the next batch will need, by what the last ones needed: guessed too small costs time, never data."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        layout = placement.layout
        #: Items of each level, then bytes of each TEXT column, per message.
        self._use = np.zeros(layout.levels + len(layout.texts))

    def allocate(self, messages: int, memory: Int64s) -> Buffers:
        """Allocate the buffers of a batch of so many messages.

        Args:
            messages: Their number.
            memory: Address and size of what lies elsewhere, by slot; int64[slots, 2].
        """
        expected = (1.25 * self._use * messages).astype(np.int64) + _LEAST
        return Buffers(self._placement, messages, expected, memory)

    def learn(self, buffers: Buffers, messages: int) -> None:
        """Note what a batch of so many messages used."""
        self._use = np.maximum(0.8 * self._use, buffers.counters / messages)


class Buffers:
    """Buffers of all columns, and the tables by which the interpreter finds them.

    Attributes:
        placement: Which buffers there are.
        memory: Address and size of each slot; int64[slots, 2].
        limits: Rows that each level has room for; int64[levels].
        counters: Rows used per level, then bytes used per TEXT column; int64.
    """

    def __init__(self, placement: Placement, rows: int, expected: Int64s, memory: Int64s) -> None:
        """Allocate for a batch.

        Args:
            placement: Which buffers there are.
            rows: Messages of the batch.
            expected: Rows expected per level, the first is ignored, then bytes per TEXT column; int64.
            memory: Address and size of what lies elsewhere, by slot; int64[slots, 2], is copied.
        """
        self.placement = placement
        levels = placement.layout.levels
        self.memory: Int64s = memory.copy()
        self.limits: Int64s = expected[:levels].copy()
        self.limits[0] = rows
        self.counters: Int64s = np.zeros(len(expected), np.int64)
        self._own: dict[int, Buffer] = {}
        self._strips = self._lay(placement.strips[:, 0], placement.sizes(self.limits), zeros=True)
        self._texts = self._lay(placement.text_slots, expected[levels:] + op.SLACK_BYTES, zeros=False)

    def _lay(self, slots: Int64s, sizes: Int64s, *, zeros: bool) -> tuple[pa.Buffer, int]:
        """Place the buffers of some slots side by side in one piece of memory; return it and its address."""
        starts, total = side_by_side(sizes)
        memory = pa.py_buffer(np.zeros(total, np.uint8) if zeros else np.empty(total, np.uint8))
        address: int = memory.address
        self.memory[slots, 0] = address + starts
        self.memory[slots, 1] = sizes
        return memory, address

    def set(self, slot: int, buffer: Buffer) -> None:
        """Make a C-contiguous array the buffer of a slot."""
        self._own[slot] = buffer
        self.memory[slot] = address_of(buffer), buffer.nbytes

    def buffer(self, slot: int) -> pa.Buffer:
        """Return the buffer of a strip or of a TEXT column's bytes; it keeps its memory alive."""
        if slot in self._own:
            return pa.py_buffer(self._own[slot])
        address, size = self.memory[slot].tolist()
        for piece, start in (self._strips, self._texts):
            if start <= address and address + size <= start + piece.size:
                return piece.slice(address - start, size)
        raise KeyError(slot)

    def bytes_of(self, column: Column, role: int) -> Bytes:
        """Return the buffer of a column in a role."""
        return np.frombuffer(self.buffer(op.slot_of(column.index, role)), np.uint8)

    def rows_of(self, column: Column) -> int:
        """Return how many rows of a column are used."""
        return int(self.counters[column.level])

    def grow_text(self, column: Column, needed_bytes: int) -> None:
        """Make room for more bytes of a TEXT column.

        Raises:
            BatchTooLarge: More than 32-bit offsets reach.
        """
        if needed_bytes > MAX_BYTES:
            raise BatchTooLarge(f"the column {column.path}", needed_bytes)
        old = self.bytes_of(column, op.VALUES)
        larger = np.empty(min(max(needed_bytes, 2 * old.nbytes), MAX_BYTES) + op.SLACK_BYTES, np.uint8)
        larger[: old.nbytes] = old
        self.set(op.slot_of(column.index, op.VALUES), larger)

    def grow_level(self, level: int, needed_rows: int) -> None:
        """Make room for more rows of a level.

        Raises:
            BatchTooLarge: More rows than 32-bit offsets reach.
        """
        if needed_rows > MAX_BYTES:
            raise BatchTooLarge(f"level {level} of the lists", needed_rows)
        self.limits[level] = min(max(needed_rows, 2 * int(self.limits[level])), MAX_BYTES)
        for strip, size in zip(self.placement.strips.tolist(), self.placement.sizes(self.limits).tolist(), strict=True):
            slot, strip_level, _, _ = strip
            if strip_level == level:
                old = np.frombuffer(self.buffer(slot), np.uint8)
                larger = np.zeros(size, np.uint8)
                larger[: old.nbytes] = old
                self.set(slot, larger)
