"""Hours of the day in which nobody is to be disturbed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The same hours every day, on the clocks of one zone.

    Attributes:
        begin: First minute that is quiet.
        end: First minute that is not; before ``begin`` when midnight lies between them.
        zone: Whose clocks.
    """

    begin: time
    end: time
    zone: ZoneInfo

    def cover(self, moment: datetime) -> bool:
        """Return whether a moment is a quiet one.

        Args:
            moment: With a zone, of any name.
        """
        clock = moment.astimezone(self.zone).time()
        if self.begin < self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end
