"""What the interpreter is given: addresses and sizes of everything it reads and writes.

Plain integers instead of arrays, because compiled code counts references to every array that it hands on, which
costs more than the work on a short value.
"""

from __future__ import annotations

from typing import NamedTuple

from consumers.decode.memory import fetch32, fetch64, put8, put32, put64
from consumers.decode.opcodes import WIDTH
from sinks.compiled.jit import inlined


class Span(NamedTuple):
    """A buffer.

    Attributes:
        base: Address of its first byte.
        size: Its length, bytes.
    """

    base: int
    size: int


class Machine(NamedTuple):
    """The interpreter's world during one call.

    Attributes:
        guard: None, or the address of the counter of accesses outside their buffers.
        code: The instructions; int32[k, WIDTH].
        tables: Jump targets and enum codes; int32.
        memory: Address and size of every buffer, by slot; int64[slots, 2].
        counters: Rows used per level, then bytes used per TEXT column; int64.
        before: The counters as they were before the present message; the same length.
        limits: Rows that the buffers of each level have room for; int64.
        words: Words in the dictionary of each column; int64.
        strips: Buffers to be zeroed again after a bad message: slot, level, bytes per row, rows in front; int64[s, 4].
        stack: For lists and calls; int64[MAX_DEPTH].
        outcome: What has to grow: column (or -1 - level), bytes or rows needed; int64[2].
        secret: Seeds of the hash of words; int64[2].
        starts: Where each message starts in the payload; int64[n].
        lengths: Its length; int64[n].
        entries: Start of the program of each message, -1 to leave the message alone; int32[n].
        rows: Message of each decoded row; int32[n].
        errors: Error of each message; uint8[n].
    """

    guard: int | None
    code: Span
    tables: Span
    memory: Span
    counters: Span
    before: Span
    limits: Span
    words: Span
    strips: Span
    stack: Span
    outcome: Span
    secret: Span
    starts: Span
    lengths: Span
    entries: Span
    rows: Span
    errors: Span


@inlined
def operand(m: Machine, at: int, position: int) -> int:
    """Return an operand of an instruction, the operation itself at position 0."""
    return fetch32(m.guard, m.code.base, m.code.size, (at * WIDTH + position) * 4)


@inlined
def table_entry(m: Machine, position: int) -> int:
    """Return an entry of the tables."""
    return fetch32(m.guard, m.tables.base, m.tables.size, position * 4)


@inlined
def number(m: Machine, span: Span, index: int) -> int:
    """Return one number of an int64 buffer."""
    return fetch64(m.guard, span.base, span.size, index * 8)


@inlined
def set_number(m: Machine, span: Span, index: int, value: int) -> None:
    """Set one number of an int64 buffer."""
    put64(m.guard, span.base, span.size, index * 8, value)


@inlined
def buffer(m: Machine, slot: int) -> tuple[int, int]:
    """Return address and size of the buffer of a slot."""
    return number(m, m.memory, 2 * slot), number(m, m.memory, 2 * slot + 1)


@inlined
def store_byte(m: Machine, slot: int, row: int, value: int) -> None:
    """Set a row of a buffer of single bytes."""
    base, size = buffer(m, slot)
    put8(m.guard, base, size, row, value)


@inlined
def store_int(m: Machine, slot: int, row: int, value: int) -> None:
    """Set a row of a buffer of 32-bit values."""
    base, size = buffer(m, slot)
    put32(m.guard, base, size, row * 4, value)


@inlined
def store_long(m: Machine, slot: int, row: int, value: int) -> None:
    """Set a row of a buffer of 64-bit values."""
    base, size = buffer(m, slot)
    put64(m.guard, base, size, row * 8, value)
