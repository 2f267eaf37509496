"""The rules at work: which notices events give rise to, where they wait, and which messages are due."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
import structlog

from auditstream.notify.delivery_log import DeliveryLog, narrowed
from auditstream.notify.drafts import Drafts
from auditstream.notify.events import rows_of
from auditstream.notify.notices import Message, Notice
from auditstream.notify.outbox import Outbox
from auditstream.notify.rules import Rule, Rules
from auditstream.notify.tracked import Tracked
from consumers.metrics import Metrics
from query.fields import event_fields
from schemas.catalogue import Catalogue

log = structlog.get_logger(__name__)

_GONE = "the rule, or its channel, is no longer in the rules file"


class Taken(NamedTuple):
    """What became of the events of a batch."""

    told: list[Notice]
    duplicates: list[Notice]


class Desk:
    """The rules at work; for one thread.

    Args:
        rules: The rules.
        catalogue: Where titles come from.
        delivery_log: Where notices are kept.
        metrics: Counts.
        clock: The present, with zone.
    """

    def __init__(
        self,
        rules: Rules,
        catalogue: Catalogue,
        delivery_log: DeliveryLog,
        *,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._rules, self._log, self._metrics, self._clock = rules, delivery_log, metrics, clock
        self._drafts = Drafts(catalogue, self._template_failed)
        self._outboxes: dict[str, Outbox] = {}
        self._tracked = Tracked()

    @property
    def waiting(self) -> int:
        """Notices that wait for their message."""
        return sum(map(len, self._outboxes.values()))

    def open(self) -> None:
        """Read from the log which keys were told of and how many messages sent lately.

        Raises:
            SinkUnavailable: Call again later.
        """
        now = self._clock()
        self._outboxes = {rule.name: self._outbox(rule, now) for rule in self._rules.rules}

    def _outbox(self, rule: Rule, now: datetime) -> Outbox:
        span, rate = rule.deduplicate_s, rule.rate
        keys = self._log.keys(rule.name, now - timedelta(seconds=span)) if span else {}
        sent = self._log.sent(rule.name, now - timedelta(seconds=rate.window_s)) if rate else ()
        return Outbox(rule, keys, sent)

    def restore(self, partitions: Collection[int]) -> None:
        """Take up the notices of partitions that have no end yet.

        Raises:
            SinkUnavailable: Call again later.
        """
        found = self._log.pending(partitions)
        if not found:
            return
        for notice in found:
            self._end_closed(notice)
        for name, outbox in self._outboxes.items():
            mine = [narrowed(n, set(outbox.rule.channels) - self._tracked.channels(n)) for n in found if n.rule == name]
            left = [n for n in mine if n.channels]
            for notice in left:
                self._tracked.add(notice)
            outbox.restore(left)
        log.info("notices_restored", partitions=sorted(partitions), notices=len(found))

    def forget(self, partitions: Collection[int]) -> None:
        """Drop the notices of partitions that somebody else has now; the log keeps them."""
        self._tracked.forget(partitions)
        for outbox in self._outboxes.values():
            outbox.forget(partitions)

    def notices(self, events: pa.Table) -> list[Notice]:
        """Return what the rules tell of some events, in the order of the events.

        Args:
            events: Rows of ``audit_events`` as a worker makes them.
        """
        fields = frozenset[str]().union(*(rule.filter.fields for rule in self._rules.rules))
        rules, looked_at = self._rules.rules, rows_of(events, fields)
        asked = [[rule for rule in rules if rule.filter.matches(row)] for row in looked_at]
        places = [place for place, rules in enumerate(asked) if rules]
        now = self._clock()
        rows = rows_of(events.take(places), event_fields()) if places else []
        return [
            self._drafts.notice(rule, row, now)
            for place, row in zip(places, rows, strict=True)
            for rule in asked[place]
        ]

    def record(self, notices: list[Notice]) -> None:
        """Write notices to the log, those that it has not yet, and have them wait for their message.

        Raises:
            SinkUnavailable: Whether they are written is unknown; call again with the same ones.
        """
        if not notices:
            return
        known = self._log.known(notices)
        each = _first_of_each(notices)
        late = self._late(each, known)
        taken = self._sorted(n for n in each if (n.rule, n.event_id) not in known)
        try:
            self._log.begin(taken.told)
            self._log.begin(taken.duplicates, "duplicate")
        except BaseException:
            for notice in taken.told:
                self._outboxes[notice.rule].unsay(notice.key)
            raise
        self._wait([*late, *taken.told])
        self._count(taken, len(notices))

    def _late(self, notices: Iterable[Notice], known: Mapping[tuple[str, str], Collection[str]]) -> list[Notice]:
        """Return notices that were written, by a write whose answer was lost, and that nobody here is to send."""
        found = []
        for notice in notices:
            open_channels = set(known.get((notice.rule, notice.event_id), ()))
            rest = narrowed(notice, open_channels - self._tracked.channels(notice))
            if rest.channels:
                self._outboxes[notice.rule].is_duplicate(notice.key, notice.recorded_at)
                found.append(rest)
        return found

    def _wait(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            self._tracked.add(notice)
            self._outboxes[notice.rule].add([notice])

    def ended(self, message: Message) -> None:
        """Hear that a message has its end in the log; safe from any thread."""
        self._tracked.discard(message)

    def messages(self) -> list[Message]:
        """Take out the messages that are due."""
        now = self._clock()
        return [
            message
            for outbox in self._outboxes.values()
            for notices in outbox.take(now)
            for message in self._drafts.messages(outbox.rule, notices)
        ]

    def _sorted(self, notices: Iterable[Notice]) -> Taken:
        taken = Taken([], [])
        for notice in notices:
            twice = self._outboxes[notice.rule].is_duplicate(notice.key, notice.recorded_at)
            (taken.duplicates if twice else taken.told).append(notice)
        return taken

    def _end_closed(self, notice: Notice) -> None:
        rule = self._rules.rule(notice.rule)
        for channel in set(notice.channels) - set(rule.channels if rule else ()):
            message = Message(notice.rule, channel, (notice,), notice.text)
            self._log.end(message, "failed", self._clock(), attempts=0, error=_GONE)

    def _count(self, taken: Taken, all_: int) -> None:
        results: Mapping[str, int] = {
            "told": len(taken.told),
            "duplicate": len(taken.duplicates),
            "known": all_ - len(taken.told) - len(taken.duplicates),
        }
        for result, count in results.items():
            self._metrics.count("auditstream_notices_total", count, result=result)

    def _template_failed(self, rule: str, reason: str) -> None:
        self._metrics.count("auditstream_notify_skipped_total", reason="template")
        log.warning("template_failed", rule=rule, reason=reason)


def _first_of_each(notices: Iterable[Notice]) -> list[Notice]:
    """Return notices without those that repeat rule and event: a service may send an event twice."""
    first: dict[tuple[str, str], Notice] = {}
    for notice in notices:
        first.setdefault((notice.rule, notice.event_id), notice)
    return list(first.values())
