"""Is this worker alive, and does it get on with its work?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """What the probes ask; written by the poll thread, read by the HTTP thread.

    Alive means that the poll loop turns. Ready means that it makes progress: partitions are settled and, as long as
    there is work, ranges are brought to their end.

    Attributes:
        timeout_s: Seconds without progress, while there is work, after which the worker is not ready.
        clock: Monotonic seconds.
    """

    timeout_s: float
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _turned_at: float = field(init=False)
    _advanced_at: float = field(init=False)
    _waiting: str = "starting"

    def __post_init__(self) -> None:
        self._turned_at = self._advanced_at = self.clock()

    def turned(self, *, busy: bool, waiting_for: str = "") -> None:
        """Note one turn of the poll loop.

        Args:
            busy: There is work that is not stored yet.
            waiting_for: What keeps the worker from taking work at all, empty when nothing does.
        """
        with self._lock:
            self._turned_at = self.clock()
            self._waiting = waiting_for
            if not busy:
                self._advanced_at = self._turned_at

    def advanced(self) -> None:
        """Note that a range was brought to its end."""
        with self._lock:
            self._advanced_at = self.clock()

    def alive(self) -> tuple[bool, str]:
        """Return whether the poll loop turns, and a sentence."""
        with self._lock:
            idle_s = self.clock() - self._turned_at
        return idle_s < self.timeout_s, f"last turn of the poll loop {idle_s:.1f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Return whether the worker makes progress, and a sentence that says why not."""
        alive, why = self.alive()
        if not alive:
            return False, why
        with self._lock:
            if self._waiting:
                return False, f"waiting for {self._waiting}"
            stalled_s = self.clock() - self._advanced_at
        if stalled_s > self.timeout_s:
            return False, f"there is work, but nothing was stored for {stalled_s:.0f} s"
        return True, "making progress"
