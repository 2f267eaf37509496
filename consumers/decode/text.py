"""Compiled work on bytes: variable-length integers, UTF-8, copying, hashing, comparing.

Whole 8-byte words are loaded, so every buffer read here has readable bytes behind its end; what lies there is masked
away.
"""

from __future__ import annotations

import numpy as np

from consumers.decode.errors import DecodeError
from consumers.decode.memory import fetch8, fetch64, inside
from sinks.compiled.access import copy16, copy_bytes, fold
from sinks.compiled.jit import called, inlined

_EOF = -int(DecodeError.eof)
_TOO_LONG = -int(DecodeError.varint_too_long)
_NEGATIVE = -int(DecodeError.negative_length)
_HIGH_BITS = np.uint64(0x8080808080808080)
_ONE = np.uint64(1)


@inlined
def read_varint(guard: int | None, base: int, size: int, p: int, end: int) -> tuple[int, int]:
    """Read a zigzag integer at p; return it and the position behind it, or 0 and a negative error code.

    Source: Avro 1.12 specification, "Binary Encoding". Ten bytes hold 64 bits; the tenth may only be 0 or 1.
    """
    if p >= end:
        return 0, _EOF
    byte = fetch8(guard, base, size, p)
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), p + 1
    return _read_long_varint(guard, base, size, p, end)


@called
def _read_long_varint(guard: int | None, base: int, size: int, p: int, end: int) -> tuple[int, int]:
    value, shift = np.uint64(0), np.uint64(0)
    while True:
        if p >= end:
            return 0, _EOF
        byte = fetch8(guard, base, size, p)
        p += 1
        if shift == np.uint64(63) and byte > 1:
            return 0, _TOO_LONG
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return int(np.int64(value >> _ONE) ^ -np.int64(value & _ONE)), p
        shift += np.uint64(7)


@inlined
def read_length(guard: int | None, base: int, size: int, p: int, end: int) -> tuple[int, int]:
    """Read the length of a string at p; return it and where the string starts, or 0 and a negative error code.

    A length that is returned fits between the returned position and end.
    """
    length, p = read_varint(guard, base, size, p, end)
    if p < 0:
        return 0, p
    if length < 0:
        return 0, _NEGATIVE
    if length > end - p:
        return 0, _EOF
    return length, p


@inlined
def tail_word(guard: int | None, base: int, size: int, p: int, length: int) -> np.uint64:
    """Return the first 1 to 7 bytes at p as a number, the bytes behind them masked away."""
    mask = (_ONE << np.uint64(8 * length)) - _ONE
    return np.uint64(fetch64(guard, base, size, p)) & mask


@inlined
def is_ascii(guard: int | None, base: int, size: int, p: int, length: int) -> bool:
    """Tell whether bytes are all below 128."""
    seen = np.uint64(0)
    if length >= 8:
        for i in range(0, length - 7, 8):
            seen |= np.uint64(fetch64(guard, base, size, p + i))
        seen |= np.uint64(fetch64(guard, base, size, p + length - 8))
    elif length > 0:
        seen = tail_word(guard, base, size, p, length)
    return bool((seen & _HIGH_BITS) == np.uint64(0))


@called
def _is_utf8(guard: int | None, base: int, size: int, p: int, length: int) -> bool:
    end = p + length
    while p < end:
        first = fetch8(guard, base, size, p)
        step = _sequence_length(first)
        if step == 0 or p + step > end:
            return False
        if step > 1 and not _valid_second(first, fetch8(guard, base, size, p + 1)):
            return False
        for i in range(2, step):
            if fetch8(guard, base, size, p + i) & 0xC0 != 0x80:
                return False
        p += step
    return True


@inlined
def _sequence_length(first: int) -> int:
    if first < 0x80:
        return 1
    if first < 0xC2 or first > 0xF4:
        return 0
    return 2 + (first >= 0xE0) + (first >= 0xF0)


@inlined
def _valid_second(first: int, second: int) -> bool:
    # Unicode 15, table 3-7: no over-long forms, no surrogates, nothing above U+10FFFF.
    low, high = 0x80, 0xBF
    if first == 0xE0:
        low = 0xA0
    elif first == 0xED:
        high = 0x9F
    elif first == 0xF0:
        low = 0x90
    elif first == 0xF4:
        high = 0x8F
    return low <= second <= high


@inlined
def is_utf8(guard: int | None, base: int, size: int, p: int, length: int) -> bool:
    """Tell whether bytes are valid UTF-8."""
    return is_ascii(guard, base, size, p, length) or _is_utf8(guard, base, size, p, length)


@inlined
def copy_text(
    guard: int | None, target: int, target_size: int, at: int, source: int, source_size: int, p: int, length: int
) -> None:
    """Copy length bytes from p to at; up to 64 bytes are moved whatever the length, both sides have the room."""
    moved = length if length > 64 else 16 if length <= 16 else 64
    if not (inside(guard, at, moved, target_size) and inside(guard, p, moved, source_size)):
        return
    if length <= 16:
        copy16(target + at, source + p)
    elif length <= 64:
        for i in range(0, 64, 16):
            copy16(target + at + i, source + p + i)
    else:
        copy_bytes(target + at, source + p, length)


@inlined
def hash_bytes(guard: int | None, base: int, size: int, p: int, length: int, first: int, second: int) -> int:
    """Hash at least one byte under two secret numbers, in the manner of wyhash: folded 64-bit products.

    Who does not know the secrets cannot choose values that collide.
    """
    one, two = np.uint64(first), np.uint64(second)
    if length < 8:
        return int(np.int64(fold(tail_word(guard, base, size, p, length) ^ one, np.uint64(length) ^ two)))
    state = one
    for i in range(0, length - 8, 8):
        state = fold(np.uint64(fetch64(guard, base, size, p + i)) ^ state, two ^ np.uint64(i))
    last = np.uint64(fetch64(guard, base, size, p + length - 8))
    return int(np.int64(fold(last ^ state, np.uint64(length) ^ two)))


@inlined
def same_bytes(
    guard: int | None, base: int, size: int, p: int, other: int, other_size: int, q: int, length: int
) -> bool:
    """Tell whether two runs of at least one byte are equal."""
    if length < 8:
        return bool(tail_word(guard, base, size, p, length) == tail_word(guard, other, other_size, q, length))
    for i in range(0, length - 7, 8):
        if fetch64(guard, base, size, p + i) != fetch64(guard, other, other_size, q + i):
            return False
    return fetch64(guard, base, size, p + length - 8) == fetch64(guard, other, other_size, q + length - 8)
