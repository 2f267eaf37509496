"""Looks into the texts of whole columns, by compiled code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from consumers.batch import Bytes, Int32s, Int64s
from consumers.decode.buffers import address_of
from consumers.decode.syntax import build_json, build_uuids
from sinks.compiled.jit import digest_of_sources

#: Modules whose source ends up in the machine code.
COMPILED_MODULES = ("consumers.decode.syntax", "sinks.compiled.access", "sinks.compiled.jit")

Looks = Callable[[int, int, int, int, int], int]


@cache
def _json() -> Looks:
    return build_json(digest_of_sources(COMPILED_MODULES))


@cache
def _uuids() -> Looks:
    return build_uuids(digest_of_sources(COMPILED_MODULES))


def compiled_functions() -> tuple[Looks, Looks]:
    """Return the compiled functions, to warm and to watch them."""
    return _json(), _uuids()


def surely_json(data: Bytes, ends: Int32s, rows: Int64s) -> npt.NDArray[np.bool_]:
    """Tell which texts are JSON without doubt; the others may be, but only a parser can tell.

    Args:
        data: Bytes of texts that are UTF-8.
        ends: Where each text starts in them, and the end of the last one; int32[n + 1], C-contiguous.
        rows: Texts to look at; int64[k].

    Returns:
        bool[k].
    """
    marks = np.zeros(len(rows), np.uint8)
    rows = np.ascontiguousarray(rows, np.int64)
    if len(rows):
        _json()(address_of(data), address_of(ends), address_of(rows), len(rows), address_of(marks))
    return marks.view(np.bool_)


def read_uuids(data: Bytes, ends: Int32s) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Read texts as UUIDs of 8-4-4-4-12 hexadecimal digits in either case.

    Args:
        data: Bytes of texts.
        ends: Where each text starts in them, and the end of the last one; int32[n + 1], C-contiguous.

    Returns:
        The UUIDs in the byte order of RFC 9562, zeros where the text is none, uint8[n, 16]; where it is one, bool[n].
    """
    count = len(ends) - 1
    uuids, marks = np.zeros((count, 16), np.uint8), np.zeros(count, np.uint8)
    if count and data.size:
        _uuids()(address_of(data), address_of(ends), count, address_of(uuids), address_of(marks))
    return uuids, marks.view(np.bool_)
