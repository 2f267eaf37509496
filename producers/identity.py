"""Event ids that sort by time and never repeat within a process: UUID version 7."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

_TAIL_BITS = 74
_RAND_B_BITS = 62
_RAND_B = (1 << _RAND_B_BITS) - 1


class EventIds:
    """Makes UUIDs of version 7, each greater than the one before it.

    Within one millisecond the random tail is raised by a random step; when the clock stands still or goes back, the
    last millisecond is kept. Thread-safe.

    Source: RFC 9562, section 5.7 (layout) and 6.2, method 2 (monotonic random).
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns, random: Callable[[int], bytes] = os.urandom) -> None:
        self._clock_ns, self._random = clock_ns, random
        self._lock = threading.Lock()
        self._ms, self._tail = 0, 0

    def next(self) -> str:
        """Return a new id in canonical text form."""
        with self._lock:
            now = self._clock_ns() // 1_000_000
            if now > self._ms:
                self._restart(now)
            else:
                self._step()
            return _text(self._ms, self._tail)

    def _restart(self, ms: int) -> None:
        # The highest bit stays clear, so that a millisecond has room for 2^41 average steps before it overflows.
        self._ms, self._tail = ms, int.from_bytes(self._random(10), "big") & ((1 << (_TAIL_BITS - 1)) - 1)

    def _step(self) -> None:
        self._tail += 1 + int.from_bytes(self._random(4), "big")
        if self._tail >> _TAIL_BITS:
            self._restart(self._ms + 1)


def _text(ms: int, tail: int) -> str:
    number = ms << 80 | 7 << 76 | tail >> _RAND_B_BITS << 64 | 2 << 62 | tail & _RAND_B
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_ids = EventIds()


def new_event_id() -> str:
    """Return a UUID version 7 that is greater than every earlier one of this process."""
    return _ids.next()
