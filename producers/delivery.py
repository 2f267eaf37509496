"""The Kafka client of producers: its safe configuration, its errors in our words, and the thread that serves it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from producers.errors import DeliveryFailed
from producers.settings import ProducerSettings
from schemas.settings import KafkaSettings

_log = structlog.get_logger("auditstream.producer")

Headers = Sequence[tuple[str, bytes]]
#: Called once per message by the serving thread: None when acknowledged, else why not.
OnDone = Callable[["SendFailure | None"], None]
#: The same as the client calls it, with its own error and message. ``reporting`` makes one.
Report = Callable[[KafkaError | None, object], None]

_POLL_S = 0.05
#: Seconds in which the same problem is not logged again.
_QUIET_S = 30.0
#: The broker refuses these for what the message is; sending it again cannot help.
_REJECTED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError._BAD_MSG,
    }
)
#: The client knows that the broker never saw the message.
_NEVER_SENT = frozenset({KafkaError._PURGE_QUEUE, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})


class SendFailure:
    """Why one message was not acknowledged.

    Attributes:
        reason: The client's words.
        kind: ``rejected`` will never be taken; ``returned`` may be sent again.
        may_arrive: It may have been written all the same.
    """

    __slots__ = ("kind", "may_arrive", "reason")

    def __init__(self, reason: str, kind: Literal["rejected", "returned"], *, may_arrive: bool) -> None:
        self.reason, self.kind, self.may_arrive = reason, kind, may_arrive

    def error(self, event_id: str) -> DeliveryFailed:
        """Return the failure as the error of an event."""
        return DeliveryFailed(event_id, self.reason, may_arrive=self.may_arrive)


def translated(error: KafkaError) -> SendFailure:
    """Say in our words why a message failed."""
    rejected = error.code() in _REJECTED
    may_arrive = not rejected and error.code() not in _NEVER_SENT
    return SendFailure(f"{error.name()}: {error.str()}", "rejected" if rejected else "returned", may_arrive=may_arrive)


def reporting(on_done: OnDone) -> Report:
    """Return what the client is to call for a message; one report may serve any number of messages."""

    def report(error: KafkaError | None, message: object) -> None:
        del message
        on_done(None if error is None else translated(error))

    return report


def client_properties(kafka: KafkaSettings, settings: ProducerSettings, *, give_up: bool) -> dict[str, Any]:
    """Return the librdkafka properties of a producer.

    Args:
        kafka: The connection and the user's further properties.
        settings: Sizes and times.
        give_up: A message fails after ``delivery_timeout_s``; False keeps trying for ever.
    """
    tunable = {
        "client.id": "auditstream-producer",
        "linger.ms": settings.linger_ms,
        "compression.type": settings.compression,
        "queue.buffering.max.messages": settings.queue_events,
        "queue.buffering.max.kbytes": max(1, settings.queue_bytes // 1024),
        "message.max.bytes": settings.message_bytes,
        # Level critical: what goes wrong comes through the error callback, which does not repeat itself four times a second.
        "log_level": 2,
        # Java's clients hash the same way, so that a key has one partition whatever language its service is written in.
        "partitioner": "murmur2_random",
    }
    # What the promise rests on comes last: acknowledged by all replicas in sync, in order, without repetition.
    safe = {
        "enable.idempotence": True,
        "acks": "all",
        "max.in.flight.requests.per.connection": 5,
        "message.send.max.retries": 2_147_483_647,
        "message.timeout.ms": int(settings.delivery_timeout_s * 1000) if give_up else 0,
        "delivery.report.only.error": False,
    }
    aliases = {"max.in.flight", "retries", "request.required.acks", "delivery.timeout.ms", "transactional.id"}
    user = {k: v for k, v in kafka.client_config().items() if k not in aliases}
    return {**tunable, **user, **safe}


class KafkaSender:
    """An idempotent Kafka producer with a thread that serves its delivery reports.

    Not fork-safe: the threads of the client do not survive a fork.
    """

    def __init__(self, properties: Mapping[str, Any], on_tick: Callable[[], None] | None = None) -> None:
        """Start the client and its thread.

        Args:
            properties: As ``client_properties`` returns them.
            on_tick: Called by the thread after every look at the reports, about every 50 ms when idle.
        """
        self._properties, self._on_tick = dict(properties), on_tick
        self._stop = threading.Event()
        self._fatal = threading.Event()
        self._told: dict[int, float] = {}
        self._refused: deque[tuple[Report, KafkaError]] = deque()
        self._client = self._start()
        self._thread = threading.Thread(target=self._serve, name="auditstream-delivery", daemon=True)
        self._thread.start()

    def send(self, topic: str, key: bytes | None, value: bytes | None, report: Report, headers: Headers = ()) -> bool:
        """Hand a message to the client; ``report`` tells its fate.

        Returns:
            False when the client's queue is full: nothing was taken, try again later.
        """
        try:
            if headers:
                self._client.produce(topic, value, key, headers=list(headers), on_delivery=report)
            else:
                self._client.produce(topic, value, key, -1, report)
        except BufferError:
            return False
        except KafkaException as error:
            self._failed_at_once(error.args[0], report)
        return True

    def purge(self) -> None:
        """Give back all messages that are not acknowledged, through their ``on_done``."""
        self._client.purge(in_queue=True, in_flight=True, blocking=True)

    def close(self) -> None:
        """Stop the thread after its last reports; what is unacknowledged is given back first. Idempotent."""
        if self._stop.is_set():
            return
        self.purge()
        self._stop.set()
        self._thread.join()
        self._client.flush(1)
        self._client.close()
        self._tell_refused()

    def _tell_refused(self) -> None:
        while self._refused:
            report, error = self._refused.popleft()
            report(error, None)

    def _failed_at_once(self, error: KafkaError, report: Report) -> None:
        if error.fatal():
            self._fatal.set()
        # Told by the serving thread, never inside send: callers hold locks there.
        self._refused.append((report, error))

    def _start(self) -> Producer:
        # The client's own lines go where the service's logs go, not to the standard error.
        return Producer({**self._properties, "error_cb": self._on_error}, logger=logging.getLogger("auditstream.kafka"))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal.set()
        now, last = time.monotonic(), self._told.get(error.code(), -_QUIET_S)
        if now - last < _QUIET_S:
            return
        self._told[error.code()] = now
        _log.warning("kafka client reports a problem", error=error.name(), detail=error.str(), fatal=error.fatal())

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._client.poll(_POLL_S)
            self._tell_refused()
            if self._fatal.is_set():
                self._renew()
            if self._on_tick:
                self._on_tick()

    def _renew(self) -> None:
        # An idempotent producer that lost its sequence refuses everything from then on; only a new one helps.
        self._fatal.clear()
        old = self._client
        old.purge(in_queue=True, in_flight=True, blocking=True)
        old.flush(1)
        self._client = self._start()
        _log.warning("kafka client replaced after a fatal error")
