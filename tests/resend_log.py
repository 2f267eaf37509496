"""A log with webhook sendouts, and the service that is asked to send them again, for tests."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from query.resend import Command, NotRecorded, Resend
from query_log import TOPIC, Log, at
from sinks.rows import PAYLOADS
from sinks.sink import OffsetRange
from sinks.testing import batch, rows
from sinks.testing import event as complete

SECRET = "a secret of the shop that is long enough"
SHOP = {
    "event_code": "webhook.error",
    "record_kind": "webhook",
    "tenant_id": "acme",
    "source_service": "shop",
    "request_id": "req-9",
    "causation_id": "01983f2e-0000-7000-8000-000000000001",
    "hook_event_type": "order.paid",
    "hook_source_id": "order-7",
    "hook_url": "http://127.0.0.1:1/customer?key=[masked]",
    "hook_max_attempts": 3,
    "hook_http_status": 503,
    "hook_error": "no answer",
    "hook_event_created_at": at("2026-06-01T10:00:00"),
    "hook_sent_at": at("2026-06-01T10:00:05"),
    "occurred_at": at("2026-06-01T10:00:05"),
}


def attempt(sendout_id: str, number: int, status: str = "error", **more: Any) -> dict[str, Any]:
    """Return one state of a sendout as a sink batch holds it."""
    code = {"event_code": f"webhook.{status}"}
    event_id = hashlib.sha256(f"{sendout_id} {number} {status} {more}".encode()).digest()[:16]
    own = {"event_id": UUID(bytes=event_id).bytes, "hook_sendout_id": sendout_id, "hook_attempt": number}
    return {**SHOP, **code, **own, "hook_status": status, **more}


def store_with_bodies(log: Log, event: Mapping[str, Any], bodies: Mapping[str, str], partition: int = 7) -> None:
    """Store one event with its bodies as the only range of a partition."""
    range_ = OffsetRange("audit.events", TOPIC, partition, 0, 0)
    made = batch(range_, values={0: event})
    found = [{**complete(range_, 0, **event), **bodies}]
    log.sink.write(replace(made, payloads=rows(PAYLOADS, found)), bytes(32))


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a service got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    def is_signed(self, secret: str = SECRET) -> bool:
        """Check the signature as docs/resend.md tells services to, with nothing of the sender's code."""
        moment, digest = (part.partition("=")[2] for part in self.headers["auditstream-signature"].split(","))
        expected = hmac.new(secret.encode(), moment.encode() + b"." + self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(digest, expected) and abs(time.time() - int(moment)) < 60


@dataclass(slots=True)
class EmittingService:
    """A service with an HTTP endpoint. What it answers is scripted; then it takes everything.

    Attributes:
        calls: What it got, in order.
        script: Next answers: status, body, headers, seconds to wait.
        port: Where it listens.
    """

    calls: list[Call] = field(default_factory=list)
    script: list[tuple[int, bytes, dict[str, str], float]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}/resend"

    def answers(self, status: int, body: bytes = b"", *, wait_s: float = 0.0, **headers: str) -> None:
        """Script one answer."""
        self.script.append((status, body, {k.replace("_", "-"): v for k, v in headers.items()}, wait_s))


@contextmanager
def emitting_service() -> Iterator[EmittingService]:
    """Run a service on a free port of this machine."""
    service = EmittingService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.calls.append(Call(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, answer, headers, wait_s = service.script.pop(0) if service.script else (202, b"queued", {}, 0.0)
            time.sleep(wait_s)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(answer)
            except (BrokenPipeError, ConnectionResetError):
                return  # the caller gave up waiting, as some tests want it to

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of the library
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    service.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(slots=True)
class Trail:
    """A trail that keeps what it is told; ``full`` refuses, as a spool without room does."""

    told: list[tuple[str, Command | Resend]] = field(default_factory=list)
    full: bool = False

    def requested(self, command: Command, route: str) -> None:
        """Keep a request."""
        del route
        if self.full:
            raise NotRecorded("the spool is full")
        self.told.append(("requested", command))

    def answered(self, resend: Resend, command: Command) -> None:
        """Keep an outcome."""
        del command
        self.told.append((resend.outcome.state, resend))

    def steps(self) -> Sequence[str]:
        """Return what was told, by name."""
        return [name for name, _ in self.told]
