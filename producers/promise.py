"""What both ways of delivering have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from producers.errors import DeliveryFailed

#: Called once when the fate of an event is known, by a thread of the producer: event id, and None when acknowledged.
OnFate = Callable[[str, DeliveryFailed | None], None]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many events went where, since the producer was made.

    ``emitted = acknowledged + failed + those on their way``.

    Attributes:
        emitted: Accepted from the caller.
        acknowledged: Confirmed by Kafka.
        failed: Given up or refused by Kafka; every one of them was reported.
        spooled: On disk and not confirmed now, those of earlier processes included.
    """

    emitted: int
    acknowledged: int
    failed: int
    spooled: int


class Tally:
    """Counts what was accepted and what became of it, and lets threads wait for the rest.

    ``accepted`` is called by one thread at a time, ``settled`` likewise by one at a time, not always the same ones.
    Each has its own counters, so that neither takes a lock for every event.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = 0
        self.emitted = self.acknowledged = self.failed = 0

    @property
    def outstanding(self) -> int:
        """Accepted events whose fate is open."""
        return self.emitted - self.acknowledged - self.failed

    def accepted(self, count: int = 1) -> None:
        """Count accepted events; minus one takes back what was counted and not accepted."""
        self.emitted += count
        if count < 0:
            self._tell()

    def settled(self, *, acknowledged: bool) -> None:
        """Count the fate of one event."""
        if acknowledged:
            self.acknowledged += 1
        else:
            self.failed += 1
        # Whoever waits says so before looking at the counters, so that one of the two sees the other.
        if self._waiting:
            self._tell()

    def _tell(self) -> None:
        if self.outstanding <= 0:
            with self._changed:
                self._changed.notify_all()

    def wait(self, timeout_s: float) -> int:
        """Wait until nothing is outstanding; return how much still is."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: self.outstanding <= 0, timeout_s)
            finally:
                self._waiting -= 1
            return self.outstanding


class Delivery(Protocol):
    """Takes encoded events and brings them to Kafka. Calls of ``accept`` come one at a time."""

    def accept(self, event_id: str, key: bytes, body: bytes, on_fate: OnFate | None, deadline_s: float) -> None:
        """Take one event.

        Args:
            event_id: Its identity.
            key: Kafka key; empty for none.
            body: Avro body of the current schema version, without wire header.
            on_fate: Called when its fate is known.
            deadline_s: Time on the monotonic clock until which to wait for room, seconds.

        Raises:
            DeliveryFailed: No room in time (strict).
            SpoolFull: No room (best effort).
        """
        ...

    def counts(self) -> Counts:
        """Return the counts."""
        ...

    def flush(self, timeout_s: float) -> int:
        """Wait until everything accepted is settled; return how many events are not."""
        ...

    def close(self) -> None:
        """Stop. What is unacknowledged fails (strict) or stays on disk (best effort)."""
        ...
