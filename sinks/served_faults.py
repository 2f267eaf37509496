"""Faults that tests order from the served engine: an insert's answer dropped or delayed, an insert lost or refused."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Action = Literal["drop_request", "drop_answer", "delay_request", "delay_answer", "refuse"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What shall happen to one insert.

    Attributes:
        insert: Which insert from now on, 1 is the next one; data inserts count, other statements do not.
        action: ``drop_request`` closes the connection before it runs, ``drop_answer`` after it ran; ``delay_request``
            and ``delay_answer`` wait ``seconds`` before or after; ``refuse`` answers with ``code`` and runs nothing.
        seconds: Length of a delay.
        code: ClickHouse error code of a refusal.
    """

    insert: int
    action: Action
    seconds: float = 0.0
    code: int = 241

    def __post_init__(self) -> None:
        if self.action not in get_args(Action):
            raise ValueError(f"action {self.action!r} is none of {', '.join(get_args(Action))}")
        if self.insert < 1 or self.seconds < 0:
            raise ValueError("insert counts from 1 and seconds from 0")


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._pending: dict[int, Fault] = {}
        self._seen = 0
        self._lock = threading.Lock()

    def order(self, fault: Fault) -> None:
        """Let a fault happen to a later insert."""
        with self._lock:
            self._pending[self._seen + fault.insert] = fault

    def next(self) -> Fault | None:
        """Count an insert and return what shall happen to it."""
        with self._lock:
            self._seen += 1
            return self._pending.pop(self._seen, None)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._pending.clear()

    def describe(self) -> dict[str, Any]:
        """Return the number of inserts seen and the faults to come, as JSON data."""
        with self._lock:
            pending: Sequence[Fault] = [self._pending[n] for n in sorted(self._pending)]
            return {"inserts": self._seen, "pending": [asdict(f) for f in pending]}
