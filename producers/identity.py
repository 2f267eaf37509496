"""Event ids that sort by time and never repeat within a process: UUID version 7."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable

_TAIL_BITS = 74
_NODE = (1 << 48) - 1
_STEPS = struct.Struct(">256I")


class EventIds:
    """Makes UUIDs of version 7, each greater than the one before it.

    Within one millisecond the random tail is raised by a random step; when the clock stands still or goes back, the
    last millisecond is kept. Thread-safe. After a fork call ``forget``, else parent and child take the same steps.

    Source: RFC 9562, section 5.7 (layout) and 6.2, method 2 (monotonic random).
    """

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns, random: Callable[[int], bytes] = os.urandom) -> None:
        self._clock_ns, self._random = clock_ns, random
        self._ms = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew in a later millisecond, with a lock of its own: another thread may have held it at the fork."""
        self._lock = threading.Lock()
        self._steps: list[int] = []
        self._restart(self._ms + 1)

    def next(self) -> str:
        """Return a new id in canonical text form."""
        with self._lock:
            now = self._clock_ns() // 1_000_000
            if now > self._ms:
                self._restart(now)
            else:
                self._step()
            tail = self._tail
            # The old way of formatting takes two thirds of an f-string's time with so many numbers.
            return "%s%03x-%04x-%012x" % (self._head, tail >> 62, 0x8000 | tail >> 48 & 0x3FFF, tail & _NODE)  # noqa: UP031

    def _restart(self, ms: int) -> None:
        # The highest bit stays clear, so that a millisecond has room for 2^41 average steps before it overflows.
        self._ms, self._tail = ms, int.from_bytes(self._random(10), "big") & ((1 << (_TAIL_BITS - 1)) - 1)
        self._head = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7"

    def _step(self) -> None:
        if not self._steps:  # drawn in blocks: asking the system costs more than all the rest of an id
            self._steps = list(_STEPS.unpack(self._random(_STEPS.size)))
        self._tail += 1 + self._steps.pop()
        if self._tail >> _TAIL_BITS:
            self._restart(self._ms + 1)


_ids = EventIds()
os.register_at_fork(after_in_child=_ids.forget)


def new_event_id() -> str:
    """Return a UUID version 7 that is greater than every earlier one of this process."""
    return _ids.next()
