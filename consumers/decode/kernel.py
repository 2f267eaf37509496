"""The interpreter: one compiled function for all schemas."""

from __future__ import annotations

from collections.abc import Callable

from consumers.decode import opcodes as op
from consumers.decode.errors import DecodeError
from consumers.decode.framing import FRAME_BYTES
from consumers.decode.machine import (
    Machine,
    Span,
    buffer,
    number,
    operand,
    set_number,
    store_byte,
    store_int,
    table_entry,
)
from consumers.decode.memory import fetch8, fetch32, fetch64, inside, put8, put32
from consumers.decode.text import read_varint
from consumers.decode.values import (
    must_grow,
    read_boolean,
    read_count,
    read_double,
    read_double_of_int,
    read_double_of_single,
    read_enum,
    read_fixed,
    read_int32,
    read_int64,
    read_single,
    read_single_of_int,
    read_text,
    read_word,
    row_of,
    skip_empty,
    skip_text,
)
from sinks.compiled.access import zero_bytes
from sinks.compiled.jit import cached, called, inlined

_EOF = -int(DecodeError.eof)
_BLOCK = -int(DecodeError.block)
_DEPTH = -int(DecodeError.depth)
_ITEMS = -int(DecodeError.too_many_items)
_TRAILING = -int(DecodeError.trailing_bytes)
_UNION_INDEX = -int(DecodeError.union_index)


@inlined
def _read_value(  # noqa: C901, PLR0911, PLR0912 - one choice among all values, for the compiler to make a jump table of
    m: Machine, code: int, at: int, source: Span, p: int, end: int
) -> int:
    """Run an instruction that reads or skips a value."""
    if code == op.WORD:
        return read_word(m, at, source, p, end)
    if code == op.TEXT:
        return read_text(m, at, source, p, end)
    if code == op.ENUM:
        return read_enum(m, at, source, p, end)
    if code == op.INT64:
        return read_int64(m, at, source, p, end)
    if code == op.INT32:
        return read_int32(m, at, source, p, end)
    if code == op.BOOLEAN:
        return read_boolean(m, at, source, p, end)
    if code == op.DOUBLE:
        return read_double(m, at, source, p, end)
    if code == op.SINGLE:
        return read_single(m, at, source, p, end)
    if code == op.FIXED:
        return read_fixed(m, at, source, p, end)
    if code == op.SINGLE_OF_INT:
        return read_single_of_int(m, at, source, p, end)
    if code == op.DOUBLE_OF_INT:
        return read_double_of_int(m, at, source, p, end)
    if code == op.DOUBLE_OF_SINGLE:
        return read_double_of_single(m, at, source, p, end)
    if code == op.SKIP_VARINT:
        return read_varint(m.guard, source.base, source.size, p, end)[1]
    if code == op.SKIP_TEXT:
        return skip_text(m, source, p, end)
    if code == op.SKIP_EMPTY:
        return skip_empty(m, source, p, end)
    if code == op.SKIP_BYTES:
        return p + operand(m, at, 1) if end - p >= operand(m, at, 1) else _EOF
    store_byte(m, operand(m, at, 1), row_of(m, at), 1)  # MARK, the only one left
    return p


@inlined
def _next_block(m: Machine, at: int, source: Span, p: int, end: int, items: int) -> tuple[int, int]:
    """Read the head of a list's next block; return its number of items and the position behind, or an error.

    Items that are read take at least a byte each, so their number is bounded by the message.
    """
    count, p = read_count(m, source, p, end)
    if p < 0:
        return 0, p
    if count > end - p:
        return 0, _BLOCK
    if operand(m, at, 1) >= 0 and items + count > op.MAX_ITEMS:
        return 0, _ITEMS
    return count, p


@inlined
def _close_list(m: Machine, at: int) -> None:
    """Note where the items of a list end."""
    column = operand(m, at, 1)
    if column >= 0:
        slot = op.FIRST_COLUMN_SLOT + column * op.SLOTS_PER_COLUMN + op.OFFSETS
        store_int(m, slot, row_of(m, at) + 1, number(m, m.counters, operand(m, at, 3)))


@inlined
def _has_room(m: Machine, at: int) -> bool:
    """Tell whether the level of a list's items has room for one more."""
    level = operand(m, at, 3)
    return level < 0 or number(m, m.counters, level) < number(m, m.limits, level)


@called
def _decode_message(  # noqa: C901, PLR0912, PLR0915 - an interpreter is one loop around one choice
    m: Machine, pc: int, source: Span, p: int, end: int
) -> int:
    """Decode one message; return the position behind it, or the negative of an error code or of GROW."""
    depth, items, resume_p, resume_end, message = 0, 0, p, end, source
    while p >= 0:
        at = pc
        code = operand(m, at, 0)
        pc += 1
        if code >= op.MARK:
            p = _read_value(m, code, at, source, p, end)
        elif code == op.UNION:
            branch, p = read_varint(m.guard, source.base, source.size, p, end)
            if p >= 0 and (branch < 0 or branch >= operand(m, at, 1)):
                p = _UNION_INDEX
            elif p >= 0:
                pc = table_entry(m, operand(m, at, 2) + branch)
        elif code == op.JUMP:
            pc = operand(m, at, 1)
        elif code == op.ENTER:
            if p < end and fetch8(m.guard, source.base, source.size, p) == 0:
                # Most lists are empty; a list that is never closed is an empty one.
                p += 1
                pc = operand(m, at, 4)
            elif depth == op.MAX_DEPTH:
                p = _DEPTH
            else:
                set_number(m, m.stack, depth, 0)
                depth += 1
        elif code == op.BLOCK:
            left = number(m, m.stack, depth - 1)
            if left == 0:
                left, p = _next_block(m, at, source, p, end, items)
                items += left if operand(m, at, 1) >= 0 else 0
            if p >= 0 and left == 0:
                depth -= 1
                _close_list(m, at)
                pc = operand(m, at, 4)
            elif p >= 0 and not _has_room(m, at):
                p = must_grow(m, -1 - operand(m, at, 3), number(m, m.counters, operand(m, at, 3)) + left)
            else:
                set_number(m, m.stack, depth - 1, left - 1)
        elif code == op.NEXT:
            level = operand(m, at, 2)
            if level >= 0:
                set_number(m, m.counters, level, number(m, m.counters, level) + 1)
            pc = operand(m, at, 1)
        elif code == op.LITERAL:
            resume_p, resume_end, message = p, end, source
            base, size = buffer(m, op.SLOT_LITERALS)
            source = Span(base, size)
            p = operand(m, at, 1)
            end = p + operand(m, at, 2)
        elif code == op.RESUME:
            p, end, source = resume_p, resume_end, message
        elif code == op.CALL:
            if depth == op.MAX_DEPTH:
                p = _DEPTH
            else:
                set_number(m, m.stack, depth, pc)
                depth += 1
                pc = operand(m, at, 1)
        elif code == op.RETURN:
            depth -= 1
            pc = number(m, m.stack, depth)
        elif code == op.FAIL:
            p = -operand(m, at, 1)
        else:
            return p if p == end else _TRAILING
    return p


@inlined
def _remember(m: Machine) -> None:
    for i in range(m.counters.size >> 3):
        set_number(m, m.before, i, number(m, m.counters, i))


@called
def _undo(m: Machine) -> None:
    """Zero what a bad message wrote, so that no later row inherits it, and set the counters back."""
    for i in range(m.strips.size >> 5):
        level, width = number(m, m.strips, 4 * i + 1), number(m, m.strips, 4 * i + 2)
        first = number(m, m.before, level) + number(m, m.strips, 4 * i + 3)
        rows = number(m, m.counters, level) - number(m, m.before, level) + 1
        base, size = buffer(m, number(m, m.strips, 4 * i))
        if inside(m.guard, first * width, rows * width, size):
            zero_bytes(base + first * width, rows * width)
    for i in range(m.counters.size >> 3):
        set_number(m, m.counters, i, number(m, m.before, i))


@called
def _place_words(m: Machine, column: int) -> None:
    """Enter all words of a dictionary but the first, the empty one, into its buckets, which are zero."""
    hashes, hashes_size = buffer(m, op.FIRST_COLUMN_SLOT + column * op.SLOTS_PER_COLUMN + op.HASHES)
    buckets, buckets_size = buffer(m, op.FIRST_COLUMN_SLOT + column * op.SLOTS_PER_COLUMN + op.BUCKETS)
    mask = (buckets_size >> 2) - 1
    for code in range(1, number(m, m.words, column)):
        bucket = fetch64(m.guard, hashes, hashes_size, code * 8) & mask
        while fetch32(m.guard, buckets, buckets_size, bucket * 4) != 0:
            bucket = (bucket + 1) & mask
        put32(m.guard, buckets, buckets_size, bucket * 4, code + 1)


@inlined
def _finish_message(m: Machine, i: int, end: int) -> bool:
    """Note how a message ended; return False if it has to be decoded again with more room."""
    if end >= 0:
        row = number(m, m.counters, 0)
        put32(m.guard, m.rows.base, m.rows.size, row * 4, i)
        set_number(m, m.counters, 0, row + 1)
        return True
    _undo(m)
    if end == -op.GROW:
        return False
    put8(m.guard, m.errors.base, m.errors.size, i, -end)
    return True


def build(revision: int) -> Callable[[Machine, int, int, int], int]:
    """Define the compiled function.

    Args:
        revision: Digest of the sources. It is part of the key of the machine code on disk, which otherwise would
            outlive a change of another module than this one; and it is stored in ``outcome[2]``.

    Returns:
        ``decode_messages(machine, first, count, column)``. It decodes messages first to count - 1 after filling the
        buckets of a column's dictionary that has grown (-1: none has), and returns count, or the position of a
        message that did not fit a buffer: ``outcome`` says which one must grow; call again from there.
    """

    @cached
    def decode_messages(m: Machine, first: int, count: int, column: int) -> int:
        set_number(m, m.outcome, 2, revision)
        if column >= 0:
            _place_words(m, column)
        base, size = buffer(m, op.SLOT_PAYLOAD)
        source = Span(base, size)
        for i in range(first, count):
            entry = fetch32(m.guard, m.entries.base, m.entries.size, i * 4)
            if entry >= 0:
                _remember(m)
                start = number(m, m.starts, i)
                end = start + number(m, m.lengths, i)
                if not _finish_message(m, i, _decode_message(m, entry, source, start + FRAME_BYTES, end)):
                    return i
        return count

    return decode_messages
