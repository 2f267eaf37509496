"""Rules: which events are told of, to whom, how and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from auditstream.notify.matching import EventFilter
from auditstream.notify.quiet import QuietHours
from auditstream.notify.templates import Templates


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most so many messages in so long a time; what is beyond goes into one message later.

    Attributes:
        messages: Messages.
        window_s: Seconds that slide with the clock.
    """

    messages: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: Its name, unique in its file.
        filter: Which events it is about.
        channels: Names of the channels.
        templates: What it says.
        zone: Zone of the times in its messages.
        digest_s: Seconds for which events are collected into one message; 0 for a message each.
        quiet: When nothing is sent and everything collected; None for never.
        deduplicate_s: Seconds in which a second event with the same key is not told of; 0 for telling of every event.
        rate: How many messages it may send; None for no limit.
        personal: Whether messages show personal data in clear.
    """

    name: str
    filter: EventFilter
    channels: tuple[str, ...]
    templates: Templates
    zone: ZoneInfo
    digest_s: float = 0.0
    quiet: QuietHours | None = None
    deduplicate_s: float = 0.0
    rate: RateLimit | None = None
    personal: bool = False

    @property
    def collects(self) -> bool:
        """Whether events may have to wait for their message."""
        return bool(self.digest_s or self.quiet or self.rate)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a file.

    Attributes:
        rules: The rules in the order of the file.
        channels: URL by name of a channel; ``inbox`` has none and is always there.
    """

    rules: tuple[Rule, ...]
    channels: Mapping[str, str]

    def rule(self, name: str) -> Rule | None:
        """Return the rule of a name, None when there is none."""
        return next((rule for rule in self.rules if rule.name == name), None)
