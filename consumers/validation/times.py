"""The instants that the tables can hold, and how far clocks may be apart."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from consumers.arrays import Bools
from consumers.batch import Int64s

#: ClickHouse's DateTime64 holds 1900-01-01 to 2299-12-31; no event is older than Unix time.
#: Source: https://clickhouse.com/docs/sql-reference/data-types/datetime64
LAST_US = 10_413_791_999_999_999
LAST_MS = LAST_US // 1000


def in_range(times_us: Int64s) -> Bools:
    """Tell which instants lie from 1970-01-01 to 2299-12-31 UTC.

    Args:
        times_us: Microseconds since 1970 UTC; int64[n].
    """
    return (times_us >= 0) & (times_us <= LAST_US)


def received_ms(timestamps_ms: Int64s) -> tuple[Int64s, Bools]:
    """Return when records were received, and where that is known.

    A producer may set any timestamp, also none (-1). One that the tables cannot hold becomes 0.

    Args:
        timestamps_ms: Kafka timestamps, milliseconds since 1970 UTC; int64[n].
    """
    # 0 is what an unknown time is stored as, so a genuine 0 is unknown as well.
    known = (timestamps_ms > 0) & (timestamps_ms <= LAST_MS)
    return np.where(known, timestamps_ms, 0), known


def shown_time(time_us: int) -> str:
    """Return an instant as reasons show it: ISO 8601 where there is such a date, else the number."""
    try:
        return datetime.fromtimestamp(time_us // 1_000_000, UTC).replace(microsecond=time_us % 1_000_000).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{time_us} µs since 1970"
