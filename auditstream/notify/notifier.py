"""The notifier: reads every event, has the rules speak of it, and never stops for one that cannot be read.

The order that makes its promise true; each step rests on the one before:

1. A partition that comes is read from the committed offset on, and notices of it without an end are taken up again
   from the delivery log.
2. The messages of a batch become events as a worker makes them: decoded, validated, enriched. What cannot be read is
   counted; the worker keeps it as a dead letter.
3. The notices of matching events are written to the delivery log as ``pending``, unless it has them.
4. Only then is the offset committed.
5. Messages are sent when they are due, and their end is written after.

So every matching event is told of at least once. It is told of twice when the process ends between sending a message
and writing its end.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import TypeVar

import pyarrow as pa
import structlog

from auditstream.notify.desk import Desk
from auditstream.notify.sender import Sender
from consumers.backoff import Backoff
from consumers.batch import MessageBatch, Payloads
from consumers.errors import BrokerUnavailable
from consumers.metrics import Metrics
from consumers.processing import Processor
from consumers.progress import Progress
from consumers.subscription import Subscription
from schemas.errors import RegistryUnavailable, SchemaError
from sinks.errors import SinkUnavailable
from sinks.sink import OffsetRange

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

_TURN_S = 0.2
#: Notices in memory above which no further events are read; they stay in Kafka.
_MOST_WAITING = 100_000
#: Seconds that messages under way may take when a partition goes to somebody else.
_HAND_OVER_S = 10.0


class Stopped(Exception):
    """A stop was asked for while something was waited for."""


class Notifier:
    """The loop; used by one thread, but for ``stop``.

    Args:
        processor: Makes events of messages.
        desk: The rules.
        sender: Sends messages; started and closed here.
        metrics: Counts.
        progress: What the health probes ask.
        stop_budget_s: Seconds that messages under way may take at a stop.
    """

    def __init__(
        self,
        processor: Processor,
        desk: Desk,
        sender: Sender,
        *,
        metrics: Metrics,
        progress: Progress,
        stop_budget_s: float,
    ) -> None:
        self._processor, self._desk, self._sender = processor, desk, sender
        self._metrics, self._progress, self._stop_budget_s = metrics, progress, stop_budget_s
        self._stop = threading.Event()
        self._leaving = False
        self._outage = ""

    def stop(self) -> None:
        """Ask it to finish; safe from any thread and from signal handlers."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, shorter when a stop is asked for."""
        self._stop.wait(seconds)

    def gone(self, partitions: Collection[int]) -> None:
        """Let go of partitions: finish what is under way, leave the rest to the next owner."""
        if not self._leaving and not self._sender.drain(_HAND_OVER_S):
            log.warning("handed_over_unsent", under_way=self._sender.under_way, hint="some may be sent twice")
        self._desk.forget(partitions)

    def run(self, subscription: Subscription) -> None:
        """Work until ``stop`` is called.

        Raises:
            MustStop: Kafka's client gave up.
            SinkError: The database refuses for good.
            SchemaError: The registry cannot be used with these settings.
        """
        subscription.open()
        self._sender.start()
        try:
            with suppress(Stopped):
                self._patiently(subscription, "delivery_log", self._desk.open)
                while not self.stopping:
                    self._turn(subscription)
        finally:
            self._leave(subscription)

    def _turn(self, subscription: Subscription) -> None:
        if self._sender.failure is not None:
            raise self._sender.failure
        for batch in self._fetched(subscription):
            self._take(subscription, batch)
        for message in self._desk.messages():
            self._sender.submit(message)
        subscription.commit()
        self._metrics.set("auditstream_notices_waiting", self._desk.waiting)
        self._turned(subscription)

    def _fetched(self, subscription: Subscription) -> list[MessageBatch]:
        if self._desk.waiting + self._sender.under_way > _MOST_WAITING:
            subscription.hold(_TURN_S, self._stop.is_set)
            return []
        batches = self._patiently(subscription, "topic", lambda: subscription.fetch(_TURN_S))
        newcomers = subscription.newcomers
        if newcomers:
            self._patiently(subscription, "delivery_log", lambda: self._desk.restore(newcomers))
            subscription.greet(newcomers)
        return batches

    def _take(self, subscription: Subscription, batch: MessageBatch) -> None:
        self._metrics.count("auditstream_messages_consumed_total", len(batch.offsets))
        tables = self._patiently(subscription, "registry", lambda: list(self._tables(batch)))
        notices = [notice for table in tables for notice in self._desk.notices(table)]
        self._patiently(subscription, "delivery_log", lambda: self._desk.record(notices))
        if subscription.owns(batch.range.partition):
            subscription.done(batch)
            self._progress.advanced()
        else:  # it went to somebody else while something was waited for
            self._desk.forget({batch.range.partition})

    def _tables(self, batch: MessageBatch) -> Iterator[pa.Table]:
        try:
            processed = self._processor.process(batch)
        except SchemaError:
            raise
        except Exception as defect:
            if len(batch.offsets) > 1:
                for one in _singly(batch):
                    yield from self._tables(one)
                return
            # Whatever a message does to its reader, those behind it are read.
            self._metrics.count("auditstream_notify_skipped_total", reason="defect")
            log.warning(
                "message_skipped", partition=batch.range.partition, offset=batch.range.first, reason=str(defect)
            )
            return
        for reason, count in Counter(r.reason_code for r in processed.rejections).items():
            self._metrics.count("auditstream_notify_skipped_total", count, reason=reason)
        yield processed.sink_batch.events

    def _patiently(self, subscription: Subscription, stage: str, call: Callable[[], _T]) -> _T:
        """Call until it works, waiting out outages as a member of the group.

        Raises:
            Stopped: A stop was asked for meanwhile.
        """
        backoff = Backoff()
        while True:
            try:
                answer = call()
            except (BrokerUnavailable, RegistryUnavailable, SinkUnavailable) as error:
                reason = getattr(error, "reason", stage)
                self._outage = f"{stage} ({reason})"
                self._metrics.count("auditstream_retries_total", stage=stage, reason=reason)
                log.warning("waiting", stage=stage, reason=reason, detail=str(error))
                self._turned(subscription)
                subscription.hold(backoff.next_s(getattr(error, "retry_after_s", 0.0)), self._stop.is_set)
                if self.stopping:
                    raise Stopped from error
                continue
            self._outage = ""
            return answer

    def _turned(self, subscription: Subscription) -> None:
        outage = f"Kafka ({subscription.unreachable})" if subscription.unreachable else self._outage
        self._progress.turned(busy=False, waiting_for=outage)
        self._metrics.set("auditstream_ready", float(self._progress.ready()[0]))

    def _leave(self, subscription: Subscription) -> None:
        """Give every message that is due one attempt, commit, leave the group; the log keeps the rest."""
        self._leaving = True
        self._sender.close(self._stop_budget_s)
        subscription.close()
        log.info("notifier_stopped", waiting=self._desk.waiting)


def _singly(batch: MessageBatch) -> Iterator[MessageBatch]:
    """Yield a batch for each message of a batch."""
    range_ = batch.range
    for place, offset in enumerate(batch.offsets.tolist()):
        message = batch.messages[place]
        yield MessageBatch(
            OffsetRange(range_.topic, range_.topic_id, range_.partition, offset, offset),
            Payloads.of([message.value]),
            batch.offsets[place : place + 1],
            batch.timestamps_ms[place : place + 1],
            [message],
        )
