"""What is to be told: one event by one rule, and the message in which it goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from auditstream.notify.templates import Text

#: What a row of the delivery log says of a notice. ``pending`` and ``test`` are beginnings, the others are ends.
State = Literal["pending", "sent", "failed", "duplicate", "test"]
ENDS: tuple[State, ...] = ("sent", "failed", "duplicate")
NO_MESSAGE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Notice:
    """One event that a rule tells of.

    Attributes:
        rule: Name of the rule.
        channels: Channels by which it is still to be told.
        event_id: Id of the event.
        tenant_id: Its tenant.
        event_code: Its code.
        occurred_at: When it happened.
        text: What is said of it.
        key: SHA-256 of what it has in common with events that are told of once.
        partition: Partition of the events topic that it came from.
        offset: Its offset there.
        recorded_at: When it was taken up.
    """

    rule: str
    channels: tuple[str, ...]
    event_id: str
    tenant_id: str
    event_code: str
    occurred_at: datetime
    text: Text
    key: bytes
    partition: int
    offset: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out through one channel at once.

    Attributes:
        rule: Name of the rule.
        channel: Name of the channel.
        notices: The events that it tells of, at least one.
        text: What it says.
        message_id: Its id, the same for every channel.
    """

    rule: str
    channel: str
    notices: tuple[Notice, ...]
    text: Text
    message_id: UUID = field(default_factory=uuid4)
