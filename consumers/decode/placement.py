"""Where the buffers of a batch lie, found once per layout: each column's buffers side by side in one piece of memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from consumers.batch import Int64s
from consumers.decode import opcodes as op
from consumers.decode.layout import Column, Kind, Layout

_ALIGNMENT = 64


class Placement:
    """The strips and texts of a layout. A strip is a buffer with one value per row of its level.

    Args:
        layout: The columns.

    Attributes:
        layout: The columns.
        strips: Slot, level, bytes per row and rows in front of each strip; int64[s, 4].
        contents: What each holds: PLAIN, FLAGS or ENDS of ``opcodes``; int64[s].
        keys: By column the strip that is all zero if and only if every row of the column is absent or zero.
        text_slots: Slots of the bytes of the TEXT columns; int64[t].
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        strips: list[tuple[int, int, int, int]] = []
        contents: list[int] = []
        self.keys: list[int] = []
        for column in layout.columns:
            own = _strips(column)
            strips += [(op.slot_of(column.index, role), column.level, width, lead) for role, width, lead, _ in own]
            contents += [what for *_, what in own]
            # A value under a null is never written, so where there are nulls the flags tell it all.
            self.keys.append(len(strips) - 1)
        self.strips: Int64s = np.array(strips, np.int64).reshape(-1, 4)
        self.contents: Int64s = np.array(contents, np.int64)
        self.text_slots: Int64s = np.array([op.slot_of(c.index, op.VALUES) for c in layout.texts], np.int64)
        self.slots = op.FIRST_COLUMN_SLOT + op.SLOTS_PER_COLUMN * len(layout.columns)

    def sizes(self, limits: Int64s) -> Int64s:
        """Return the bytes of each strip.

        Args:
            limits: Rows that each level has room for; int64[levels].

        Returns:
            int64[s]. There is one row more than the limit: a bad message is wiped up to the row it did not finish.
        """
        _, levels, widths, leads = self.strips.T
        sizes: Int64s = (limits[levels] + 1 + leads) * widths
        return sizes


def side_by_side(sizes: Int64s) -> tuple[Int64s, int]:
    """Return where buffers of these sizes start when they are laid side by side, and the bytes of all."""
    padded = (sizes + (_ALIGNMENT - 1)) & -_ALIGNMENT
    ends = np.cumsum(padded)
    return ends - padded, int(ends[-1]) if len(ends) else 0


def _strips(column: Column) -> list[tuple[int, int, int, int]]:
    """Role, bytes per row, rows in front and content of each strip of a column; the flags of null come last."""
    valid = [(op.VALID, 1, 0, op.FLAGS)] if column.nullable else []
    match column.kind:
        case Kind.TEXT | Kind.LIST:
            return [(op.OFFSETS, 4, 1, op.ENDS), *valid]
        case Kind.WORDS:
            return [(op.VALUES, 4, 0, op.PLAIN), *valid]
    content = op.FLAGS if column.arrow == pa.bool_() else op.PLAIN
    return [(op.VALUES, column.width_bytes, 0, content), *valid]
