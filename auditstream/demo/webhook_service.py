"""The demo's service that sends webhooks: asked to send one again, it says in the log that it did."""

from __future__ import annotations

import json
import secrets
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from producers import Actor, AuditEvent, AuditProducer, Origin, ProducerSettings, Target, Webhook
from query.resend.signature import HEADER, verify
from schemas.registry import Registry
from schemas.settings import KafkaSettings
from sinks.served import LOOPBACK

SOURCE = "webhook-service"
_PATH = "/resend"
_MOST_BYTES = 65536


class WebhookService:
    """Takes signed requests to send a webhook again, and emits what becomes of them; use as a context manager.

    Attributes:
        secret: Key of the signatures.
        url: Where it listens; known once it is entered.
    """

    def __init__(self, kafka: KafkaSettings, registry: Registry) -> None:
        """Plan it; nothing runs yet."""
        self._kafka, self._registry = kafka, registry
        self.secret = secrets.token_urlsafe(32)
        self.url = ""
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> WebhookService:
        """Listen."""
        self._producer = AuditProducer(self._kafka, self._registry, ProducerSettings(source_service=SOURCE))
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, name="webhooks", daemon=True).start()
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}{_PATH}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._producer.close()

    def take(self, body: bytes, signed: str, key: str) -> tuple[int, str]:
        """Take a request.

        Args:
            body: The request.
            signed: Its signature.
            key: Its idempotency key.

        Returns:
            HTTP status and a sentence.
        """
        if not verify(self.secret, signed, body, int(time.time())):
            return 401, "the signature is wrong or too old"
        with self._lock:
            if key in self._taken:
                return 200, "this request was taken before"
            self._taken.add(key)
        command = json.loads(body)
        self._producer.emit(_sent_again(command))
        return 202, f"sendout {command['sendout_id']} was sent again"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: WebhookService) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.service = service


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """Answer a request to send a webhook again."""
        size = int(self.headers.get("Content-Length") or 0)
        if self.path != _PATH or size > _MOST_BYTES:
            self.send_error(404)
            return
        body = self.rfile.read(size)
        signed, key = self.headers.get(HEADER, ""), self.headers.get("Idempotency-Key", "")
        status, text = self.server.service.take(body, signed, key)
        answer = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name given by the base class
        """Write nothing: the demo shows its own output."""


def _sent_again(command: dict[str, Any]) -> AuditEvent:
    now, sendout, asked_by = datetime.now(UTC), command["sendout_id"], command["asked_by"]
    return AuditEvent(
        event_code="webhook.resent",
        tenant_id=command["tenant_id"],
        project_id=command["project_id"] or None,
        occurred_at=now,
        request_id=command["request_id"] or None,
        causation_id=command["event_id"],
        actor=Actor(type=asked_by["type"], id=asked_by["id"], name=asked_by["name"]),
        origin=Origin(kind="api"),
        target=Target(type="webhook", id=sendout),
        outcome="success",
        hook=Webhook(
            sendout_id=sendout,
            event_type=command["webhook_type"],
            source_id=command["source_id"],
            url=f"https://hooks.{command['tenant_id']}.example/orders",
            status="sent",
            attempt=command["attempt"] + 1,
            http_status=200,
            sent_at=now,
            resend_of=sendout,
            resent_by=asked_by["name"] or asked_by["id"],
        ),
    )
