"""The vectors of the canonical form: what docs/tables.md calls vector, numbers and texts.

Every function writes at an address and returns the one behind what it wrote, or 0 when there is no room before the
end. Rows are given as addresses of row numbers, so that the rows of one day need not lie together.
"""

from __future__ import annotations

from sinks.compiled.access import copy_bytes, load8, load32, load64, store8, store16, store32, store64
from sinks.compiled.arrow import ArrowArray, bit, span_of
from sinks.compiled.jit import called, inlined

_ALIKE, _ALL = ord("c"), ord("v")
_BLOCK_WORDS = 64


@called
def repeats(address: int, width: int, count: int) -> bool:
    """Tell whether elements of one width are all equal: then they equal themselves, shifted by one."""
    length, p = (count - 1) * width, 0
    while p + 8 * _BLOCK_WORDS <= length:
        differing = 0
        for i in range(_BLOCK_WORDS):
            differing |= load64(address + p + 8 * i) ^ load64(address + p + 8 * i + width)
        if differing != 0:
            return False
        p += 8 * _BLOCK_WORDS
    while p + 8 <= length:
        if load64(address + p) != load64(address + p + width):
            return False
        p += 8
    while p < length:
        if load8(address + p) != load8(address + p + width):
            return False
        p += 1
    return True


@inlined
def _is_zero(address: int, width: int) -> bool:
    seen = 0
    for i in range(width):
        seen |= load8(address + i)
    return seen == 0


@called
def write_numbers(values: int, count: int, p: int, end: int) -> int:
    """Write numbers below 2^32, at least one, given as int64, in the least width that holds them all."""
    first, greatest, differing = load64(values), 0, 0
    for i in range(count):
        value = load64(values + 8 * i)
        differing |= value ^ first
        greatest = max(greatest, value)
    width = 1 if greatest < 1 << 8 else 2 if greatest < 1 << 16 else 4
    if p + 5 > end or p + 1 + count * width > end:
        return 0
    if differing == 0:
        store8(p, _ALIKE)
        store32(p + 1, first)
        return p + 5
    store8(p, width)
    p += 1
    if width == 1:
        for i in range(count):
            store8(p + i, load64(values + 8 * i))
    elif width == 2:
        for i in range(count):
            store16(p + 2 * i, load64(values + 8 * i))
    else:
        for i in range(count):
            store32(p + 4 * i, load64(values + 8 * i))
    return p + count * width


@inlined
def _close(p: int, width: int, count: int) -> int:
    """Finish a vector whose elements were written behind its first byte."""
    if repeats(p + 1, width, count):
        store8(p, _ALIKE)
        return p + 1 + width
    store8(p, _ALL)
    return p + 1 + count * width


@called
def write_flags(bits: int, array: ArrowArray, order: int, count: int, p: int, end: int) -> int:
    """Write a byte per row, 1 where the row's bit is set and it is not null; without bits, where it is not null."""
    if p + 1 + count > end:
        return 0
    for i in range(count):
        place = array.offset + load64(order + 8 * i)
        store8(p + 1 + i, bit(array.validity, place) & bit(bits, place))
    return _close(p, 1, count)


@called
def _gather(array: ArrowArray, width: int, order: int, count: int, p: int) -> None:
    base = array.first + array.offset * width
    if width == 8:
        for i in range(count):
            store64(p + 8 * i, load64(base + 8 * load64(order + 8 * i)))
    elif width == 4:
        for i in range(count):
            store32(p + 4 * i, load32(base + 4 * load64(order + 8 * i)))
    elif width & 7 == 0:
        for i in range(count):
            source = base + width * load64(order + 8 * i)
            for k in range(0, width, 8):
                store64(p + width * i + k, load64(source + k))
    else:
        for i in range(count):
            source = base + width * load64(order + 8 * i)
            for k in range(width):
                store8(p + width * i + k, load8(source + k))


@called
def _blank_nulls(array: ArrowArray, width: int, order: int, count: int, p: int) -> None:
    for i in range(count):
        if bit(array.validity, array.offset + load64(order + 8 * i)) == 0:
            for k in range(width):
                store8(p + width * i + k, 0)


@called
def write_fixed(array: ArrowArray, width: int, order: int, count: int, p: int, end: int) -> int:
    """Write values of one width, zeros for null; nothing when all are zero."""
    if p + 1 + count * width > end:
        return 0
    _gather(array, width, order, count, p + 1)
    if array.validity != 0:
        _blank_nulls(array, width, order, count, p + 1)
    behind = _close(p, width, count)
    return p if behind == p + 1 + width and _is_zero(p + 1, width) else behind


@called
def write_bits(array: ArrowArray, order: int, count: int, p: int, end: int) -> int:
    """Write booleans as bytes, 0 for null; nothing when all are 0."""
    behind = write_flags(array.first, array, order, count, p, end)
    return p if behind == p + 2 and load8(p + 1) == 0 else behind


@inlined
def copy_text(target: int, source: int, length: int) -> None:
    """Copy some bytes, few as a rule, without touching any beside them."""
    if length > 16:
        copy_bytes(target, source, length)
    elif length >= 8:
        store64(target, load64(source))
        store64(target + length - 8, load64(source + length - 8))
    elif length >= 4:
        store32(target, load32(source))
        store32(target + length - 4, load32(source + length - 4))
    else:
        for k in range(length):
            store8(target + k, load8(source + k))


@called
def write_texts(array: ArrowArray, width: int, order: int, count: int, lengths: int, p: int, end: int) -> int:
    """Write the lengths of texts and then their bytes; nothing when all are empty.

    Args:
        array: Texts.
        width: Bytes of an offset.
        order: Address of the rows; int64[count].
        count: Number of rows.
        lengths: Address of room for their lengths; int64[count].
        p: Where to write.
        end: End of the room there.
    """
    total = 0
    for i in range(count):
        _, length = span_of(array, width, load64(order + 8 * i))
        store64(lengths + 8 * i, length)
        total += length
    if total == 0:
        return p
    p = write_numbers(lengths, count, p, end)
    if p == 0 or p + total > end:
        return 0
    for i in range(count):
        start, length = span_of(array, width, load64(order + 8 * i))
        copy_text(p, array.second + start, length)
        p += length
    return p
