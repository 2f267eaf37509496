"""Messages on their way: one thread per channel, so that a channel that hangs holds up no other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from auditstream.notify.channels import Channel, ChannelFailed
from auditstream.notify.delivery_log import DeliveryLog
from auditstream.notify.notices import Message, State
from consumers.backoff import Backoff
from consumers.metrics import Metrics
from sinks.errors import SinkUnavailable

log = structlog.get_logger(__name__)

_LONGEST_WAIT_S = 60.0
_TURN_S = 0.1


class Sender:
    """Hands messages to their channels, tries again, and writes what became of them.

    A message is sent first and written down after: when the process ends in between, it is sent once more.

    Args:
        channels: Channel by name.
        delivery_log: Where the ends are written.
        metrics: Counts.
        retry_s: Seconds for which a message that is not taken is tried again.
        clock: The present, with zone.
        ended: Called, by the thread of the channel, when the end of a message is written.

    Attributes:
        failure: What a thread ended with that is no outage, None when all is well.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        delivery_log: DeliveryLog,
        *,
        metrics: Metrics,
        retry_s: float,
        clock: Callable[[], datetime],
        ended: Callable[[Message], None],
    ) -> None:
        self._ended = ended
        self._log, self._metrics, self._retry_s, self._clock = delivery_log, metrics, retry_s, clock
        self._queues: dict[str, queue.SimpleQueue[Message | None]] = {name: queue.SimpleQueue() for name in channels}
        self._stopping = threading.Event()
        self._lock, self._under_way = threading.Lock(), 0
        self.failure: Exception | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(name, channel), name=f"send-{name}", daemon=True)
            for name, channel in channels.items()
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    @property
    def under_way(self) -> int:
        """Messages that were submitted and have no end yet."""
        with self._lock:
            return self._under_way

    def submit(self, message: Message) -> None:
        """Have a message sent by its channel."""
        with self._lock:
            self._under_way += 1
        self._queues[message.channel].put(message)

    def drain(self, timeout_s: float) -> bool:
        """Wait until every message has its end; False when that takes longer."""
        deadline = time.monotonic() + timeout_s
        while self.under_way and time.monotonic() < deadline:
            time.sleep(_TURN_S)
        return self.under_way == 0

    def close(self, timeout_s: float) -> None:
        """Let the attempts under way finish; what has no end then is sent after the next start."""
        self._stopping.set()
        for waiting in self._queues.values():
            waiting.put(None)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, name: str, channel: Channel) -> None:
        while (message := self._queues[name].get()) is not None and not self._stopping.is_set():
            try:
                self._deliver(channel, message)
            except Exception as error:
                # The notifier asks for it each turn, and stops with it.
                log.exception("sender_failed", channel=name)
                self.failure = error
                return
            finally:
                with self._lock:
                    self._under_way -= 1

    def _deliver(self, channel: Channel, message: Message) -> None:
        backoff, deadline = Backoff(most_s=_LONGEST_WAIT_S), time.monotonic() + self._retry_s
        while True:
            try:
                channel.send(message.text)
            except ChannelFailed as error:
                self._count(message, "retried")
                told = {"rule": message.rule, "channel": message.channel, "message": str(message.message_id)}
                log.warning("not_delivered", reason=str(error), **told)
                if time.monotonic() >= deadline:
                    self._end(message, "failed", backoff.attempts + 1, str(error))
                    return
                if self._stopping.wait(backoff.next_s(0.5)):
                    return  # its notices are pending in the log
                continue
            self._end(message, "sent", backoff.attempts + 1, "")
            return

    def _end(self, message: Message, state: State, attempts: int, error: str) -> None:
        backoff = Backoff()
        while True:
            try:
                self._log.end(message, state, self._clock(), attempts=attempts, error=error)
            except SinkUnavailable as outage:
                log.warning("waiting", stage="delivery_log", reason=outage.reason, detail=str(outage))
                if self._stopping.wait(backoff.next_s(outage.retry_after_s)):
                    return
                continue
            self._ended(message)
            self._count(message, state)
            return

    def _count(self, message: Message, result: str) -> None:
        self._metrics.count("auditstream_notifications_total", channel=message.channel, result=result)
