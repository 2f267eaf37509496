"""Waiting in one thread for what another thread finds out."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

_F = TypeVar("_F")


class Receipt(Generic[_F]):
    """Waits for the fate of one message.

    Attributes:
        failure: Why it was not acknowledged; None when it was, and as long as its fate is open.
    """

    __slots__ = ("_known", "failure")

    def __init__(self) -> None:
        self._known = threading.Event()
        self.failure: _F | None = None

    def settle(self, failure: _F | None) -> None:
        """Tell its fate.

        Args:
            failure: None when it was acknowledged, else why not.
        """
        self.failure = failure
        self._known.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait until its fate is known; False when that takes longer.

        Args:
            timeout_s: Seconds to wait at most.
        """
        return self._known.wait(timeout_s)
