"""How long a batch may wait for more: small parts are what ClickHouse suffers from, so many partitions flush less often.

Every range becomes parts in up to four tables, one per table partition that its rows fall into. A flush every second
is fine for a dozen Kafka partitions; with hundreds of them it would make more parts than merges can take, and end in
TOO_MANY_PARTS. Two rules keep it from happening: a worker announces no more ranges a second than
``worker.ranges_per_s``, and when the database says that it has too many parts, batches wait twice as long, up to
``MOST_STRETCH`` times, and slowly less again with every range that is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_STRETCH = 32.0
_RELAX = 0.97


@dataclass(slots=True)
class Pace:
    """The age at which a batch is written although it is not full; written to by the poll thread and the write threads.

    Attributes:
        batch_age_s: Age asked for, seconds.
        ranges_per_s: Ranges that may be announced a second, all partitions together.
        stretch: Factor on the age after the database complained of too many parts, from 1.
    """

    batch_age_s: float
    ranges_per_s: float
    stretch: float = 1.0

    def age_s(self, busy_partitions: int) -> float:
        """Return the age in force, seconds.

        Args:
            busy_partitions: Partitions that have messages waiting.
        """
        return max(self.batch_age_s, busy_partitions / self.ranges_per_s) * self.stretch

    def too_many_parts(self) -> None:
        """Note that the database has too many parts."""
        self.stretch = min(MOST_STRETCH, self.stretch * 2.0)

    def stored(self) -> None:
        """Note that a range was stored."""
        self.stretch = max(1.0, self.stretch * _RELAX)
