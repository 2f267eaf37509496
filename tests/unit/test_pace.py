"""How long batches wait for more."""

from __future__ import annotations

import pytest

from consumers.pace import MOST_STRETCH, Pace


@pytest.mark.parametrize(("partitions", "age_s"), [(0, 1.0), (12, 1.0), (20, 1.0), (100, 5.0), (400, 20.0)])
def test_many_partitions_flush_less_often(partitions: int, age_s: float) -> None:
    assert Pace(1.0, 20.0).age_s(partitions) == age_s


def test_too_many_parts_stretch_the_age_and_success_relaxes_it() -> None:
    pace = Pace(1.0, 20.0)
    pace.too_many_parts()
    pace.too_many_parts()
    assert pace.age_s(1) == 4.0
    for _ in range(100):
        pace.stored()
    assert pace.age_s(1) == 1.0


def test_the_age_is_bounded() -> None:
    pace = Pace(1.0, 20.0)
    for _ in range(100):
        pace.too_many_parts()
    assert pace.age_s(1) == MOST_STRETCH
