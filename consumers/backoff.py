"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Doubling waits with full jitter, so that workers do not come back all at once.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Attributes:
        first_s: Longest first wait, seconds.
        most_s: Longest wait ever, seconds.
        attempts: Waits handed out since the last success.
    """

    first_s: float = 0.1
    most_s: float = 10.0
    attempts: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def next_s(self, at_least_s: float = 0.0) -> float:
        """Return the next wait, seconds, not below what the other side asked for."""
        ceiling = min(self.most_s, self.first_s * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        return max(at_least_s, self._random.uniform(ceiling / 2, ceiling))

    def reset(self) -> None:
        """Start again from the first wait, after a success."""
        self.attempts = 0
