"""Best-effort delivery: on disk first, then to Kafka behind the caller's back, for as long as it takes.

Every event is written to the spool before anything else. While the client has room it is handed over at once; when it
has none (an outage), or no schema id is known yet, the serving thread reads on from the spool later. Order stays,
because nothing overtakes: either all new events go straight on, or all wait behind the cursor.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import structlog

from producers.delivery import KafkaSender, SendFailure, client_properties, reporting
from producers.errors import ProducerMisconfigured
from producers.promise import Counts, OnFate, Tally
from producers.records import SCHEMA_VERSION
from producers.schema_headers import SchemaHeaders
from producers.settings import ProducerSettings
from producers.spool import Spool, Ticket
from schemas.errors import SchemaError
from schemas.settings import KafkaSettings

_log = structlog.get_logger("auditstream.producer")

_RETRY_S = 1.0
_BATCH = 200
#: The first field of an encoded event is its id: one byte of length, 36 of text.
_EVENT_ID = slice(1, 37)


def open_spool(settings: ProducerSettings) -> Spool:
    """Open the spool that the settings name.

    Raises:
        ProducerMisconfigured: No directory, or sizes that contradict each other.
        SpoolLocked: Another process owns it.
        SpoolUnusable: It cannot be written or read.
    """
    if settings.spool_dir is None:
        raise ProducerMisconfigured(["producer.spool_dir: not set; expected a directory in best_effort mode"])
    if settings.spool_bytes < settings.spool_segment_bytes:
        expected = f"producer.spool_segment_bytes ({settings.spool_segment_bytes}) at least"
        raise ProducerMisconfigured([f"producer.spool_bytes: {settings.spool_bytes}; expected {expected}"])
    return Spool(
        settings.spool_dir.expanduser(),
        limit_bytes=settings.spool_bytes,
        segment_bytes=settings.spool_segment_bytes,
        fsync=settings.spool_fsync,
        report=_report,
    )


def _report(what: str, path: Path, size: int) -> None:
    _log.error(
        "spool file was damaged; what could be read is sent, the rest is kept", found=what, file=path.name, bytes=size
    )


class SpooledDelivery:
    """Brings events to Kafka by way of the disk. See ``producers.promise.Delivery``."""

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings, headers: SchemaHeaders) -> None:
        """Open the spool, take over what is in it, and start the client.

        Raises:
            ProducerMisconfigured: No directory, or sizes that contradict each other.
            SpoolLocked: Another process owns the spool.
            SpoolUnusable: It cannot be written or read.
        """
        self._topic, self._headers = kafka.events_topic, headers
        self._spool = open_spool(settings)
        self._fsync_s = settings.spool_fsync_s if settings.spool_fsync == "interval" else None
        self._lock = threading.Lock()
        self._tally = Tally()
        self._tally.accepted(self._spool.pending)
        self._taken_over = self._spool.pending
        self._fates: dict[Ticket, OnFate] = {}
        #: Where sending goes on; None while nothing waits.
        self._cursor: Ticket | None = self._spool.first()
        self._retry_at = self._fsync_at = 0.0
        self._closing = False
        self._sender = KafkaSender(client_properties(kafka, settings, give_up=False), self._tick)

    def accept(self, event_id: str, key: bytes, body: bytes, on_fate: OnFate | None, deadline_s: float) -> None:
        """Write one event to the spool and send it if nothing waits before it.

        Raises:
            SpoolFull: There is no room; the event was not accepted.
        """
        del event_id, deadline_s
        with self._lock:
            ticket = self._spool.append(SCHEMA_VERSION, key, body)
            self._tally.accepted()
            if on_fate:
                self._fates[ticket] = on_fate
            if self._cursor is None and not self._send(ticket, SCHEMA_VERSION, key, body):
                self._cursor = ticket

    def counts(self) -> Counts:
        """Return the counts; events of earlier processes count as spooled only until they are settled."""
        with self._lock:
            spooled = self._spool.pending
        tally = self._tally
        return Counts(tally.emitted - self._taken_over, tally.acknowledged, tally.failed, spooled)

    def flush(self, timeout_s: float) -> int:
        """Wait until every event, those of earlier processes included, is settled; return how many are not."""
        return self._tally.wait(timeout_s)

    def close(self) -> None:
        """Stop the client and release the spool; what is unacknowledged stays on disk. Idempotent."""
        self._closing = True
        self._sender.close()
        with self._lock:
            self._spool.close()

    def _send(self, ticket: Ticket, version: int, key: bytes, body: bytes) -> bool:
        header = self._headers.known(version)
        if header is None:
            return False
        # Marked first: the report may come before send returns.
        self._spool.sent(ticket)

        def done(failure: SendFailure | None) -> None:
            self._done(ticket, body, failure)

        if self._sender.send(self._topic, key or None, header + body, reporting(done)):
            return True
        self._spool.returned(ticket)
        return False

    def _done(self, ticket: Ticket, body: bytes, failure: SendFailure | None) -> None:
        with self._lock:
            if failure is not None and failure.kind == "returned":
                self._return(ticket)
                return
            if failure is None:
                self._spool.acknowledged(ticket)
            else:
                self._spool.rejected(ticket)
            on_fate = self._fates.pop(ticket, None)
        self._settle(body, failure, on_fate)

    def _return(self, ticket: Ticket) -> None:
        self._spool.returned(ticket)
        behind = self._cursor is None or (ticket.segment, ticket.position) < (
            self._cursor.segment,
            self._cursor.position,
        )
        self._cursor = ticket if behind else self._cursor
        self._retry_at = time.monotonic() + _RETRY_S

    def _settle(self, body: bytes, failure: SendFailure | None, on_fate: OnFate | None) -> None:
        event_id = body[_EVENT_ID].decode("ascii", "replace")
        error = failure.error(event_id) if failure else None
        if failure is not None:
            _log.error(
                "kafka refuses an event; it is kept in the spool directory", event_id=event_id, reason=failure.reason
            )
        self._tally.settled(acknowledged=failure is None)
        if on_fate:
            on_fate(event_id, error)

    def _tick(self) -> None:
        now = time.monotonic()
        if self._fsync_s is not None and now >= self._fsync_at:
            self._fsync_at = now + self._fsync_s
            self._force()
        while self._cursor is not None and time.monotonic() >= self._retry_at and not self._closing:
            if not self._pump():
                return

    def _force(self) -> None:
        with self._lock:
            descriptors = self._spool.unflushed()
        for descriptor in descriptors:
            os.fsync(descriptor)
            os.close(descriptor)

    def _pump(self) -> bool:
        """Send some events from the cursor on; return whether there may be more to send now."""
        with self._lock:
            for _ in range(_BATCH):
                found = self._spool.next_ready(self._cursor) if self._cursor else None
                if found is None:
                    self._cursor = None
                    return False
                self._cursor, event = found
                if not self._send(self._cursor, event.version, event.key, event.body):
                    break
            else:
                return True
        return self._headers.known(event.version) is None and self._resolve(event.version)

    def _resolve(self, version: int) -> bool:
        try:
            self._headers.resolve(version)
        except SchemaError as error:
            self._retry_at = time.monotonic() + getattr(error, "retry_after_s", _RETRY_S)
            _log.warning("no schema id yet; events wait in the spool", reason=str(error))
            return False
        return True
