"""One budget for everything a worker holds in memory between fetch and commit."""

from __future__ import annotations

from dataclasses import dataclass

#: What a message costs beyond its value: seven numbers that tell of it, its key, and what a batch makes of them.
MESSAGE_OVERHEAD_BYTES = 160


@dataclass(slots=True)
class Budget:
    """Counts bytes held; used by one thread only.

    Attributes:
        limit_bytes: From here on nothing more is fetched.
        held_bytes: Bytes held now.
        resume_share: Share of the limit below which fetching goes on.
    """

    limit_bytes: int
    held_bytes: int = 0
    resume_share: float = 0.75

    def take(self, size_bytes: int) -> None:
        """Count bytes that were fetched."""
        self.held_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Count bytes that were stored or dropped.

        Raises:
            ValueError: More is given back than was taken, a mistake in the worker.
        """
        if size_bytes > self.held_bytes:
            raise ValueError(f"budget: {size_bytes} bytes given back, {self.held_bytes} held")
        self.held_bytes -= size_bytes

    @property
    def exhausted(self) -> bool:
        """Nothing more may be fetched."""
        return self.held_bytes >= self.limit_bytes

    @property
    def roomy(self) -> bool:
        """Enough has been given back for fetching to go on."""
        return self.held_bytes <= self.limit_bytes * self.resume_share
