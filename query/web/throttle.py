"""How often an address may fail to sign in."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

_WINDOW_S = 60.0
#: Addresses remembered at most; the one that failed longest ago is forgotten first.
_MOST_ADDRESSES = 10_000


class Throttle:
    """Counts failures by address over the last minute. Thread-safe."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare it.

        Args:
            per_minute: Failures after which an address has to wait.
            clock: Monotonic time, seconds.
        """
        self._most, self._clock = per_minute, clock
        self._failures: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> int:
        """Return how many seconds an address has to wait, 0 when it may try."""
        with self._lock:
            failures = self._recent(address)
            if len(failures) < self._most:
                return 0
            return max(1, round(failures[0] + _WINDOW_S - self._clock()))

    def failed(self, address: str) -> None:
        """Count a failure."""
        with self._lock:
            failures = self._recent(address)
            failures.append(self._clock())
            # Moved to the end, so that the first one failed longest ago.
            self._failures.pop(address, None)
            self._failures[address] = failures
            if len(self._failures) > _MOST_ADDRESSES:
                del self._failures[next(iter(self._failures))]

    def _recent(self, address: str) -> deque[float]:
        failures = self._failures.get(address, deque(maxlen=self._most))
        while failures and failures[0] <= self._clock() - _WINDOW_S:
            failures.popleft()
        return failures
