"""Compiled instructions that read one value, or skip it.

Each takes the source (address, size), the position p and the end of the message, and returns the position behind the
value or the negative of an error code. Nothing is stored before the value is known to be good and to have room.
"""

from __future__ import annotations

from consumers.decode import opcodes as op
from consumers.decode.errors import DecodeError
from consumers.decode.machine import (
    Machine,
    Span,
    buffer,
    number,
    operand,
    set_number,
    store_byte,
    store_int,
    store_long,
    table_entry,
)
from consumers.decode.memory import (
    double_of_int,
    double_of_single,
    fetch8,
    fetch32,
    fetch64,
    inside,
    put32,
    put64,
    single_of_int,
)
from consumers.decode.text import copy_text, hash_bytes, is_utf8, read_length, read_varint, same_bytes
from sinks.compiled.access import copy_bytes
from sinks.compiled.jit import called, inlined

_EOF = -int(DecodeError.eof)
_UTF8 = -int(DecodeError.utf8)
_INT_RANGE = -int(DecodeError.int_range)
_BOOLEAN = -int(DecodeError.boolean)
_ENUM_INDEX = -int(DecodeError.enum_index)
_ENUM_SYMBOL = -int(DecodeError.enum_symbol)
_BLOCK = -int(DecodeError.block)
_GROW = -op.GROW
_NARROW = True


@inlined
def row_of(m: Machine, at: int) -> int:
    """Return the current row of the level of a value instruction."""
    return number(m, m.counters, operand(m, at, 2))


@inlined
def must_grow(m: Machine, what: int, needed: int) -> int:
    """Say which column (or -1 - level) has no room, and for how much it needs room."""
    set_number(m, m.outcome, 0, what)
    set_number(m, m.outcome, 1, needed)
    return _GROW


@inlined
def read_text(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Append a string or bytes value to its column."""
    length, p = read_length(m.guard, source.base, source.size, p, end)
    # An empty value is what its row holds already.
    if p < 0 or length == 0:
        return p
    if operand(m, at, 5) != 0 and not is_utf8(m.guard, source.base, source.size, p, length):
        return _UTF8
    slot, counter = operand(m, at, 1), operand(m, at, 3)
    base, size = buffer(m, slot)
    used = number(m, m.counters, counter)
    if used + length + op.SLACK_BYTES > size:
        return must_grow(m, operand(m, at, 4), used + length + op.SLACK_BYTES)
    copy_text(m.guard, base, size, used, source.base, source.size, p, length)
    set_number(m, m.counters, counter, used + length)
    store_int(m, slot + op.OFFSETS, row_of(m, at) + 1, used + length)
    return p + length


@inlined
def read_word(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store the code of a string of a dictionary-encoded column; a new string enters the dictionary."""
    length, p = read_length(m.guard, source.base, source.size, p, end)
    # Code 0 is the empty string.
    if p < 0 or length == 0:
        return p
    code = _find_word(m, operand(m, at, 1), operand(m, at, 3), source, p, length)
    if code < 0:
        return code
    store_int(m, operand(m, at, 1), row_of(m, at), code)
    return p + length


@called
def _find_word(m: Machine, slot: int, column: int, source: Span, p: int, length: int) -> int:
    key = hash_bytes(m.guard, source.base, source.size, p, length, number(m, m.secret, 0), number(m, m.secret, 1))
    buckets, buckets_size = buffer(m, slot + op.BUCKETS)
    mask = (buckets_size >> 2) - 1
    bucket = key & mask
    while True:
        code = fetch32(m.guard, buckets, buckets_size, bucket * 4) - 1
        if code < 0:
            return _add_word(m, slot, column, source, p, length, key, bucket)
        if _is_word(m, slot, code, source, p, length, key):
            return code
        bucket = (bucket + 1) & mask


@inlined
def _is_word(m: Machine, slot: int, code: int, source: Span, p: int, length: int, key: int) -> bool:
    hashes, hashes_size = buffer(m, slot + op.HASHES)
    if fetch64(m.guard, hashes, hashes_size, code * 8) != key:
        return False
    offsets, offsets_size = buffer(m, slot + op.OFFSETS)
    start = fetch32(m.guard, offsets, offsets_size, code * 4)
    if fetch32(m.guard, offsets, offsets_size, code * 4 + 4) - start != length:
        return False
    words, words_size = buffer(m, slot + op.WORDS)
    return same_bytes(m.guard, source.base, source.size, p, words, words_size, start, length)


@inlined
def _add_word(m: Machine, slot: int, column: int, source: Span, p: int, length: int, key: int, bucket: int) -> int:
    if not is_utf8(m.guard, source.base, source.size, p, length):
        return _UTF8
    code = number(m, m.words, column)
    offsets, offsets_size = buffer(m, slot + op.OFFSETS)
    words, words_size = buffer(m, slot + op.WORDS)
    used = fetch32(m.guard, offsets, offsets_size, code * 4)
    # The buffer of offsets tells the room for words: the host sizes hashes and buckets by it.
    if (code + 2) * 4 > offsets_size or used + length + op.SLACK_BYTES > words_size:
        return must_grow(m, column, used + length + op.SLACK_BYTES)
    copy_text(m.guard, words, words_size, used, source.base, source.size, p, length)
    put32(m.guard, offsets, offsets_size, code * 4 + 4, used + length)
    hashes, hashes_size = buffer(m, slot + op.HASHES)
    put64(m.guard, hashes, hashes_size, code * 8, key)
    buckets, buckets_size = buffer(m, slot + op.BUCKETS)
    put32(m.guard, buckets, buckets_size, bucket * 4, code + 1)
    set_number(m, m.words, column, code + 1)
    return code


@inlined
def read_integer(m: Machine, narrow: bool, source: Span, p: int, end: int) -> tuple[int, int]:
    """Read an integer; a narrow one must fit 32 bits."""
    value, p = read_varint(m.guard, source.base, source.size, p, end)
    if p >= 0 and narrow and (value < -(1 << 31) or value >= 1 << 31):
        return 0, _INT_RANGE
    return value, p


@inlined
def read_int32(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store an int."""
    value, p = read_integer(m, _NARROW, source, p, end)
    if p >= 0:
        store_int(m, operand(m, at, 1), row_of(m, at), value)
    return p


@inlined
def read_int64(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store a long, or an int as long."""
    value, p = read_integer(m, operand(m, at, 3) != 0, source, p, end)
    if p >= 0:
        store_long(m, operand(m, at, 1), row_of(m, at), value)
    return p


@inlined
def read_single_of_int(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store an int or long as float."""
    value, p = read_integer(m, operand(m, at, 3) != 0, source, p, end)
    if p >= 0:
        store_int(m, operand(m, at, 1), row_of(m, at), single_of_int(value))
    return p


@inlined
def read_double_of_int(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store an int or long as double."""
    value, p = read_integer(m, operand(m, at, 3) != 0, source, p, end)
    if p >= 0:
        store_long(m, operand(m, at, 1), row_of(m, at), double_of_int(value))
    return p


@inlined
def read_single(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store a float."""
    if end - p < 4:
        return _EOF
    store_int(m, operand(m, at, 1), row_of(m, at), fetch32(m.guard, source.base, source.size, p))
    return p + 4


@inlined
def read_double(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store a double."""
    if end - p < 8:
        return _EOF
    store_long(m, operand(m, at, 1), row_of(m, at), fetch64(m.guard, source.base, source.size, p))
    return p + 8


@inlined
def read_double_of_single(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store a float as double."""
    if end - p < 4:
        return _EOF
    bits = double_of_single(fetch32(m.guard, source.base, source.size, p))
    store_long(m, operand(m, at, 1), row_of(m, at), bits)
    return p + 4


@inlined
def read_boolean(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store a boolean."""
    if p >= end:
        return _EOF
    value = fetch8(m.guard, source.base, source.size, p)
    if value > 1:
        return _BOOLEAN
    store_byte(m, operand(m, at, 1), row_of(m, at), value)
    return p + 1


@inlined
def read_enum(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store the reader's code of a writer's symbol."""
    value, p = read_varint(m.guard, source.base, source.size, p, end)
    if p < 0:
        return p
    if value < 0 or value >= operand(m, at, 3):
        return _ENUM_INDEX
    code = table_entry(m, operand(m, at, 4) + value)
    if code < 0:
        return _ENUM_SYMBOL
    store_int(m, operand(m, at, 1), row_of(m, at), code)
    return p


@inlined
def read_fixed(m: Machine, at: int, source: Span, p: int, end: int) -> int:
    """Store a value of a constant number of bytes."""
    width = operand(m, at, 3)
    if end - p < width:
        return _EOF
    base, size = buffer(m, operand(m, at, 1))
    target = row_of(m, at) * width
    if inside(m.guard, target, width, size) and inside(m.guard, p, width, source.size):
        copy_bytes(base + target, source.base + p, width)
    return p + width


@inlined
def skip_text(m: Machine, source: Span, p: int, end: int) -> int:
    """Skip a string or bytes value; skipped text is not looked at."""
    length, p = read_length(m.guard, source.base, source.size, p, end)
    return p + length


@inlined
def read_count(m: Machine, source: Span, p: int, end: int) -> tuple[int, int]:
    """Read the head of a block: the number of items, with the block's size in bytes behind a negative one."""
    count, p = read_varint(m.guard, source.base, source.size, p, end)
    if p < 0 or count >= 0:
        return count, p
    _, p = read_varint(m.guard, source.base, source.size, p, end)
    # The negation of -2^63 is itself.
    if p >= 0 and -count < 0:
        return 0, _BLOCK
    return -count, p


@called
def skip_empty(m: Machine, source: Span, p: int, end: int) -> int:
    """Skip the blocks of an array whose items take no bytes."""
    count = 1
    while p >= 0 and count != 0:
        count, p = read_count(m, source, p, end)
    return p
