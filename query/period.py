"""Points in time as people write them: absolute, relative, in a named zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from query.errors import InvalidFilter, nearest

EXPECTED = (
    "a time such as 2026-01-31, 2026-01-31T09:30, 2026-01-31T09:30:00.5+02:00, 2026-01-31T09:30[Europe/Berlin], "
    "24h, 7d, 2w (before now), now, today or yesterday"
)

HOUR_MICROS = 3_600_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RELATIVE = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Stricter than datetime.fromisoformat, which drops digits beyond microseconds without a word.
_ABSOLUTE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:?\d\d)?)?(?:\[([^\]]+)\])?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Clock:
    """What a relative or local time is read against.

    Attributes:
        now: The present, with zone.
        zone: Zone of times that name none.
    """

    now: datetime
    zone: ZoneInfo


def parse_zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        InvalidFilter: There is no such zone; with the nearest name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zones = available_timezones()
        by_lower = {z.lower(): z for z in zones}
        suggestion = by_lower.get(nearest(name, by_lower), "")
        expected = "an IANA name such as Europe/Berlin or UTC"
        raise InvalidFilter(name, "there is no such time zone", expected, suggestion=suggestion) from None


def parse_moment(text: str, clock: Clock) -> datetime:
    """Return the moment that a text means, in UTC.

    A day without time is its midnight. A local time that a change of clocks skips or repeats is refused.

    Args:
        text: See EXPECTED.
        clock: The present and the zone of local times.

    Raises:
        ValueError: The text means no moment; the message says why.
    """
    if text in _DAYS:
        return _DAYS[text](clock)
    if relative := _RELATIVE.fullmatch(text):
        return _before(clock.now, relative)
    absolute = _ABSOLUTE.fullmatch(text)
    if not absolute:
        raise ValueError("this is no time")
    return _absolute(absolute, clock)


def micros(moment: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    """Return the moment of a number of microseconds since 1970-01-01 UTC.

    Raises:
        OverflowError: Beyond the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=value)


def _before(now: datetime, relative: re.Match[str]) -> datetime:
    try:
        return (now - timedelta(**{_UNITS[relative[2]]: int(relative[1])})).astimezone(UTC)
    except OverflowError:
        raise ValueError("this lies before the year 1") from None


def _absolute(match: re.Match[str], clock: Clock) -> datetime:
    day, time, offset, zone_name = match.groups()
    if offset and zone_name:
        raise ValueError("both an offset and a zone are given")
    moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{offset or ''}")
    zone = parse_zone(zone_name) if zone_name else clock.zone
    try:
        return (moment if offset else _local(moment, zone)).astimezone(UTC)
    except OverflowError:
        raise ValueError("this lies beyond the years 1 to 9999") from None


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    first, second = (moment.replace(tzinfo=zone, fold=f) for f in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    skipped = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment
    what = "is skipped" if skipped else "happens twice"
    raise ValueError(f"this local time {what} when the clocks change in {zone.key}; give an offset")


def _midnight(clock: Clock, days_ago: int) -> datetime:
    day = clock.now.astimezone(clock.zone).date() - timedelta(days=days_ago)
    return datetime(day.year, day.month, day.day, tzinfo=clock.zone).astimezone(UTC)


_DAYS: Mapping[str, Callable[[Clock], datetime]] = {
    "now": lambda clock: clock.now.astimezone(UTC),
    "today": lambda clock: _midnight(clock, 0),
    "yesterday": lambda clock: _midnight(clock, 1),
}
