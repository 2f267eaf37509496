"""Frames of a batch are read as one message after the other would be."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from consumers.batch import Payloads
from consumers.decode import DecodeError, read_frames


def one(value: bytes | None) -> tuple[int, int]:
    if not value:
        return -1, DecodeError.empty
    if len(value) < 5:
        return -1, DecodeError.frame_short
    magic, schema_id = struct.unpack(">bi", value[:5])
    return (schema_id, 0) if magic == 0 else (-1, DecodeError.frame_magic)


framed = st.builds(
    lambda i, body: struct.pack(">bi", 0, i) + body, st.integers(-(1 << 31), (1 << 31) - 1), st.binary(max_size=9)
)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=12), framed)))
def test_the_frames_of_a_batch_are_those_of_its_messages(values: list[bytes | None]) -> None:
    frames = read_frames(Payloads.of(values))
    assert list(zip(frames.schema_ids.tolist(), frames.errors.tolist(), strict=True)) == [one(v) for v in values]
