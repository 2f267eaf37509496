"""How long batches wait for more."""

from __future__ import annotations

from consumers.pace import MOST_STRETCH, Pace


def test_too_many_parts_stretch_the_age_and_success_relaxes_it() -> None:
    pace = Pace(1.0)
    pace.too_many_parts()
    pace.too_many_parts()
    assert pace.age_s == 4.0
    for _ in range(100):
        pace.stored()
    assert pace.age_s == 1.0


def test_the_age_is_bounded() -> None:
    pace = Pace(1.0)
    for _ in range(100):
        pace.too_many_parts()
    assert pace.age_s == MOST_STRETCH
