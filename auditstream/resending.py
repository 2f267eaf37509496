"""Re-sending put together: routes of the settings with their ways, the ledger, and the trail of audit events."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import structlog

from auditstream.settings import Settings
from auditstream.spools import open_spooled
from producers import Actor, AuditEvent, AuditProducer, Origin, ProducerError, Target
from producers.commands import CommandSender
from producers.errors import CommandFailed
from query.resend import Command, Endpoint, NotRecorded, Outcome, Resend, Resender, ResendLedger, Way
from query.resend_settings import RouteSettings
from schemas.errors import SchemaError
from sinks.connection import Connections

log = structlog.get_logger(__name__)

#: Seconds that the end of a process waits for Kafka. What is not acknowledged waits in the spool for the next one.
_CLOSE_S = 3.0
#: State of an outcome -> code and outcome of its audit event.
_ANSWERS: Mapping[str, tuple[str, str]] = {
    "accepted": ("webhook.resend_accepted", "success"),
    "refused": ("webhook.resend_failed", "denied"),
    "unanswered": ("webhook.resend_failed", "unknown"),
}
_BLOCKED = (ProducerError, SchemaError, OSError)


@contextmanager
def opened_resender(settings: Settings) -> Iterator[Resender]:
    """Put together what sends webhooks again; without a route it only says which setting is missing.

    Args:
        settings: All settings.

    Raises:
        OSError: The certificate authority of a route cannot be read.
    """
    routes = settings.resend.routes
    with ExitStack() as stack:
        connections = Connections(settings.clickhouse)
        stack.callback(connections.close)
        commands = _Commands(settings)
        stack.callback(commands.close)
        ways = {name: _way(name, route, commands, stack) for name, route in routes.items()}
        trail = ResendTrail(settings)
        stack.callback(trail.close)
        yield Resender(routes, ways, ResendLedger(connections), trail)


def _way(name: str, route: RouteSettings, commands: _Commands, stack: ExitStack) -> Way:
    if route.topic:
        return _Topic(route, commands)
    endpoint = Endpoint(name, route)
    stack.callback(endpoint.close)
    return endpoint


class _Commands:
    """The Kafka client of all routes by topic, started when the first command is sent."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()
        self._sender: CommandSender | None = None

    def sender(self) -> CommandSender:
        with self._lock:
            if self._sender is None:
                self._sender = CommandSender(self._settings.kafka, self._settings.producer)
            return self._sender

    def close(self) -> None:
        with self._lock:
            if self._sender is not None:
                self._sender.close()


class _Topic:
    """The way of a route by topic: one JSON message, keyed by tenant and sendout."""

    def __init__(self, route: RouteSettings, commands: _Commands) -> None:
        self._route, self._commands = route, commands

    def deliver(self, command: Command) -> Outcome:
        """Send the command; see ``query.resend.Way``. Kafka's client repeats it by itself, without duplicates."""
        topic, sendout = self._route.topic, command.sendout
        key = f"{sendout.tenant_id}/{sendout.sendout_id}".encode()
        headers = [("content-type", b"application/json"), ("idempotency-key", str(command.resend_id).encode())]
        try:
            self._commands.sender().send(topic, key, command.body(), headers, self._route.deadline_s)
        except CommandFailed as error:
            return Outcome("unanswered" if error.may_arrive else "refused", str(error))
        return Outcome("accepted", f"the request is on the topic {topic}")


class ResendTrail:
    """A ``query.resend.Trail`` of audit events in best-effort mode: they wait on disk while Kafka is away.

    The producer is opened for the first request, so that a process that never sends anything again needs no spool.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare it; nothing is opened yet."""
        self._settings, self._lock = settings, threading.Lock()
        self._producer: AuditProducer | None = None

    def requested(self, command: Command, route: str) -> None:
        """Record a request.

        Raises:
            NotRecorded: It cannot be kept.
        """
        try:
            self._opened().submit(self._event("webhook.resend_requested", command, route))
        except _BLOCKED as error:
            raise NotRecorded(f"the request cannot be audited, so nothing was asked: {error}") from error

    def answered(self, resend: Resend, command: Command) -> None:
        """Record what became of a request."""
        code, outcome = _ANSWERS[resend.outcome.state]
        event = self._event(code, command, resend.route)
        event.outcome, event.outcome_reason = outcome, resend.outcome.detail
        event.severity = "ERROR" if outcome != "success" else None
        try:
            self._opened().submit(event)
        except _BLOCKED as error:
            # The request itself is recorded, and the ledger has the outcome; the service has acted already.
            log.error("resend_outcome_not_recorded", resend_id=str(resend.resend_id), code=code, reason=str(error))

    def close(self) -> None:
        """Wait a moment for Kafka, and stop. Idempotent."""
        with self._lock:
            if self._producer is not None:
                self._producer.close(_CLOSE_S)

    def _opened(self) -> AuditProducer:
        with self._lock:
            if self._producer is None:
                self._producer = open_spooled(self._settings, self._settings.resend.spool_dir)
            return self._producer

    @staticmethod
    def _event(code: str, command: Command, route: str) -> AuditEvent:
        sendout, ask = command.sendout, command.ask
        return AuditEvent(
            event_code=code,
            tenant_id=sendout.tenant_id,
            project_id=sendout.project_id or None,
            event_category="send",
            product="audit_log",
            request_id=ask.request_id or None,
            causation_id=sendout.event_id,
            message=ask.reason.strip(),
            outcome="pending",
            actor=Actor(type=ask.by.type, id=ask.by.id, name=ask.by.name, access_key_id=ask.token_id or None),
            origin=Origin(kind=ask.by.origin, ip=ask.by.ip or None),
            target=Target(type="webhook", id=sendout.sendout_id),
            details={
                "resend_id": str(command.resend_id),
                "idempotency_key": ask.key,
                "route": route,
                "forced": str(ask.force).lower(),
                "sendout_request_id": sendout.request_id,
                "sendout_status": sendout.status,
            },
        )
