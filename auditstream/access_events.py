"""Reads of the log as events of their own, emitted through our own producer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from auditstream import __version__
from auditstream.settings import Settings
from producers import Access, Actor, AuditEvent, AuditProducer, Auth, Origin, ProducerError, SpoolFull, Target
from producers import Change as FieldChange
from query.access import Caller, Change, Identity, Read, SignInMethod, Token
from query.settings import AccessSettings
from schemas.catalogue import Catalogue

log = structlog.get_logger(__name__)

SERVICE = "auditstream"
_MINUTE_S = 60.0


class AccessEvents:
    """A ``query.access.Recorder`` that emits events in best-effort mode: they wait on disk while Kafka is away.

    Nothing here reads the log, so a read of the records of reads is recorded once and ends there. Thread-safe.
    """

    def __init__(
        self,
        producer: AuditProducer,
        catalogue: Catalogue,
        settings: AccessSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Emit through a producer.

        Args:
            producer: In best-effort mode; closed by the caller.
            catalogue: Where category and severity of the codes come from.
            settings: Tenant of the records, and how many failures are recorded.
            clock: Monotonic time, seconds.
        """
        self._producer, self._catalogue, self._settings = producer, catalogue, settings
        self._failures = _Rate(settings.failures_per_minute, clock)
        #: Why the last record found no room, and how many waited then.
        self._full: tuple[str, int] | None = None

    def read(self, read: Read) -> None:
        """Record a read."""
        token, caller = read.token, read.caller
        event = self._event(read.code, self._tenant(token), caller)
        event.actor = actor_of(token)
        kind = read.target_type if read.target_id else "audit_log"
        event.target = Target(type=kind, id=read.target_id or None)
        event.details = {"resource": read.resource, "reader": token.name}
        event.access = Access(
            query_hash=read.query_hash,
            filter_fields=read.filter_fields,
            window=read.window,
            rows_returned=read.rows,
            purpose=caller.purpose,
            ticket=caller.ticket,
        )
        event.outcome, event.outcome_reason = ("denied", read.reason) if read.reason else ("success", None)
        self._emit(event)

    def changed(self, change: Change) -> None:
        """Record a change of how the log is administered."""
        self._emit(self.change_event(change))

    def obstacle(self) -> str:
        """Return why nothing can be recorded now: the last record found no room, and none was sent since."""
        full = self._full
        return full[0] if full and self._producer.counts().spooled >= full[1] else ""

    def change_event(self, change: Change) -> AuditEvent:
        """Return the event of a change."""
        tenant = self._tenant(change.by) if change.by else self._settings.tenant
        event = self._event(change.code, tenant, change.caller)
        event.actor = (
            actor_of(change.by) if change.by else Actor(id=change.operator, type="user", auth_provider="system")
        )
        if not change.by:
            event.origin = Origin(kind="other", name="command line")
        event.target = Target(type=change.target_type, id=change.target_id, name=change.target_name or None)
        event.changes = [FieldChange(field=name, before=old, after=new) for name, (old, new) in change.values.items()]
        event.access = Access(purpose=change.caller.purpose, ticket=change.caller.ticket)
        event.outcome, event.outcome_reason = ("denied", change.reason) if change.reason else ("success", None)
        return event

    def signed_in(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Record the beginning of a session of the page."""
        self._session("auth.login", Auth(event="login", method=method), caller, token)

    def signed_out(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Record that somebody ended a session of the page."""
        self._session("auth.logout", Auth(event="logout", method=method, logout_reason="user"), caller, token)

    def sign_in_failed(self, caller: Caller, reason: str, token_id: str, method: SignInMethod = "token") -> None:
        """Record a refused sign-in; more than so many a minute are counted in the next record."""
        left_out = self._failures.take()
        if left_out is None:
            return
        event = self._event("auth.login_failed", self._settings.tenant, caller)
        event.actor = Actor(type="anonymous", access_key_id=token_id if method == "token" else None)
        event.auth = Auth(event="login_failed", method=method, attempted_login=token_id)
        event.outcome, event.outcome_reason = "failure", f"the token is {reason}" if method == "token" else reason
        event.details = {"not_recorded_before": left_out} if left_out else None
        self._emit(event)

    def _session(self, code: str, auth: Auth, caller: Caller, token: Token) -> None:
        event = self._event(code, self._tenant(token), caller)
        event.actor, event.auth, event.outcome = actor_of(token), auth, "success"
        event.origin = Origin(kind="dashboard", ip=caller.ip or None, user_agent=caller.user_agent or None)
        self._emit(event)

    def _event(self, code: str, tenant_id: str, caller: Caller) -> AuditEvent:
        entry = self._catalogue.get(code)
        return AuditEvent(
            event_code=code,
            tenant_id=tenant_id,
            event_category=entry.category if entry else None,
            severity=entry.severity if entry else None,
            product="audit_log",
            request_id=caller.request_id,
            origin=Origin(kind="api", ip=caller.ip or None, user_agent=caller.user_agent or None),
        )

    def _tenant(self, token: Token) -> str:
        tenants = token.scope.tenants
        return tenants[0] if len(tenants) == 1 else self._settings.tenant

    def _emit(self, event: AuditEvent) -> None:
        try:
            self._producer.submit(event)
            self._full = None
        except ProducerError as error:
            # A full spool, after hours without Kafka: the read goes on, and the log of the process holds its record.
            if isinstance(error, SpoolFull):
                self._full = str(error), self._producer.counts().spooled
            log.error("access_not_recorded", code=event.event_code, request_id=event.request_id, reason=str(error))


def actor_of(token: Token) -> Actor:
    """Return who reads by a token: the person of a sign-in, the actor whose events it is for, or the token."""
    if isinstance(token, Identity):
        named = {"name": token.name, "email": token.email or None, "auth_provider": token.issuer}
        return Actor(id=token.subject, type="user", access_key_id=token.token_id, roles=[token.role], **named)
    own = token.scope.actor_id
    kind = "user" if own else "api_token"
    return Actor(id=own or token.token_id, type=kind, access_key_id=token.token_id, roles=[token.role])


class _Rate:
    """Lets so many pass a minute and counts the others."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock, self._lock = most, clock, threading.Lock()
        self._minute, self._passed, self._left_out = clock(), 0, 0

    def take(self) -> int | None:
        """Return how many were left out before this one, None when this one is left out too."""
        with self._lock:
            if self._clock() - self._minute >= _MINUTE_S:
                self._minute, self._passed = self._clock(), 0
            if self._passed >= self._most:
                self._left_out += 1
                return None
            self._passed += 1
            left_out, self._left_out = self._left_out, 0
            return left_out


def open_access_producer(settings: Settings) -> AuditProducer:
    """Open the producer of records of reads, in best-effort mode with a spool of its own.

    Raises:
        ProducerError: The spool is in use by another process, or cannot be written.
        SchemaError: The registry's address is wrong.
    """
    spool = settings.access.spool_dir.expanduser()
    spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    named = {"source_service": SERVICE, "source_version": __version__}
    own = {"mode": "best_effort", "spool_dir": spool, "close_timeout_s": min(settings.http.stop_s, 5.0)}
    return AuditProducer(settings.kafka, settings.registry, settings.producer.model_copy(update={**named, **own}))
