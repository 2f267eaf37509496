"""Which ranges are written together."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.boarding import boarded
from consumers.partition import PartitionState
from consumers.records import Records, Texts
from consumers.settings import WorkerSettings

POLICY = WorkerSettings(batch_rows=200, batch_bytes=20_000)


def waiting(partition: int, count: int, *, size: int = 10, first_at: float = 0.0, **more: object) -> PartitionState:
    """Return a partition with messages."""
    state = PartitionState("t", partition, 0, topic_id=UUID(int=7), **more)  # type: ignore[arg-type]
    places, texts = np.arange(count), Texts.of([b"x" * size] * count)
    state.accept(Records(partition, places, places, texts, Texts.of([None] * count), {}), first_at)
    return state


def numbers(
    due: list[PartitionState], others: list[PartitionState] | None = None, *, seats: int = 3
) -> list[list[int]]:
    return [[s.partition for s in convoy] for convoy in boarded(due, [*due, *(others or [])], POLICY, seats)]


def test_small_ranges_go_together_the_oldest_first() -> None:
    due = [waiting(1, 5, first_at=2.0), waiting(2, 5, first_at=1.0), waiting(3, 5, first_at=3.0)]
    assert numbers(due) == [[2, 1, 3]]


def test_whoever_has_messages_goes_along_with_those_that_are_due() -> None:
    assert numbers([waiting(4, 5)], [waiting(1, 5), waiting(2, 5)]) == [[4, 1, 2]]


def test_nobody_goes_without_one_that_is_due() -> None:
    assert numbers([], [waiting(1, 5), waiting(2, 5)]) == []
    assert numbers([waiting(3, 80)], [waiting(1, 5)]) == [[3]], "a large one takes nobody along"


@pytest.mark.parametrize(("count", "size"), [(51, 10), (6, 1_000)])
def test_a_range_of_more_than_a_quarter_of_a_batch_goes_alone(count: int, size: int) -> None:
    assert numbers([waiting(1, 5), waiting(2, count, size=size), waiting(3, 5)]) == [[1, 3], [2]]


def test_a_range_that_may_be_stored_in_part_goes_alone() -> None:
    for doubtful in (waiting(2, 5, verify=True), waiting(2, 5, verify_below=1)):
        assert numbers([waiting(1, 5), doubtful, waiting(3, 5)]) == [[1, 3], [2]]


def test_there_are_no_more_convoys_than_seats() -> None:
    due = [waiting(n, 40, first_at=float(n)) for n in range(5)]
    assert numbers(due, seats=2) == [[0], [1]]
    assert numbers(due, seats=0) == []


def test_one_without_a_seat_of_its_own_goes_along_all_the_same() -> None:
    due = [waiting(1, 40, first_at=1.0), waiting(2, 40, first_at=2.0), waiting(3, 10, first_at=3.0)]
    assert numbers(due, seats=1) == [[1, 3]]


@given(
    st.lists(st.tuples(st.integers(1, 150), st.integers(0, 400), st.booleans(), st.booleans()), max_size=30),
    st.integers(0, 5),
)
def test_everyone_goes_at_most_once_and_together_they_stay_within_a_quarter_of_a_batch(
    drawn: list[tuple[int, int, bool, bool]], seats: int
) -> None:
    states = [waiting(n, count, size=size, verify=verify) for n, (count, size, verify, _) in enumerate(drawn)]
    due = [s for s, (*_, urgent) in zip(states, drawn, strict=True) if urgent]
    convoys = boarded(due, states, POLICY, seats)
    assert len(convoys) <= seats
    taken = [s.partition for convoy in convoys for s in convoy]
    assert len(taken) == len(set(taken))
    for convoy in convoys:
        assert any(s in due for s in convoy)
        if len(convoy) > 1:
            assert all(s.vouched for s in convoy)
            assert sum(s.plan(POLICY) for s in convoy) <= POLICY.batch_rows / 4
            assert sum(s.value_bytes for s in convoy) <= POLICY.batch_bytes / 4
    assert not due or not seats or convoys
