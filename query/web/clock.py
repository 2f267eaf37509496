"""What relative and local times of an address are read against."""

from __future__ import annotations

from datetime import UTC, datetime

from query.period import Clock
from query.web.visit import Visit


def clock_of(visit: Visit) -> Clock:
    """Return the present, with the zone of a visit."""
    return Clock(datetime.now(UTC), visit.zone.zone)
