"""A server that a test may stop, kill, freeze and start again with its data."""

from __future__ import annotations

from typing import Protocol


class Server(Protocol):
    """One server on loopback. After ``start`` it answers; its address and its data stay the same over restarts."""

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            TimeoutError: It does not answer in time; the end of its log is in the message.
        """
        ...

    def stop(self) -> None:
        """Stop it in order and wait."""
        ...

    def kill(self) -> None:
        """End it at once (SIGKILL); its data stay."""
        ...

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered."""
        ...

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        ...

    def close(self) -> None:
        """Stop it for good. Idempotent."""
        ...
