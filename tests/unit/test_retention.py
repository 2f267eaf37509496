"""How long rows are kept."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from consumers.coded import Coded
from consumers.enrich.retention import (
    DAY_MS,
    FOR_EVER_MS,
    STEPS_DAYS,
    Retained,
    RetentionInvalid,
    RetentionPolicy,
    expires_ms,
    shorter,
    snap_up,
)
from sinks.settings import RetentionSettings


def coded(*words: str) -> Coded:
    return Coded.of(pa.array(words, pa.string()), None)


def resolve(settings: RetentionSettings, tenant: str, override: str, code_class: str) -> tuple[str, int, bool]:
    policy = RetentionPolicy(settings)
    retained = policy.resolve(coded(tenant), coded(override), np.array([policy.class_code(code_class)], np.int32))
    return class_of(retained), int(retained.days[0]), bool(retained.unknown_class[0])


def class_of(retained: Retained) -> str:
    (name,) = retained.class_column.to_pylist()
    return str(name)


def test_days_are_snapped_up_to_the_next_step() -> None:
    for days in range(1, STEPS_DAYS[-1] + 1):
        assert snap_up(days) == min(step for step in STEPS_DAYS if step >= days)


def test_zero_days_stay_for_ever() -> None:
    assert snap_up(0) == 0


@pytest.mark.parametrize("days", [-1, 3651])
def test_days_beyond_the_steps_are_refused(days: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 3650"):
        snap_up(days)


def test_for_ever_is_the_last_millisecond_that_clickhouse_can_hold() -> None:
    assert datetime.fromtimestamp(FOR_EVER_MS // 1000, UTC) == datetime(2299, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert FOR_EVER_MS % 1000 == 999


def test_expiry_is_counted_from_the_base_and_never_passes_the_end_of_time() -> None:
    base = np.array([0, 0, FOR_EVER_MS - DAY_MS, FOR_EVER_MS - DAY_MS + 1, 5], np.int64)
    days = np.array([1, 0, 1, 1, 3650], np.uint16)
    assert expires_ms(base, days).tolist() == [DAY_MS, FOR_EVER_MS, FOR_EVER_MS, FOR_EVER_MS, 5 + 3650 * DAY_MS]


def test_the_shorter_of_two_retentions_counts_for_ever_as_longest() -> None:
    assert shorter(np.array([0, 1, 7, 30], np.uint16), 7).tolist() == [7, 1, 7, 7]


def test_the_class_of_the_code_sets_the_days() -> None:
    assert resolve(RetentionSettings(), "acme", "", "security") == ("security", 365, False)


def test_the_event_overrides_the_class_of_its_code() -> None:
    assert resolve(RetentionSettings(), "acme", "debug", "security") == ("debug", 7, False)


def test_an_unknown_class_becomes_the_default_one_and_is_told() -> None:
    assert resolve(RetentionSettings(), "acme", "nonsense", "security") == ("business", 180, True)
    assert resolve(RetentionSettings(), "acme", "", "nonsense") == ("business", 180, True)


def test_days_of_a_tenant_win_over_its_star_and_that_over_the_general_ones() -> None:
    settings = RetentionSettings(tenants={"acme": {"*": 60, "api": 1}, "other": {"api": 0}})
    assert resolve(settings, "acme", "", "api") == ("api", 1, False)
    assert resolve(settings, "acme", "", "security") == ("security", 90, False)
    assert resolve(settings, "other", "", "api") == ("api", 0, False)
    assert resolve(settings, "other", "", "security") == ("security", 365, False)
    assert resolve(settings, "third", "", "api") == ("api", 30, False)


def test_every_contradiction_in_the_settings_is_named_with_its_value() -> None:
    settings = RetentionSettings(
        classes={"a": -1, "b": 4000}, default_class="c", tenants={"t": {"d": 1, "*": 9999}}, payload_days=5000
    )
    with pytest.raises(RetentionInvalid) as raised:
        RetentionPolicy(settings)
    assert [problem.split(" ")[0] for problem in raised.value.problems] == [
        "retention.default_class",
        "retention.tenants.t",
        "retention.classes.a",
        "retention.classes.b",
        "retention.tenants.t.*",
        "retention.payload_days",
    ]
    assert "4000" in str(raised.value)
