"""What can go wrong in a sink, by what the caller should do about it.

SinkError
├── SinkUnavailable    wait ``retry_after_s``, then ask ``complete`` to finish the batch: nothing or all may be stored
├── SinkMisconfigured  stop: the delivery promise would not hold, or a setting is wrong
└── SinkStopped        stop: the database refuses in a way that waiting does not mend (code in ``code``)
"""

from __future__ import annotations


class SinkError(Exception):
    """Base of everything a sink raises."""


class SinkUnavailable(SinkError):
    """The sink could not confirm a write or a read; whether a write took place is unknown.

    Attributes:
        reason: Short stable name for metrics, for example ``network``, ``too_many_parts``, ``memory``, ``read_only``.
        retry_after_s: Seconds to wait before the next attempt at least.
        code: ClickHouse error code, 0 when there was no answer.
    """

    def __init__(self, reason: str, detail: str, *, retry_after_s: float = 0.5, code: int = 0) -> None:
        super().__init__(f"the sink is not available ({reason}): {detail}")
        self.reason, self.retry_after_s, self.code = reason, retry_after_s, code


class SinkStopped(SinkError):
    """The database refused for a reason that waiting does not mend."""

    def __init__(self, detail: str, *, code: int = 0) -> None:
        super().__init__(f"the sink refused and will go on refusing: {detail}")
        self.code = code


class SinkMisconfigured(SinkError):
    """A setting of the database or of auditstream under which the delivery promise would not hold.

    Attributes:
        problems: One sentence each, naming table, setting, found and needed value.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the sink cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = problems
