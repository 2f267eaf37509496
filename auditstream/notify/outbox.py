"""When the notices of one rule go out: at once, collected, after quiet hours, not too many, not twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from auditstream.notify.notices import Notice
from auditstream.notify.rules import Rule


class Outbox:
    """The notices of one rule that wait. It knows no clock: every call is told the time. For one thread.

    Args:
        rule: The rule.
        keys: When a key was told of last, of the time that counts; from the delivery log.
        sent: When messages were sent, of the time that counts, ascending; from the delivery log.
    """

    def __init__(self, rule: Rule, keys: Mapping[bytes, datetime] | None = None, sent: Iterable[datetime] = ()) -> None:
        self.rule = rule
        # In the order of their times, so that the oldest are found first.
        self._keys = dict(sorted((keys or {}).items(), key=lambda item: item[1]))
        self._sent = deque(sent)
        self._waiting: list[Notice] = []
        #: So many of the first ones have waited for a reason, and go out together.
        self._held = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def is_duplicate(self, key: bytes, now: datetime) -> bool:
        """Return whether a key was told of already in the time of the rule; else it is told of from now on."""
        if not self.rule.deduplicate_s:
            return False
        oldest = now - timedelta(seconds=self.rule.deduplicate_s)
        for known, told_at in list(self._keys.items()):
            if told_at > oldest:
                break
            del self._keys[known]
        if key in self._keys:
            return True
        self._keys[key] = now
        return False

    def unsay(self, key: bytes) -> None:
        """Forget that a key was told of: it could not be written down."""
        self._keys.pop(key, None)

    def add(self, notices: Iterable[Notice]) -> None:
        """Take notices that have just come."""
        self._waiting += notices

    def restore(self, notices: Iterable[Notice]) -> None:
        """Take notices that an earlier process left; those of a rule that collects go out together."""
        found = list(notices)
        self._waiting = found + self._waiting
        self._held += len(found) if self.rule.collects else 0

    def forget(self, partitions: Collection[int]) -> None:
        """Drop the notices of partitions that somebody else has now."""
        before = self._waiting[: self._held]
        self._held = sum(n.partition not in partitions for n in before)
        self._waiting = [n for n in self._waiting if n.partition not in partitions]

    def take(self, now: datetime) -> list[tuple[Notice, ...]]:
        """Take out what is to be sent now, one tuple per message."""
        if not self._waiting:
            return []
        if self.rule.quiet is not None and self.rule.quiet.cover(now):
            self._held = len(self._waiting)
            return []
        if self.rule.digest_s and now < self._waiting[0].recorded_at + timedelta(seconds=self.rule.digest_s):
            return []
        messages = self._messages()
        count = min(len(messages), self._allowed(now))
        self._sent.extend([now] * count if self.rule.rate else [])
        self._waiting = [n for message in messages[count:] for n in message]
        self._held = len(self._waiting)
        return messages[:count]

    def _messages(self) -> list[tuple[Notice, ...]]:
        if self.rule.digest_s:
            return [tuple(self._waiting)]
        held, fresh = self._waiting[: self._held], self._waiting[self._held :]
        together = [tuple(held)] if held else []
        return together + [(notice,) for notice in fresh]

    def _allowed(self, now: datetime) -> int:
        """Return how many messages the rate limit lets through."""
        rate = self.rule.rate
        if rate is None:
            return len(self._waiting)
        while self._sent and self._sent[0] <= now - timedelta(seconds=rate.window_s):
            self._sent.popleft()
        return max(0, rate.messages - len(self._sent))
