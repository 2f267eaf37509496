"""UUIDs from text, a column at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from consumers.arrays import Bools, string_data, string_offsets
from consumers.batch import Bytes, Int32s

TEXT_BYTES = 36
_HYPHENS = (8, 13, 18, 23)
_DIGITS = [i for i in range(TEXT_BYTES) if i not in _HYPHENS]
_NOT_A_DIGIT = 16


def _digit_values() -> Bytes:
    values = np.full(256, _NOT_A_DIGIT, np.uint8)
    for digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
        values[np.frombuffer(digits, np.uint8)] = np.arange(16)
    return values


_VALUES = _digit_values()


def parse_uuids(array: pa.StringArray) -> tuple[Bytes, Bools]:
    """Return UUIDs in the byte order of RFC 9562, and where the text is one.

    Args:
        array: Strings; a UUID is 8-4-4-4-12 hexadecimal digits in either case.

    Returns:
        uint8[n, 16], zero where the text is no UUID; bool[n].
    """
    offsets = string_offsets(array)
    fits = np.diff(offsets) == TEXT_BYTES
    text = _texts(string_data(array), offsets, fits)
    digits = _VALUES[text[:, _DIGITS]]
    ok = (text[:, _HYPHENS] == ord("-")).all(axis=1) & (digits.max(axis=1, initial=0) < _NOT_A_DIGIT)
    packed = digits[:, 0::2] << 4 | digits[:, 1::2]
    uuids = np.zeros((len(array), 16), np.uint8)
    uuids[np.flatnonzero(fits)[ok]] = packed[ok]
    fits[fits] = ok
    return uuids, fits


def _texts(data: Bytes, offsets: Int32s, fits: Bools) -> Bytes:
    if fits.all():
        return data[offsets[0] : offsets[-1]].reshape(-1, TEXT_BYTES)
    starts = offsets[:-1][fits].astype(np.int64)
    texts: Bytes = data[starts[:, None] + np.arange(TEXT_BYTES)]
    return texts
