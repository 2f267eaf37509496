"""UUIDs from text, a column at a time."""

from __future__ import annotations

import pyarrow as pa

from consumers.arrays import Bools, string_data, string_offsets
from consumers.batch import Bytes
from consumers.decode.columns import read_uuids


def parse_uuids(array: pa.StringArray) -> tuple[Bytes, Bools]:
    """Return UUIDs in the byte order of RFC 9562, and where the text is one.

    Args:
        array: Strings; a UUID is 8-4-4-4-12 hexadecimal digits in either case.

    Returns:
        uint8[n, 16], zero where the text is no UUID; bool[n].
    """
    return read_uuids(string_data(array), string_offsets(array))
