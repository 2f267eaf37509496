"""How long a batch may wait for more: a database that has too many parts is given fewer and larger ones.

Batches that are written because of their age are written together, as one block per table, so that the number of parts
does not grow with the number of partitions. When the database says nevertheless that it has too many parts, batches
wait twice as long, up to ``MOST_STRETCH`` times, and slowly less again with every block that is stored.
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
        stretch: Factor on the age after the database complained of too many parts, from 1.
    """

    batch_age_s: float
    stretch: float = 1.0

    @property
    def age_s(self) -> float:
        """The age in force, seconds."""
        return self.batch_age_s * self.stretch

    def too_many_parts(self) -> None:
        """Note that the database has too many parts."""
        self.stretch = min(MOST_STRETCH, self.stretch * 2.0)

    def stored(self) -> None:
        """Note that something was stored."""
        self.stretch = max(1.0, self.stretch * _RELAX)
