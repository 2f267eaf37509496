"""What a check found, and the checks of single columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa

from consumers.arrays import (
    Bools,
    codes,
    int64s,
    lengths,
    list_offsets,
    string_data,
    string_offsets,
    total_length,
    valid,
)
from consumers.batch import Int64s
from consumers.decode.columns import surely_json
from consumers.validation.limits import Limit
from consumers.validation.reasons import Reason, shown
from consumers.validation.times import in_range, shown_time


class WordLengths:
    """Remembers which dictionaries hold no word that is too long, so that only new words are measured."""

    def __init__(self) -> None:
        self._fine: dict[str, tuple[int, int]] = {}

    def fine(self, path: str, words: pa.StringArray, generation: int | None, limit: Limit) -> bool:
        """Tell whether all words of a dictionary are surely within the limit.

        Args:
            path: Field of the column, always with the same limit.
            words: The dictionary.
            generation: As long as it stays the same between batches the dictionary has only grown; None: never the same.
            limit: The limit.
        """
        if generation is None:
            return False
        known_generation, known = self._fine.get(path, (generation, 0))
        known = known if known_generation == generation else 0
        if len(words) > known and _too_long(words.slice(known), limit).any():
            return False
        self._fine[path] = (generation, max(known, len(words)))
        return True


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that break one rule.

    Attributes:
        reason: The rule.
        rows: Rows of the decoded batch, ascending; int64[k].
        describe: Returns the reason in words for a row: field, value, what was expected.
    """

    reason: Reason
    rows: Int64s
    describe: Callable[[int], str]


def long_strings(path: str, array: pa.Array, limit: Limit) -> Iterator[Finding]:
    """Find strings of more bytes than allowed, in a plain or dictionary-encoded column."""
    words = array.dictionary if pa.types.is_dictionary(array.type) else array
    if not (entries := _too_long(words, limit)).any():
        return
    rows = entries[codes(array)] if words is not array else entries
    yield Finding(limit.reason, np.flatnonzero(rows), lambda row: _long(path, array[row].as_py(), limit))


def long_items(path: str, array: pa.ListArray, limit: Limit) -> Iterator[Finding]:
    """Find strings of more bytes than allowed inside lists."""
    yield from _long_inside(path, array, array.values, limit)


def long_entries(path: str, array: pa.MapArray, keys: Limit, values: Limit) -> Iterator[Finding]:
    """Find keys or values of more bytes than allowed inside maps."""
    yield from _long_inside(f"key of {path}", array, array.keys, keys)
    yield from _long_inside(path, array, array.items, values)


def many_items(path: str, array: pa.ListArray | pa.MapArray, most: int) -> Iterator[Finding]:
    """Find lists or maps of more entries than allowed."""
    if total_length(array) <= most:
        return
    sizes = lengths(array)
    rows = np.flatnonzero(sizes > most)
    yield Finding(
        Reason.TOO_MANY_ITEMS, rows, lambda row: f"{path} has {sizes[row]} entries, at most {most} are allowed"
    )


def bad_times(path: str, array: pa.Array) -> Iterator[Finding]:
    """Find instants that the tables cannot hold."""
    if array.null_count == len(array):
        return
    times = int64s(array)
    rows = np.flatnonzero(~in_range(times) & valid(array))
    expected = "expected 1970-01-01 to 2299-12-31"
    yield Finding(Reason.TIME_OUT_OF_RANGE, rows, lambda row: f"{path} is {shown_time(int(times[row]))}, {expected}")


def bad_json(path: str, array: pa.StringArray, cut: Bools) -> Iterator[Finding]:
    """Find bodies that begin like a JSON object or array and do not parse.

    Args:
        path: Field of the body.
        array: The bodies.
        cut: Where the producer cut a body, which then cannot parse.
    """
    if not total_length(array):
        return
    offsets, data = string_offsets(array), string_data(array)
    begins = offsets[:-1][filled := np.flatnonzero((np.diff(offsets) > 0) & ~cut)]
    candidates = filled[np.isin(data[begins], np.frombuffer(b"{[", np.uint8))]
    body = memoryview(data.data)
    candidates = candidates[~surely_json(data, offsets, candidates)]
    errors = {r: e for r in candidates.tolist() if (e := _json_error(body[offsets[r] : offsets[r + 1]]))}
    yield Finding(
        Reason.BODY_NOT_JSON,
        np.fromiter(errors, np.int64),
        lambda row: f"{path} begins like JSON and is none: {errors[row]}",
    )


def _json_error(body: memoryview) -> str:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return str(error)
    return ""


def _too_long(words: pa.StringArray, limit: Limit) -> Bools:
    # The sum bounds each of them: one comparison settles most columns.
    if total_length(words) <= limit.max_bytes:
        return np.zeros(len(words), np.bool_)
    return lengths(words) > limit.max_bytes


def _long(path: str, text: str, limit: Limit) -> str:
    return f"{path} is {len(text.encode())} bytes long, at most {limit.max_bytes} are allowed: {shown(text)}"


def _long_inside(
    path: str, array: pa.ListArray | pa.MapArray, items: pa.StringArray, limit: Limit
) -> Iterator[Finding]:
    if not total_length(array) or not (long := np.flatnonzero(_too_long(items, limit))).size:
        return
    offsets = list_offsets(array)
    owners = np.searchsorted(offsets, long, side="right") - 1
    inside = (owners >= 0) & (owners < len(array))
    first = {int(row): int(item) for row, item in reversed([*zip(owners[inside], long[inside], strict=True)])}
    rows = np.fromiter(sorted(first), np.int64)
    yield Finding(limit.reason, rows, lambda row: _long(path, items[first[row]].as_py(), limit))
