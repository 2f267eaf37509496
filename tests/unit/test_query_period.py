"""Points in time as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from query import InvalidFilter
from query.period import Clock, from_micros, micros, parse_moment, parse_zone

BERLIN = ZoneInfo("Europe/Berlin")
CLOCK = Clock(datetime(2026, 6, 15, 23, 30, tzinfo=UTC), BERLIN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-06-15T23:30:00"),
        ("today", "2026-06-15T22:00:00"),
        ("yesterday", "2026-06-14T22:00:00"),
        ("90s", "2026-06-15T23:28:30"),
        ("30m", "2026-06-15T23:00:00"),
        ("24h", "2026-06-14T23:30:00"),
        ("7d", "2026-06-08T23:30:00"),
        ("2w", "2026-06-01T23:30:00"),
        ("2026-01-31", "2026-01-30T23:00:00"),
        ("2026-07-31", "2026-07-30T22:00:00"),
        ("2026-01-31T09:30", "2026-01-31T08:30:00"),
        ("2026-01-31 09:30:15", "2026-01-31T08:30:15"),
        ("2026-01-31T09:30:15.5", "2026-01-31T08:30:15.500000"),
        ("2026-01-31T09:30:15.123456Z", "2026-01-31T09:30:15.123456"),
        ("2026-01-31T09:30:00+0530", "2026-01-31T04:00:00"),
        ("2026-01-31T09:30[America/New_York]", "2026-01-31T14:30:00"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30:00"),
    ],
)
def test_a_text_means_a_moment(text: str, expected: str) -> None:
    assert parse_moment(text, CLOCK) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no time"),
        ("2026-01-31T09:30:15.1234567", "no time"),
        ("20260131", "no time"),
        ("2026-W05", "no time"),
        ("-24h", "no time"),
        ("1y", "no time"),
        ("٢٤h", "no time"),
        ("2026-02-30", "day"),
        ("2026-01-31T25:00", "hour"),
        ("2026-03-29T02:30", "is skipped when the clocks change in Europe/Berlin"),
        ("2026-10-25T02:30", "happens twice when the clocks change in Europe/Berlin"),
        ("2026-01-31T09:30Z[Europe/Berlin]", "both an offset and a zone"),
        ("999999w", "before the year 1"),
        ("0001-01-01T00:00+05:00", "beyond the years"),
    ],
)
def test_a_text_without_meaning_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_moment(text, CLOCK)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "1969-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"])
def test_microseconds_are_exact_in_both_directions(text: str) -> None:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    assert from_micros(micros(moment)) == moment


@pytest.mark.parametrize("name", ["Europe/Berln", "europe/berlin", "", "../etc/passwd", "/etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidFilter, match="there is no such time zone"):
        parse_zone(name)


def test_a_zone_is_suggested() -> None:
    with pytest.raises(InvalidFilter) as raised:
        parse_zone("Europe/Berln")
    assert raised.value.suggestion == "Europe/Berlin"
