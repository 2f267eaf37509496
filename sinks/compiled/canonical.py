"""The canonical form of rows, as docs/tables.md specifies it, written by compiled code."""

from __future__ import annotations

from collections.abc import Callable

from sinks.compiled.access import copy_bytes, load8, load64, store8, store64
from sinks.compiled.arrow import ArrowArray, bit, child_of, read_array, span_of
from sinks.compiled.jit import cached, called, inlined
from sinks.compiled.task import Form, Kind, Task, read_form, read_task
from sinks.compiled.vectors import repeats, write_bits, write_fixed, write_flags, write_numbers, write_texts
from sinks.compiled.words import Room, write_words

_ALL_DEFAULT = ord("0")
_NOTHING = 0
_FIXED, _BITS, _TEXT, _WORDS, _MAP = (int(k) for k in (Kind.FIXED, Kind.BITS, Kind.TEXT, Kind.WORDS, Kind.MAP))


@inlined
def _array(t: Task, column: int) -> ArrowArray:
    return read_array(load64(t.arrays + 8 * column))


@called
def _any_valid(array: ArrowArray, order: int, count: int) -> bool:
    if array.validity == 0:
        return True
    for i in range(count):
        if bit(array.validity, array.offset + load64(order + 8 * i)) != 0:
            return True
    return False


@called
def _write_flat(t: Task, kind: int, width: int, array: ArrowArray, order: int, count: int, p: int) -> int:
    """Write the body of values without structure."""
    if kind == _FIXED:
        return write_fixed(array, width, order, count, p, t.end)
    if kind == _BITS:
        return write_bits(array, order, count, p, t.end)
    return write_texts(array, width, order, count, t.numbers, p, t.end)


@inlined
def _or_default(p: int, behind: int, end: int) -> int:
    """Mark a body that was left out where it cannot be."""
    if behind != p:
        return behind
    if p + 1 > end:
        return 0
    store8(p, _ALL_DEFAULT)
    return p + 1


@called
def _write_child(t: Task, kind: int, width: int, array: ArrowArray, count: int, p: int) -> int:
    """Write the items that ``t.items`` names."""
    p = write_flags(_NOTHING, array, t.items, count, p, t.end)
    if p == 0:
        return 0
    return _or_default(p, _write_flat(t, kind, width, array, t.items, count, p), t.end)


@called
def _name_items(t: Task, width: int, array: ArrowArray, count: int) -> int:
    """Note length and items of lists; return the number of items."""
    total = 0
    for i in range(count):
        start, length = span_of(array, width, load64(t.order + 8 * i))
        store64(t.numbers + 8 * i, length)
        for k in range(length):
            store64(t.items + 8 * (total + k), start + k)
        total += length
    return total


@inlined
def _moved(array: ArrowArray, offset: int) -> ArrowArray:
    return ArrowArray(
        array.length,
        array.nulls,
        array.offset + offset,
        array.validity,
        array.first,
        array.second,
        array.children,
        array.dictionary,
    )


@called
def _write_lists(t: Task, form: Form, array: ArrowArray, count: int, p: int) -> int:
    total = _name_items(t, form.width, array, count)
    if total == 0:
        return p
    p = write_numbers(t.numbers, count, p, t.end)
    if p == 0:
        return 0
    inner = child_of(array, 0)
    if form.kind != _MAP:
        return _write_child(t, form.item_kind, form.item_width, inner, total, p)
    keys, values = _moved(child_of(inner, 0), inner.offset), _moved(child_of(inner, 1), inner.offset)
    p = _write_child(t, form.item_kind, form.item_width, keys, total, p)
    return p if p == 0 else _write_child(t, form.value_kind, form.value_width, values, total, p)


@called
def _write_body(t: Task, form: Form, array: ArrowArray, count: int, p: int) -> int:
    if form.kind > _WORDS:
        return _write_lists(t, form, array, count, p)
    if form.kind == _WORDS:
        room = Room(t.numbers, t.starts, t.lengths, t.hashes, t.buckets, t.seen, t.turn, t.secret, t.outcome)
        return write_words(room, array, form.width, form.code_width, t.order, count, p, t.end)
    if form.nullable == 0:
        return _write_flat(t, form.kind, form.width, array, t.order, count, p)
    if not _any_valid(array, t.order, count):
        return p
    p = write_flags(_NOTHING, array, t.order, count, p, t.end)
    if p == 0:
        return 0
    return _or_default(p, _write_flat(t, form.kind, form.width, array, t.order, count, p), t.end)


@called
def _write_column(t: Task, column: int, p: int) -> int:
    """Write a column, nothing when every row holds the default; return the address behind, 0 without room."""
    form, array = read_form(t, column), _array(t, column)
    start = p + form.head_bytes
    if start > t.end:
        return 0
    # Vectors of equal elements do not depend on their number, nor does the absence of what is empty.
    count = 1 if load8(t.alike + column) != 0 else t.chosen
    behind = _write_body(t, form, array, count, start)
    if behind == start:
        return p
    copy_bytes(p, t.heads + form.head, form.head_bytes)
    return behind


@called
def _all_null(array: ArrowArray, rows: int) -> bool:
    if array.nulls == rows:
        return True
    for row in range(rows):
        if bit(array.validity, array.offset + row) != 0:
            return False
    return True


@called
def _same_bits(array: ArrowArray, rows: int) -> bool:
    first = bit(array.first, array.offset)
    for row in range(1, rows):
        if bit(array.first, array.offset + row) != first:
            return False
    return True


@called
def _is_alike(form: Form, array: ArrowArray, rows: int) -> bool:
    """Tell at little cost whether all rows are alike; False may also mean that it was not worth looking."""
    if array.validity != 0:
        return _all_null(array, rows)
    if form.kind == _BITS:
        return _same_bits(array, rows)
    if form.kind == _FIXED or form.code_width != 0:
        width = form.width if form.code_width == 0 else form.code_width
        return repeats(array.first + array.offset * width, width, rows)
    start, _ = span_of(array, form.width, 0)
    last, length = span_of(array, form.width, rows - 1)
    return last + length == start


@called
def _item_count(form: Form, array: ArrowArray, rows: int) -> int:
    total = 0
    for row in range(rows):
        total += span_of(array, form.width, row)[1]
    return total


def build_survey(revision: int) -> Callable[[int], int]:
    """Define the compiled function that looks at all columns first.

    Args:
        revision: Digest of the sources, part of the key of the machine code on disk; returned by every call.

    Returns:
        ``survey(task)``: fills ``alike``, and ``outcome`` with what the task needs room for.
    """

    @cached
    def survey(task: int) -> int:
        t = read_task(task)
        largest, items = 0, 0
        for column in range(t.columns):
            form, array = read_form(t, column), _array(t, column)
            alike = _is_alike(form, array, t.rows)
            store8(t.alike + column, 1 if alike else 0)
            if array.dictionary != 0:
                largest = max(largest, read_array(array.dictionary).length)
            if form.kind > _WORDS and not alike:
                items = max(items, _item_count(form, array, t.rows))
        store64(t.outcome + 8, largest)
        store64(t.outcome + 16, items)
        return revision

    return survey


def build_writer(revision: int) -> Callable[[int, int], tuple[int, int]]:
    """Define the compiled function that writes columns.

    Args:
        revision: As for ``build_survey``.

    Returns:
        ``write_columns(task, first)``: writes as many columns from ``first`` on as there is room for; returns the
        next one and the number of bytes written.
    """

    @cached
    def write_columns(task: int, first: int) -> tuple[int, int]:
        t = read_task(task)
        column, p = first, t.out
        while column < t.columns and revision != 0:
            behind = _write_column(t, column, p)
            if behind == 0:
                break
            p = behind
            column += 1
        return column, p - t.out

    return write_columns
