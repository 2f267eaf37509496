"""Copies fetched messages out of librdkafka's memory into arrays: one compiled loop.

Nothing here is bounded by checks: ``measure`` says how much room ``drain`` needs.

Source: librdkafka's rdkafka.h, ``rd_kafka_message_t``, whose layout is part of its binary interface.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from consumers.batch import Bytes, Int64s
from sinks.compiled.access import copy_bytes, load32, load64
from sinks.compiled.calls import call_two
from sinks.compiled.jit import cache_misses, cached, digest_of_sources

#: Modules whose source ends up in the machine code.
COMPILED_MODULES = ("consumers.fetching.drain", "sinks.compiled.access", "sinks.compiled.calls", "sinks.compiled.jit")

#: Rows of the array that ``drain`` fills, one column for each message.
ERROR, PARTITION, OFFSET, TIMESTAMP, VALUE_LENGTH, KEY_LENGTH, HEADERS = range(7)
ROWS = 7

#: Where members of ``rd_kafka_message_t`` begin, bytes, on systems whose pointers have eight.
_ERR, _PARTITION, _PAYLOAD, _LEN, _KEY, _KEY_LEN, _OFFSET = 0, 16, 24, 32, 40, 48, 56
_POINTER_BYTES = 8
_LOW_32 = 0xFFFFFFFF

Measure = Callable[[int, int, Int64s], tuple[int, int, int]]
Drain = Callable[[int, int, Int64s, Int64s, Bytes, Bytes], int]


def build_measure(revision: int) -> Measure:
    """Define the compiled function.

    Args:
        revision: Digest of the sources, part of the key of the machine code on disk; returned by every call.

    Returns:
        ``measure(messages, count, partitions)``, which returns the bytes of all values, those of all keys, and the
        revision. ``messages`` is the address of an array of pointers to ``count`` messages; ``partitions`` takes the
        partition of each, int64[count].
    """

    @cached
    def measure(messages: int, count: int, partitions: Int64s) -> tuple[int, int, int]:
        values = keys = 0
        for number in range(count):
            message = load64(messages + number * _POINTER_BYTES)
            partitions[number] = load32(message + _PARTITION)
            if load32(message + _ERR) == 0:
                values += load64(message + _LEN)
                keys += load64(message + _KEY_LEN)
        return values, keys, revision

    return measure


def build_drain(revision: int) -> Drain:
    """Define the compiled function.

    Args:
        revision: See ``build_measure``.

    Returns:
        ``drain(messages, count, functions, rows, values, keys)``, which copies messages and frees them; those that
        stand for an error are left alone. ``functions`` has the addresses of ``rd_kafka_message_timestamp``,
        ``rd_kafka_message_detach_headers`` and ``rd_kafka_message_destroy``, and of a word that they may write to,
        int64[4]. ``rows`` takes what each message says, int64[ROWS, count]; of an error only ERROR and PARTITION.
        HEADERS is the address of headers that the caller frees, 0 where there are none. ``values`` and ``keys`` take
        the bytes, back to back.
    """

    @cached
    def drain(messages: int, count: int, functions: Int64s, rows: Int64s, values: Bytes, keys: Bytes) -> int:
        value_at, key_at, word = values.ctypes.data, keys.ctypes.data, functions[3]
        for number in range(count):
            message = load64(messages + number * _POINTER_BYTES)
            rows[ERROR, number] = load32(message + _ERR)
            rows[PARTITION, number] = load32(message + _PARTITION)
            if rows[ERROR, number] != 0:
                continue
            value, length = load64(message + _PAYLOAD), load64(message + _LEN)
            key, key_length = load64(message + _KEY), load64(message + _KEY_LEN)
            copy_bytes(value_at, value, length)
            copy_bytes(key_at, key, key_length)
            value_at += length
            key_at += key_length
            rows[OFFSET, number] = load64(message + _OFFSET)
            rows[TIMESTAMP, number] = max(0, call_two(functions[0], message, word))
            rows[VALUE_LENGTH, number] = length if value != 0 else -1
            rows[KEY_LENGTH, number] = key_length if key != 0 else -1
            has_headers = call_two(functions[1], message, word) & _LOW_32 == 0
            rows[HEADERS, number] = load64(word) if has_headers else 0
            call_two(functions[2], message, 0)
        return revision

    return drain


@cache
def compiled() -> tuple[Measure, Drain]:
    """Return both functions, loaded or compiled once per process."""
    revision = digest_of_sources(COMPILED_MODULES)
    return build_measure(revision), build_drain(revision)


def prepare() -> bool:
    """Load the machine code, or compile it (some seconds), so that no fetch waits for it.

    Returns:
        Whether it was compiled.
    """
    measure, drain = functions = compiled()
    before = cache_misses(functions)
    nothing = np.zeros(0, np.uint8)
    measure(0, 0, np.zeros(0, np.int64))
    drain(0, 0, np.zeros(4, np.int64), np.zeros((ROWS, 0), np.int64), nothing, nothing)
    return cache_misses(functions) > before
