"""How a service emits audit events."""

from __future__ import annotations

import os
import socket
import threading
import time
from types import TracebackType
from typing import Self

from producers.drafts import Draft, Drafter, Event
from producers.errors import DeliveryFailed, ProducerClosed, ProducerForked
from producers.identity import new_event_id
from producers.keys import key_function
from producers.masking import Masker
from producers.promise import Counts, Delivery, OnFate
from producers.receipt import Receipt
from producers.records import SCHEMA_VERSION
from producers.schema_headers import SchemaHeaders
from producers.settings import ProducerSettings
from producers.spooled import SpooledDelivery
from producers.strict import StrictDelivery
from schemas.registry import Registry, open_registry
from schemas.settings import KafkaSettings, RegistrySettings


class AuditProducer:
    """Emits audit events: checks, completes, masks and encodes them, and sees them to Kafka.

    Strict mode: ``emit`` returns when the event is acknowledged by all replicas in sync, and raises otherwise. Best
    effort: ``emit`` returns when the event is in the spool on disk, and a thread sends it, in order, until Kafka has
    it, over outages and restarts of this process. Neither mode drops an event silently.

    Every event carries the ``producer_id`` of this object and a ``producer_seq`` that rises by one, so that a gap in
    what arrived is visible. Thread-safe. Not fork-safe: make one in each process after the fork.
    """

    def __init__(
        self,
        kafka: KafkaSettings | None = None,
        registry: RegistrySettings | Registry | None = None,
        settings: ProducerSettings | None = None,
    ) -> None:
        """Start the producer.

        Args:
            kafka: Connection and topic; by default a broker on this machine.
            registry: The schema registry, as settings or as a client that the caller closes.
            settings: Everything else; strict mode by default.

        Raises:
            ProducerMisconfigured: Settings contradict each other.
            SpoolLocked: Another process owns the spool directory (best effort).
            SpoolUnusable: The spool cannot be written or read (best effort).
            RegistryUnavailable: An outage, and no cached schema id (strict; best effort asks again later).
            RegistryRefused: The registry's address or credentials are wrong (strict).
            SchemaNotFound: The schema is not registered, and ``auto_register`` is off (strict).
        """
        kafka, self._settings = kafka or KafkaSettings(), settings or ProducerSettings()
        self._pid, self._lock, self._closed, self._seq = os.getpid(), threading.Lock(), False, 0
        self._stamps = _stamps(self._settings)
        masker = Masker(self._settings) if self._settings.mask else None
        self._drafter = Drafter(self._stamps, key_function(self._settings.partition_key), masker)
        self._owned: Registry | None = None
        if registry is None or isinstance(registry, RegistrySettings):
            registry = self._owned = open_registry(registry or RegistrySettings())
        headers = SchemaHeaders(registry, kafka.events_topic, auto_register=self._settings.auto_register)
        try:
            self._delivery = _delivery(kafka, self._settings, headers)
        except BaseException:
            self._close_registry()
            raise

    @property
    def producer_id(self) -> str:
        """Identity of this object in the events that it stamps."""
        return self._stamps["producer_id"]

    def emit(self, event: Event, timeout_s: float | None = None) -> str:
        """Emit one event and, in strict mode, wait until Kafka has it.

        Args:
            event: An AuditEvent, or a dict with the names of the Avro schema.
            timeout_s: Seconds to wait in strict mode; the setting ``emit_timeout_s`` by default.

        Returns:
            The event's id.

        Raises:
            InvalidEvent: The event is wrong; nothing was sent.
            DeliveryFailed: Strict mode: not acknowledged in time; ``may_arrive`` says whether it still can be.
            SpoolFull: Best effort: no room; the event was not accepted.
            ProducerClosed: The producer was closed.
            ProducerForked: The producer was made in another process.
        """
        timeout_s = self._settings.emit_timeout_s if timeout_s is None else timeout_s
        if self._settings.mode == "best_effort":
            return self.submit(event)
        deadline_s = time.monotonic() + timeout_s
        receipt: Receipt[DeliveryFailed] = Receipt()
        event_id = self._submit(event, lambda _, failure: receipt.settle(failure), deadline_s)
        if not receipt.wait(max(0.0, deadline_s - time.monotonic())):
            raise DeliveryFailed(event_id, f"no answer within {timeout_s:g} s", may_arrive=True)
        if receipt.failure is not None:
            raise receipt.failure
        return event_id

    def submit(self, event: Event, on_fate: OnFate | None = None) -> str:
        """Emit one event without waiting for Kafka.

        Args:
            event: As for ``emit``.
            on_fate: Called by another thread, once, with the event's id and None or the reason of the failure. It
                must be quick and must not raise.

        Returns:
            The event's id.

        Raises:
            InvalidEvent: The event is wrong; nothing was sent.
            DeliveryFailed: Strict mode: the client's queue stayed full for ``emit_timeout_s``.
            SpoolFull: Best effort: no room; the event was not accepted.
            ProducerClosed: The producer was closed.
            ProducerForked: The producer was made in another process.
        """
        return self._submit(event, on_fate, time.monotonic() + self._settings.emit_timeout_s)

    def counts(self) -> Counts:
        """Return how many events went where."""
        return self._delivery.counts()

    def flush(self, timeout_s: float | None = None) -> int:
        """Wait until the fate of every accepted event is known.

        Returns:
            Events whose fate is still open when the time is over; 0 is all well.
        """
        return self._delivery.flush(self._settings.close_timeout_s if timeout_s is None else timeout_s)

    def close(self, timeout_s: float | None = None) -> int:
        """Flush and stop. Idempotent.

        Returns:
            Events not acknowledged: in best effort they wait in the spool for the next process, in strict mode their
            failure was told to ``emit`` or ``on_fate``.
        """
        with self._lock:
            if self._closed:
                return 0
            self._closed = True
        left = self.flush(timeout_s)
        self._delivery.close()
        self._close_registry()
        return left

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, event: Event, on_fate: OnFate | None, deadline_s: float) -> str:
        if os.getpid() != self._pid:
            raise ProducerForked(self._pid, os.getpid())
        draft = self._drafter.draft(event)
        # Asking for a time costs more than the lock itself, which is free nearly always.
        free = self._lock.acquire(blocking=False)
        if not free and not self._lock.acquire(timeout=max(0.0, deadline_s - time.monotonic())):
            raise DeliveryFailed(draft.event_id, "other threads kept the producer busy", may_arrive=False)
        try:
            self._accept(draft, on_fate, deadline_s)
        finally:
            self._lock.release()
        return draft.event_id

    def _accept(self, draft: Draft, on_fate: OnFate | None, deadline_s: float) -> None:
        if self._closed:
            raise ProducerClosed
        self._delivery.accept(draft.event_id, draft.key, draft.body(self._seq + 1), on_fate, deadline_s)
        # Only an event that was accepted uses up a number, else a refused one would look lost.
        if not draft.numbered:
            self._seq += 1

    def _close_registry(self) -> None:
        if self._owned is not None:
            self._owned.close()


def _stamps(settings: ProducerSettings) -> dict[str, str]:
    stamps = {
        "source_service": settings.source_service,
        "source_version": settings.source_version,
        "source_host": settings.source_host or socket.gethostname(),
        "producer_id": new_event_id(),
    }
    return {name: value for name, value in stamps.items() if value}


def _delivery(kafka: KafkaSettings, settings: ProducerSettings, headers: SchemaHeaders) -> Delivery:
    if settings.mode == "best_effort":
        return SpooledDelivery(kafka, settings, headers)
    return StrictDelivery(kafka, settings, headers.resolve(SCHEMA_VERSION))
