"""What can go wrong while emitting, by what the caller should do about it.

ProducerError
├── InvalidEvent           correct the event: ``field``, ``value`` and ``expected`` say what
├── DeliveryFailed         not confirmed; send again with the same ``event_id`` if ``may_arrive`` is acceptable to readers
├── CommandFailed          not confirmed; a command may be sent again when its receiver knows repetitions
├── SpoolFull              slow down, or give up the event knowingly: it was not accepted
├── SpoolLocked            another process owns the spool directory: give each process its own
├── SpoolUnusable          the spool directory cannot be written or read (``detail``)
├── ProducerMisconfigured  stop: settings contradict each other (``problems``)
├── ProducerClosed         stop: the producer was closed
└── ProducerForked         make a producer in each process after the fork
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_SHOWN = 120


class ProducerError(Exception):
    """Base of everything the package raises."""


class InvalidEvent(ProducerError):
    """An event does not fit the schema or a rule of the envelope; nothing was sent.

    Attributes:
        field: Path of the field, for example ``api.status_code``.
        value: The value given, shortened for the message only.
        expected: What would have been accepted.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
        super().__init__(f"{field}: {shown} is not {expected}")
        self.field, self.value, self.expected = field, value, expected


class DeliveryFailed(ProducerError):
    """Kafka did not confirm an event.

    Attributes:
        event_id: Identity of the event; sending the event again under it keeps the repetition recognisable.
        reason: What the client library or the deadline said.
        may_arrive: The event may still be, or already have been, written by the broker.
    """

    def __init__(self, event_id: str, reason: str, *, may_arrive: bool) -> None:
        fate = "it may still arrive; repeat it only with the same event_id" if may_arrive else "it was not written"
        super().__init__(f"event {event_id} was not acknowledged: {reason}; {fate}")
        self.event_id, self.reason, self.may_arrive = event_id, reason, may_arrive


class CommandFailed(ProducerError):
    """Kafka did not confirm a command.

    Attributes:
        topic: Topic that it was for.
        reason: What the client library or the deadline said.
        may_arrive: The command may still be, or already have been, written by the broker.
    """

    def __init__(self, topic: str, reason: str, *, may_arrive: bool) -> None:
        fate = "it may still arrive" if may_arrive else "it was not written"
        super().__init__(f"a command for topic {topic} was not acknowledged: {reason}; {fate}")
        self.topic, self.reason, self.may_arrive = topic, reason, may_arrive


class SpoolFull(ProducerError):
    """The spool has no room for an event; the event was not accepted.

    Attributes:
        limit_bytes: Size that the spool may reach.
        detail: Which limit was met: the setting or the file system.
    """

    def __init__(self, limit_bytes: int, detail: str) -> None:
        super().__init__(f"the spool is full ({detail}; limit {limit_bytes} bytes): the event was not accepted")
        self.limit_bytes, self.detail = limit_bytes, detail


class SpoolLocked(ProducerError):
    """Another process owns the spool directory.

    Attributes:
        directory: The directory.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(f"spool directory {directory} belongs to another running process; each needs its own")
        self.directory = directory


class SpoolUnusable(ProducerError):
    """The spool directory cannot be used.

    Attributes:
        detail: What was tried and what happened.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(f"the spool cannot be used: {detail}")
        self.detail = detail


class ProducerMisconfigured(ProducerError):
    """Settings that contradict each other.

    Attributes:
        problems: One sentence each, naming setting, value and what was expected.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the producer cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = list(problems)


class ProducerClosed(ProducerError):
    """The producer was closed before the call."""

    def __init__(self) -> None:
        super().__init__("the producer is closed")


class ProducerForked(ProducerError):
    """The producer was made in a parent process; the threads of its Kafka client did not survive the fork."""

    def __init__(self, parent: int, child: int) -> None:
        super().__init__(f"the producer belongs to process {parent}, not to {child}: make one after the fork")
        self.parent, self.child = parent, child
