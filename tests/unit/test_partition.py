"""What a worker knows of one partition: what it accepts, when a batch is due, what it cuts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.budget import MESSAGE_OVERHEAD_BYTES
from consumers.partition import PartitionState
from consumers.records import Records, Texts
from consumers.settings import WorkerSettings
from sinks.sink import Manifest, OffsetRange

TOPIC_ID = UUID(int=7)


@dataclass(frozen=True)
class OneHeader:
    def pairs(self) -> list[tuple[str, bytes]]:
        return [("h", b"v")]


def records(*offsets: int, size: int = 10) -> Records:
    places = np.array(offsets, np.int64)
    values, keys = Texts.of([b"x" * size] * len(offsets)), Texts.of([b"k"] * len(offsets))
    return Records(0, places, 1_700_000_000_000 + places, values, keys, {o: OneHeader() for o in offsets})


def settled(next_offset: int = 0, **more: object) -> PartitionState:
    return PartitionState("t", 0, next_offset, topic_id=TOPIC_ID, **more)  # type: ignore[arg-type]


def feed(state: PartitionState, *offsets: int, now: float = 0.0, size: int = 10) -> int:
    return state.accept(records(*offsets, size=size), now)[0]


def buffered(state: PartitionState) -> list[int]:
    return [offset for piece in state.buffer for offset in piece.offsets.tolist()]


def manifest(range_: OffsetRange) -> Manifest:
    return Manifest(range_, range_.span, 0, 0, 0, (1,), (), bytes(32), bytes([1]) * 32)


def test_messages_that_were_already_taken_are_not_accepted_again() -> None:
    state = settled(5)
    assert feed(state, 4, 5, 6, 6, 5, 7) == 3
    assert buffered(state) == [5, 6, 7]
    assert feed(state, 6, 7) == 0
    assert state.buffer_bytes == 3 * (10 + MESSAGE_OVERHEAD_BYTES)


def test_nothing_is_accepted_until_a_seek_was_carried_out() -> None:
    state = settled(5, seek_to=5)
    assert feed(state, 5, 6) == 0
    state.seek_to = None
    assert feed(state, 5) == 1


@pytest.mark.parametrize(
    ("policy", "now", "pressed", "due"),
    [
        ({}, 0.5, False, False),
        ({}, 1.0, False, True),
        ({"batch_rows": 3}, 0.0, False, True),
        ({"batch_bytes": 30}, 0.0, False, True),
        ({"batch_bytes": 31}, 0.0, False, False),
        ({}, 0.0, True, True),
    ],
)
def test_a_batch_is_due_by_rows_bytes_age_or_short_memory(
    policy: dict[str, int], now: float, pressed: bool, due: bool
) -> None:
    state = settled()
    feed(state, 0, 1, 2)
    assert state.due(now, WorkerSettings(**policy), pressed=pressed, age_s=1.0) is due


def test_an_empty_buffer_is_never_due() -> None:
    assert not settled().due(1e9, WorkerSettings(), pressed=True, age_s=1.0)


def test_one_message_larger_than_a_batch_makes_a_batch_of_its_own() -> None:
    state = settled()
    feed(state, 0, 1, size=1000)
    assert state.plan(WorkerSettings(batch_bytes=10)) == 1


def test_a_replay_takes_exactly_the_announced_range_whatever_the_limits_say_now() -> None:
    state = settled(10, pending_last=13)
    feed(state, 10, 11)
    assert not state.replay_due()
    feed(state, 12, 13, 14, 15)
    assert state.replay_due()
    count = state.plan(WorkerSettings(batch_rows=1))
    flight = state.take_off(count, 0.0)
    assert (flight.batch.range.first, flight.batch.range.last, flight.replay) == (10, 13, True)
    assert buffered(state) == [14, 15]


def test_a_replay_whose_last_message_vanished_in_a_compaction_gap_ends_by_position() -> None:
    state = settled(10, pending_last=13)
    feed(state, 10, 20)
    assert state.replay_due()
    flight = state.take_off(state.plan(WorkerSettings()), 0.0)
    assert (flight.batch.range.last, list(flight.batch.offsets)) == (13, [10])


def test_landing_moves_the_next_offset_and_chains_the_manifest() -> None:
    state = settled(0)
    feed(state, 0, 1, 2)
    flight = state.take_off(3, 0.0)
    state.land(manifest(flight.batch.range), 1.0)
    assert (state.next_offset, state.dirty, state.flight, state.previous_sha256) == (3, True, None, bytes([1]) * 32)


def test_a_dead_letter_finds_key_and_headers_of_its_message() -> None:
    state = settled(0)
    feed(state, 0)
    raw = state.take_off(1, 0.0).batch.messages[0]
    assert (raw.key, raw.value, list(raw.headers)) == (b"k", b"x" * 10, [("h", b"v")])


@given(
    gaps=st.lists(st.integers(1, 4), min_size=1, max_size=60),
    sizes=st.lists(st.integers(0, 50), min_size=60, max_size=60),
    rows=st.integers(1, 10),
    limit=st.integers(1, 120),
)
def test_batching_loses_repeats_and_reorders_nothing(gaps: list[int], sizes: list[int], rows: int, limit: int) -> None:
    offsets = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    state, policy = settled(0), WorkerSettings(batch_rows=rows, batch_bytes=limit)
    for offset, size in zip(offsets, sizes, strict=False):
        feed(state, offset, size=size)
    taken, covered, given_back, held = [], [], 0, state.buffer_bytes
    while state.buffer:
        flight = state.take_off(state.plan(policy), 0.0)
        taken += flight.batch.offsets.tolist()
        covered.append((flight.batch.range.first, flight.batch.range.last))
        given_back += flight.size_bytes
        state.land(manifest(flight.batch.range), 0.0)
    assert taken == offsets
    assert covered[0][0] == 0
    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(covered))
    assert given_back == held
    assert state.buffer_bytes == 0
