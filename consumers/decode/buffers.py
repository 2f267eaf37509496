"""The memory that one batch is decoded into.

Every batch has fresh memory, owned by the Arrow arrays made of it: nothing is written again once it was handed out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consumers.batch import Bytes, Int64s
from consumers.decode import opcodes as op
from consumers.decode.errors import BatchTooLarge
from consumers.decode.layout import Column, Kind, Layout

Buffer = npt.NDArray[np.generic]

#: Bytes or rows allocated where none are expected.
_LEAST = 256
#: The most that 32-bit offsets reach.
MAX_BYTES = (1 << 31) - 1 - op.SLACK_BYTES


class Expectation:
    """What the next batch will need, by what the last ones needed: guessed too small costs time, never data."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._item_rows = [0.0] * layout.levels
        self._text_bytes = [0.0] * len(layout.columns)

    def allocate(self, messages: int) -> Buffers:
        """Allocate the buffers of a batch of so many messages."""
        item_rows, text_bytes = (
            [int(1.25 * x * messages) + _LEAST for x in xs] for xs in (self._item_rows, self._text_bytes)
        )
        return Buffers(self._layout, messages, item_rows, text_bytes)

    def learn(self, buffers: Buffers, messages: int) -> None:
        """Note what a batch of so many messages used."""
        for level in range(1, self._layout.levels):
            self._item_rows[level] = max(0.8 * self._item_rows[level], int(buffers.counters[level]) / messages)
        for index, used in buffers.text_bytes().items():
            self._text_bytes[index] = max(0.8 * self._text_bytes[index], used / messages)


class Buffers:
    """Buffers of all columns, and the tables by which the interpreter finds them.

    Attributes:
        memory: Address and size of each slot; int64[slots, 2].
        limits: Rows that each level has room for; int64[levels].
        counters: Rows used per level, then bytes used per TEXT column; int64.
        strips: What is zeroed after a bad message: slot, level, bytes per row, rows in front; int64[s, 4].
    """

    def __init__(self, layout: Layout, rows: int, item_rows: list[int], text_bytes: list[int]) -> None:
        """Allocate for a batch.

        Args:
            layout: The columns.
            rows: Messages of the batch.
            item_rows: Rows expected per level; the first is ignored.
            text_bytes: Bytes expected per column; only those of TEXT columns count.
        """
        self._layout = layout
        self._slots: dict[int, Buffer] = {}
        slots = op.FIRST_COLUMN_SLOT + op.SLOTS_PER_COLUMN * len(layout.columns)
        self.memory: Int64s = np.zeros((slots, 2), np.int64)
        self.limits: Int64s = np.array([rows, *item_rows[1:]], np.int64)
        self.counters: Int64s = np.zeros(layout.levels + len(layout.texts), np.int64)
        strips: list[tuple[int, int, int, int]] = []
        for column in layout.columns:
            for role, dtype, lead in _row_buffers(column):
                slot, width = op.slot_of(column.index, role), _width(column, role, dtype)
                strips.append((slot, column.level, width, lead))
                # One row more than there are: a bad message is wiped up to the row that it did not finish.
                self.set(slot, np.zeros((int(self.limits[column.level]) + 1 + lead) * width, np.uint8))
            if column.kind is Kind.TEXT:
                self._set_text(column, text_bytes[column.index])
        self.strips: Int64s = np.array(strips, np.int64).reshape(-1, 4)

    def set(self, slot: int, buffer: Buffer) -> None:
        """Make a C-contiguous array the buffer of a slot."""
        self._slots[slot] = buffer
        self.memory[slot] = buffer.ctypes.data, buffer.nbytes

    def bytes_of(self, column: Column, role: int) -> Bytes:
        """Return the buffer of a column in a role."""
        return self._slots[op.slot_of(column.index, role)].view(np.uint8)

    def rows_of(self, column: Column) -> int:
        """Return how many rows of a column are used."""
        return int(self.counters[column.level])

    def text_bytes(self) -> dict[int, int]:
        """Return the bytes used per TEXT column, by column index."""
        return {c.index: int(self.counters[self._layout.levels + k]) for k, c in enumerate(self._layout.texts)}

    def grow_text(self, column: Column, needed_bytes: int) -> None:
        """Make room for more bytes of a TEXT column.

        Raises:
            BatchTooLarge: More than 32-bit offsets reach.
        """
        if needed_bytes > MAX_BYTES:
            raise BatchTooLarge(f"the column {column.path}", needed_bytes)
        old = self.bytes_of(column, op.VALUES)
        self._set_text(column, min(max(needed_bytes, 2 * old.nbytes), MAX_BYTES))
        self.bytes_of(column, op.VALUES)[: old.nbytes] = old

    def grow_level(self, level: int, needed_rows: int) -> None:
        """Make room for more rows of a level.

        Raises:
            BatchTooLarge: More rows than 32-bit offsets reach.
        """
        if needed_rows > MAX_BYTES:
            raise BatchTooLarge(f"level {level} of the lists", needed_rows)
        limit = min(max(needed_rows, 2 * int(self.limits[level])), MAX_BYTES)
        for slot, strip_level, width, lead in self.strips.tolist():
            if strip_level == level:
                old = self._slots[slot].view(np.uint8)
                self.set(slot, np.zeros((limit + 1 + lead) * width, np.uint8))
                self._slots[slot].view(np.uint8)[: old.nbytes] = old
        self.limits[level] = limit

    def _set_text(self, column: Column, room_bytes: int) -> None:
        self.set(op.slot_of(column.index, op.VALUES), np.empty(room_bytes + op.SLACK_BYTES, np.uint8))


def _row_buffers(column: Column) -> list[tuple[int, type[np.generic], int]]:
    """Role, type and rows in front of each buffer of a column that has one value per row."""
    valid: list[tuple[int, type[np.generic], int]] = [(op.VALID, np.uint8, 0)] if column.nullable else []
    match column.kind:
        case Kind.TEXT | Kind.LIST:
            return [(op.OFFSETS, np.int32, 1), *valid]
        case Kind.WORDS:
            return [(op.VALUES, np.int32, 0), *valid]
    return [(op.VALUES, np.uint8, 0), *valid]


def _width(column: Column, role: int, dtype: type[np.generic]) -> int:
    return column.width_bytes if column.kind is Kind.VALUES and role == op.VALUES else np.dtype(dtype).itemsize
