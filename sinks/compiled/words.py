"""Texts with few distinct values: the distinct ones in order of their first row, and which of them each row holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sinks.compiled.access import fold, load8, load32, load64, store32, store64, zero_bytes
from sinks.compiled.arrow import ArrowArray, bit, read_array, span_of, unsigned
from sinks.compiled.jit import called, inlined
from sinks.compiled.vectors import copy_text, write_numbers

_FIRST_BUCKETS = 64
_NUMBER_BITS = 32
_NUMBER_MASK = (1 << _NUMBER_BITS) - 1


class Room(NamedTuple):
    """Memory to find distinct texts in; addresses.

    Attributes:
        numbers: Which distinct text each row holds; int64[rows].
        starts: Address of each distinct text; int64[rows].
        lengths: Its length, bytes; int64[rows].
        hashes: Its hash; int64[rows].
        buckets: Numbers of distinct texts, plus 1, by hash; int32, a power of two of at least 64 and 2 * rows.
        seen: Per entry of a dictionary: turn and number of its text; int64[entries of the largest], zeros at first.
        turn: The number of the column's turn, 1 at first; int64[1]. It tells entries of ``seen`` from older ones.
        secret: Seeds of the hash; int64[2].
        astray: Set to 1 when a code lies outside its dictionary; int64[1].
    """

    numbers: int
    starts: int
    lengths: int
    hashes: int
    buckets: int
    seen: int
    turn: int
    secret: int
    astray: int


@called
def _hash(room: Room, text: int, length: int) -> int:
    # Keyed, so that nobody can choose texts that all fall into one bucket.
    key = np.uint64(load64(room.secret + 8))
    value = fold(np.uint64(load64(room.secret) ^ length), key)
    p = 0
    while p + 8 <= length:
        value = fold(value ^ np.uint64(load64(text + p)), key)
        p += 8
    rest = 0
    while p < length:
        rest = rest << 8 | load8(text + p)
        p += 1
    return int(np.int64(fold(value ^ np.uint64(rest), key)))


@called
def _equal(one: int, other: int, length: int) -> bool:
    p = 0
    while p + 8 <= length:
        if load64(one + p) != load64(other + p):
            return False
        p += 8
    while p < length:
        if load8(one + p) != load8(other + p):
            return False
        p += 1
    return True


@called
def _widen(room: Room, found: int, buckets: int) -> None:
    """Place all texts found so far into a number of buckets."""
    zero_bytes(room.buckets, 4 * buckets)
    for number in range(found):
        bucket = load64(room.hashes + 8 * number) & (buckets - 1)
        while load32(room.buckets + 4 * bucket) != 0:
            bucket = (bucket + 1) & (buckets - 1)
        store32(room.buckets + 4 * bucket, number + 1)


@called
def _number_of(room: Room, text: int, length: int, found: int, buckets: int) -> int:
    """Return the number of a text; ``found`` if it is new, and then it is entered."""
    key = _hash(room, text, length)
    bucket = key & (buckets - 1)
    while True:
        number = load32(room.buckets + 4 * bucket) - 1
        if number < 0:
            break
        alike = load64(room.hashes + 8 * number) == key and load64(room.lengths + 8 * number) == length
        if alike and _equal(load64(room.starts + 8 * number), text, length):
            return number
        bucket = (bucket + 1) & (buckets - 1)
    store64(room.starts + 8 * found, text)
    store64(room.lengths + 8 * found, length)
    store64(room.hashes + 8 * found, key)
    store32(room.buckets + 4 * bucket, found + 1)
    return found


@inlined
def _known(room: Room, code: int, turn: int) -> int:
    """Return the number of an entry that this turn has seen already, else -1."""
    if code < 0:
        return -1
    mark = load64(room.seen + 8 * code)
    return mark & _NUMBER_MASK if mark >> _NUMBER_BITS == turn else -1


@inlined
def _code(array: ArrowArray, width: int, row: int) -> int:
    """Return the code of a row, -1 for null."""
    place = array.offset + row
    return unsigned(array.first + width * place, width) if bit(array.validity, place) != 0 else -1


@called
def _number_rows(room: Room, array: ArrowArray, width: int, code_width: int, order: int, count: int) -> int:
    """Number the distinct texts of rows by first appearance; return how many there are."""
    texts = read_array(array.dictionary) if code_width != 0 else array
    found, buckets, turn, code = 0, _FIRST_BUCKETS, load64(room.turn), -1
    store64(room.turn, turn + 1)
    zero_bytes(room.buckets, 4 * buckets)
    for i in range(count):
        row = load64(order + 8 * i)
        if code_width != 0:
            code = row = _code(array, code_width, row)
            if row >= texts.length:
                store64(room.astray, 1)
                return 0
        number = _known(room, code, turn)
        if number < 0:
            start, length = span_of(texts, width, row) if row >= 0 else (0, 0)
            if 2 * (found + 1) > buckets:
                buckets *= 2
                _widen(room, found, buckets)
            number = _number_of(room, texts.second + start, length, found, buckets)
            found += number == found
            if code >= 0:
                store64(room.seen + 8 * code, turn << _NUMBER_BITS | number)
        store64(room.numbers + 8 * i, number)
    return found


@called
def write_words(
    room: Room, array: ArrowArray, width: int, code_width: int, order: int, count: int, p: int, end: int
) -> int:
    """Write texts by their distinct values; nothing when all are empty.

    Args:
        room: Memory for the work.
        array: Texts, or codes of texts in a dictionary that may hold one twice.
        width: Bytes of an offset of the texts.
        code_width: Bytes of a code, 0 without dictionary.
        order: Address of the rows; int64[count].
        count: Number of rows.
        p: Where to write.
        end: End of the room there.

    Returns:
        The address behind, 0 when there is no room; ``p`` with ``room.astray`` set when a code has no entry.
    """
    found = _number_rows(room, array, width, code_width, order, count)
    if found == 0 or (found == 1 and load64(room.lengths) == 0):
        return p
    total = 0
    for number in range(found):
        total += load64(room.lengths + 8 * number)
    if p + 4 > end:
        return 0
    store32(p, found)
    p = write_numbers(room.lengths, found, p + 4, end)
    if p == 0 or p + total > end:
        return 0
    for number in range(found):
        length = load64(room.lengths + 8 * number)
        copy_text(p, load64(room.starts + 8 * number), length)
        p += length
    return write_numbers(room.numbers, count, p, end)
