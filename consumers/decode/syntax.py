"""Compiled looks into texts of whole columns: which are JSON, which are UUIDs and which ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sinks.compiled.access import load8, load32, load64, store8
from sinks.compiled.jit import cached, called, inlined

_VALUE, _KEY, _BEHIND = 0, 1, 2
_MAX_DEPTH = 60
_MAX_DIGITS = 100
_UUID_BYTES = 36
_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)


@inlined
def _skip_blanks(p: int, end: int) -> int:
    while p < end:
        byte = load8(p)
        if byte != 0x20 and byte != 0x0A and byte != 0x0D and byte != 0x09:  # noqa: PLR1714 - no sets in compiled code
            break
        p += 1
    return p


@inlined
def _is_plain(word: np.uint64) -> bool:
    """Tell whether eight bytes hold no quote, no backslash, no control character and nothing above 127."""
    quotes, slashes = word ^ _QUOTES, word ^ _BACKSLASHES
    found = (word - _SPACES) | (quotes - _ONES) | (slashes - _ONES) | word
    return bool(found & _HIGHS == np.uint64(0))


@inlined
def hex_digit(byte: int) -> int:
    """Return the value of a hexadecimal digit, 16 if it is none."""
    if 48 <= byte <= 57:
        return byte - 48
    lower = byte | 32
    return lower - 87 if 97 <= lower <= 102 else 16


@called
def _escape_end(p: int, end: int) -> int:
    """Return where an escape ends whose backslash is at p, -1 for one that must be looked at closer."""
    if p + 1 >= end:
        return -1
    byte = load8(p + 1)
    if byte == 0x75:  # u
        if p + 6 > end:
            return -1
        value = 0
        for i in range(2, 6):
            digit = hex_digit(load8(p + i))
            if digit > 15:
                return -1
            value = value << 4 | digit
        return -1 if 0xD800 <= value <= 0xDFFF else p + 6
    for known in (0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
        if byte == known:
            return p + 2
    return -1


@called
def _string_end(p: int, end: int) -> int:
    """Return where a string ends whose first quote is in front of p, -1 if it is none."""
    while p < end:
        if p + 8 <= end and _is_plain(np.uint64(load64(p))):
            p += 8
            continue
        byte = load8(p)
        if byte == 0x22:
            return p + 1
        if byte < 0x20:
            return -1
        p = _escape_end(p, end) if byte == 0x5C else p + 1
        if p < 0:
            return -1
    return -1


@inlined
def _digits_end(p: int, end: int) -> int:
    while p < end and 48 <= load8(p) <= 57:
        p += 1
    return p


@called
def _number_end(p: int, end: int) -> int:
    """Return where a number ends, -1 if it is none or one of many digits, whose size must be looked at closer."""
    start = p
    if load8(p) == 0x2D:
        p += 1
    whole = _digits_end(p, end)
    if whole == p or (whole - p > 1 and load8(p) == 48):
        return -1
    p = whole
    if p < end and load8(p) == 0x2E:
        behind = _digits_end(p + 1, end)
        if behind == p + 1:
            return -1
        p = behind
    if p - start > _MAX_DIGITS:
        return -1
    if p < end and load8(p) | 32 == 0x65:  # e
        p += 1
        if p < end and (load8(p) == 0x2B or load8(p) == 0x2D):
            p += 1
        behind = _digits_end(p, end)
        return -1 if behind == p or behind - p > 2 else behind
    return p


@called
def _scalar_end(p: int, end: int) -> int:
    """Return where a string, number or literal ends, -1 if there is none."""
    byte = load8(p)
    if byte == 0x22:
        return _string_end(p + 1, end)
    if byte == 0x2D or 48 <= byte <= 57:
        return _number_end(p, end)
    if p + 4 <= end and (load32(p) == 0x65757274 or load32(p) == 0x6C6C756E):  # true, null
        return p + 4
    if p + 5 <= end and byte == 0x66 and load32(p + 1) == 0x65736C61:  # false
        return p + 5
    return -1


@called
def _key_end(p: int, end: int) -> int:
    """Return where the value of a key begins, -1 if there is no key."""
    if load8(p) != 0x22:
        return -1
    p = _string_end(p + 1, end)
    if p < 0:
        return -1
    p = _skip_blanks(p, end)
    return p + 1 if p < end and load8(p) == 0x3A else -1


@called
def _is_json(p: int, end: int) -> bool:  # noqa: C901, PLR0912 - a state machine is one loop around one choice
    """Tell whether a text is surely JSON as RFC 8259 has it; rare forms are left to a parser.

    Left are deep nesting, numbers of many digits and escaped surrogates.
    """
    state, depth, objects = _VALUE, 0, 0
    while True:
        p = _skip_blanks(p, end)
        if state == _BEHIND and depth == 0:
            return p == end
        if p >= end:
            return False
        byte = load8(p)
        if state == _KEY:
            p, state = _key_end(p, end), _VALUE
        elif state == _BEHIND:
            p += 1
            if byte == 0x2C:
                state = _KEY if objects & 1 else _VALUE
            elif byte == (0x7D if objects & 1 else 0x5D):
                depth, objects = depth - 1, objects >> 1
            else:
                return False
        elif byte == 0x7B or byte == 0x5B:  # noqa: PLR1714 - no sets in compiled code
            if depth == _MAX_DEPTH:
                return False
            is_object = byte == 0x7B
            depth, objects = depth + 1, objects << 1 | is_object
            p = _skip_blanks(p + 1, end)
            if p < end and load8(p) == byte + 2:
                p, state, depth, objects = p + 1, _BEHIND, depth - 1, objects >> 1
            elif is_object:
                state = _KEY
        else:
            p, state = _scalar_end(p, end), _BEHIND
        if p < 0:
            return False


@called
def _read_uuid(text: int, out: int) -> bool:
    bad, at = 0, 0
    for k in range(16):
        if k == 4 or k == 6 or k == 8 or k == 10:  # noqa: PLR1714 - no sets in compiled code
            bad |= load8(text + at) ^ 0x2D
            at += 1
        high, low = hex_digit(load8(text + at)), hex_digit(load8(text + at + 1))
        bad |= (high | low) & 16
        store8(out + k, high << 4 | low)
        at += 2
    if bad != 0:
        for k in range(16):
            store8(out + k, 0)
    return bad == 0


def build_json(revision: int) -> Callable[[int, int, int, int, int], int]:
    """Define the compiled function ``mark_json(data, ends, rows, count, marks)``.

    It gets addresses: the bytes of texts, int32 offsets into them, the rows to look at (int64[count]), and room for a
    byte per such row: 1 where the text is surely JSON, 0 where only a parser can tell.

    Args:
        revision: Digest of the sources, part of the key of the machine code on disk; returned by every call.
    """

    @cached
    def mark_json(data: int, ends: int, rows: int, count: int, marks: int) -> int:
        for i in range(count):
            row = load64(rows + 8 * i)
            start, end = load32(ends + 4 * row), load32(ends + 4 * row + 4)
            store8(marks + i, 1 if _is_json(data + start, data + end) else 0)
        return revision

    return mark_json


def build_uuids(revision: int) -> Callable[[int, int, int, int, int], int]:
    """Define the compiled function ``read_uuids(data, ends, count, uuids, marks)``.

    It gets addresses: the bytes of texts, int32 offsets into them, room for 16 bytes per text, filled with its UUID or
    zeros, and for a byte per text: 1 where it is a UUID of 8-4-4-4-12 hexadecimal digits.

    Args:
        revision: Digest of the sources, part of the key of the machine code on disk; returned by every call.
    """

    @cached
    def read_uuids(data: int, ends: int, count: int, uuids: int, marks: int) -> int:
        for i in range(count):
            start, end = load32(ends + 4 * i), load32(ends + 4 * i + 4)
            good = end - start == _UUID_BYTES and _read_uuid(data + start, uuids + 16 * i)
            store8(marks + i, 1 if good else 0)
        return revision

    return read_uuids
