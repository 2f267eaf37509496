"""What compiled code does with the strips of a batch once its messages are decoded."""

from __future__ import annotations

from collections.abc import Callable

from consumers.decode import opcodes as op
from consumers.decode.machine import Machine, Span, buffer, number, set_number
from consumers.decode.memory import fetch8, fetch32, fetch64, put8, put32
from sinks.compiled.jit import cached, called


@called
def _any(m: Machine, base: int, size: int, length: int) -> int:
    """Tell whether one of the first bytes of a strip is not zero: 1 or 0."""
    p = 0
    while p + 8 <= length:
        if fetch64(m.guard, base, size, p) != 0:
            return 1
        p += 8
    while p < length:
        if fetch8(m.guard, base, size, p) != 0:
            return 1
        p += 1
    return 0


@called
def _fill_ends(m: Machine, base: int, size: int, rows: int) -> int:
    """Give every row that was not written the end of the row before; return the last end."""
    end = 0
    for row in range(rows + 1):
        end = max(end, fetch32(m.guard, base, size, 4 * row))
        put32(m.guard, base, size, 4 * row, end)
    return end


@called
def _pack(m: Machine, base: int, size: int, rows: int) -> int:
    """Make bits of bytes, in place: a bit lies where no byte is read any more. Return how many are set."""
    count = 0
    for group in range(0, rows, 8):
        bits = 0
        for i in range(min(8, rows - group)):
            flag = fetch8(m.guard, base, size, group + i)
            bits |= flag << i
            count += flag
        put8(m.guard, base, size, group >> 3, bits)
    return count


def build_settle(revision: int) -> Callable[[Machine, Span, Span], int]:
    """Define the compiled function.

    Args:
        revision: Digest of the sources, part of the key of the machine code on disk; returned by every call.

    Returns:
        ``settle(machine, contents, found)``. It brings each strip into the form that Arrow wants, by its content
        (``opcodes``): flags become bits, ends are filled. ``found`` gets a number per strip that is 0 when all of
        it is: of flags how many are set, of ends the last one.
    """

    @cached
    def settle(m: Machine, contents: Span, found: Span) -> int:
        for i in range(m.strips.size >> 5):
            base, size = buffer(m, number(m, m.strips, 4 * i))
            rows, width = number(m, m.counters, number(m, m.strips, 4 * i + 1)), number(m, m.strips, 4 * i + 2)
            content = number(m, contents, i)
            if content == op.ENDS:
                result = _fill_ends(m, base, size, rows)
            elif content == op.FLAGS:
                result = _pack(m, base, size, rows) if _any(m, base, size, rows) != 0 else 0
            else:
                result = _any(m, base, size, rows * width)
            set_number(m, found, i, result)
        return revision

    return settle
