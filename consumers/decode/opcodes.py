"""The instruction set that a pair of writer and reader schema is compiled to.

An instruction is WIDTH 32-bit numbers: the operation and its operands. "slot" names a buffer in the memory table,
"level" the row counter of a list, "at" the index of an instruction. Instructions that read a value store it in the
current row of their level.
"""

from __future__ import annotations

from typing import Final

#: Numbers per instruction; a power of two, so that an index is a shift.
WIDTH: Final = 8

# Control
END: Final = 0  # the message must be used up
JUMP: Final = 1  # at
UNION: Final = 2  # number of branches, table of at
CALL: Final = 3  # at; remembers where to go on
RETURN: Final = 4
FAIL: Final = 5  # error code
LITERAL: Final = 6  # start, length: read from the literals instead of the message
RESUME: Final = 7  # read from the message again
# Lists: ENTER at once falls into BLOCK; the body ends with NEXT
ENTER: Final = 8  # column of the list or -1 when skipping, level of the row, level of the items, at behind the list
BLOCK: Final = 9  # the same operands
NEXT: Final = 10  # at of the BLOCK, level of the items or -1 when skipping
# Values: slot and level first
MARK: Final = 16  # store 1
TEXT: Final = 17  # slot, level, counter of used bytes, column, whether UTF-8 is checked
WORD: Final = 18  # slot, level, column
INT32: Final = 19
INT64: Final = 20  # slot, level, whether the writer's type is int
SINGLE_OF_INT: Final = 21  # the same
DOUBLE_OF_INT: Final = 22  # the same
SINGLE: Final = 23
DOUBLE: Final = 24
DOUBLE_OF_SINGLE: Final = 25
BOOLEAN: Final = 26
ENUM: Final = 27  # slot, level, number of writer symbols, table of codes, -1 for a symbol without one
FIXED: Final = 28  # slot, level, bytes
# Skipping
SKIP_VARINT: Final = 32
SKIP_TEXT: Final = 33
SKIP_BYTES: Final = 34  # bytes
SKIP_EMPTY: Final = 35  # blocks whose items take no bytes

#: Buffers of the memory table: the messages, the literals, then SLOTS_PER_COLUMN for each column.
SLOT_PAYLOAD: Final = 0
SLOT_LITERALS: Final = 1
FIRST_COLUMN_SLOT: Final = 2
SLOTS_PER_COLUMN: Final = 6
VALUES: Final = 0  # values, bytes of a text, codes of words
OFFSETS: Final = 1  # int32: of a text, a list, or the words of a dictionary
VALID: Final = 2  # uint8: 1 where there is a value
HASHES: Final = 3  # int64: hash of each word
BUCKETS: Final = 4  # int32: code of a word + 1 by hash, 0 where free; a power of two of them
WORDS: Final = 5  # bytes of the words

#: What a buffer with one value per row holds, which says how it is settled once all messages are decoded.
PLAIN: Final = 0  # values that stay as they are
FLAGS: Final = 1  # bytes of 0 and 1, which become bits
ENDS: Final = 2  # int32: ends of texts or lists, one more than rows

#: Answer of the interpreter when a buffer is full, beyond every error code: make room and decode the message again.
GROW: Final = 1000

#: Nesting of lists and calls while decoding, at most.
MAX_DEPTH: Final = 128
#: Items of all lists and maps of one message that are stored, at most.
MAX_ITEMS: Final = 1 << 20
#: Free bytes that every buffer of text keeps behind its end: short values are copied in whole vectors.
SLACK_BYTES: Final = 64


def slot_of(column: int, role: int) -> int:
    """Return the slot of a column's buffer, by its role (VALUES to WORDS)."""
    return FIRST_COLUMN_SLOT + column * SLOTS_PER_COLUMN + role
