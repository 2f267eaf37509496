"""Free ports on loopback, and waiting for one to answer."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

LOOPBACK = "127.0.0.1"
# Below the range from which Linux and macOS take the ports of outgoing connections, so that none of those can take a
# port between its choice here and the start of its server.
_FIRST, _LAST = 15_000, 32_000
# Not seeded by pytest-randomly: two test runs at once must not draw the same ports.
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    while True:
        port = _random.randrange(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str, every_s: float = 0.05) -> None:
    """Poll until a condition holds.

    Raises:
        TimeoutError: It did not hold in time; names ``what``.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s:g} s")
        time.sleep(every_s)
