"""Arrow arrays as compiled code finds them in memory.

Source: https://arrow.apache.org/docs/format/CDataInterface.html, "Structure definitions".
"""

from __future__ import annotations

from typing import NamedTuple

from sinks.compiled.access import load8, load16, load32, load64
from sinks.compiled.jit import inlined


class ArrowArray(NamedTuple):
    """What describes an array.

    Attributes:
        length: Number of rows.
        nulls: Number of nulls, -1 when it was not counted.
        offset: Row of the buffers that is row 0.
        validity: Address of the bits that tell what is not null, 0 when nothing is.
        first: Address of the first buffer after those: values, codes or offsets.
        second: Address of the bytes of texts.
        children: Address of the addresses of the children.
        dictionary: Address of the dictionary's array, 0 without one.
    """

    length: int
    nulls: int
    offset: int
    validity: int
    first: int
    second: int
    children: int
    dictionary: int


@inlined
def read_array(address: int) -> ArrowArray:
    """Read the C structure at an address."""
    count, buffers, nulls = load64(address + 24), load64(address + 40), load64(address + 8)
    return ArrowArray(
        load64(address),
        nulls,
        load64(address + 16),
        load64(buffers) if count > 0 and nulls != 0 else 0,
        load64(buffers + 8) if count > 1 else 0,
        load64(buffers + 16) if count > 2 else 0,
        load64(address + 48),
        load64(address + 56),
    )


@inlined
def child_of(array: ArrowArray, position: int) -> ArrowArray:
    """Read a child of an array."""
    return read_array(load64(array.children + 8 * position))


@inlined
def bit(bits: int, position: int) -> int:
    """Return one bit of a bitmap; all are 1 where there is none."""
    return 1 if bits == 0 else (load8(bits + (position >> 3)) >> (position & 7)) & 1


@inlined
def unsigned(address: int, width: int) -> int:
    """Load a number that is never negative, of 1, 2, 4 or 8 bytes."""
    if width == 4:
        return load32(address)
    if width == 8:
        return load64(address)
    return load16(address) if width == 2 else load8(address)


@inlined
def span_of(array: ArrowArray, width: int, row: int) -> tuple[int, int]:
    """Return where a text or list starts, and its length; nothing for null.

    Args:
        array: The array.
        width: Bytes of an offset, 4 or 8.
        row: Row of the array, its offset not yet added.
    """
    place = array.offset + row
    start = unsigned(array.first + width * place, width)
    if bit(array.validity, place) == 0:
        return start, 0
    return start, unsigned(array.first + width * (place + 1), width) - start
