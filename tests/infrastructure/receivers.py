"""Real receivers of notifications on loopback: a webhook that takes JSON, and a mail server."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infrastructure.ports import LOOPBACK


class JsonReceiver:
    """Takes what Apprise posts to ``json://``.

    Attributes:
        bodies: The JSON objects taken, in order.
        status: Status of the answers; anything but 200 is a refusal, and nothing is kept.
        delay_s: Seconds between taking a body and answering.
        refused: How many were refused.
    """

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status, self.delay_s, self.refused = 200, 0.0, 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(json.loads(body))
                time.sleep(receiver.delay_s)
                try:
                    self.send_response(receiver.status)
                    self.end_headers()
                except OSError:  # whoever asked is gone
                    return

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name given by the base class
                del format, args

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def take(self, body: dict[str, Any]) -> None:
        """Keep a body, unless it is refused."""
        if self.status == 200:
            self.bodies.append(body)
        else:
            self.refused += 1

    @property
    def url(self) -> str:
        """Its address as an Apprise URL."""
        return f"json://{LOOPBACK}:{self._server.server_port}/?rto=20"

    @property
    def titles(self) -> list[str]:
        """The titles taken, in order."""
        return [str(body["title"]) for body in self.bodies]

    def close(self) -> None:
        """Stop taking."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class MailServer:
    """Speaks as much SMTP as a client needs to hand over a mail.

    Attributes:
        mails: The mails taken, in order.
        recipients: To whom each was addressed.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        server = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                server.talk(self)

        self._server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Session)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """An Apprise URL of mails to one person by this server."""
        return f"mailto://{LOOPBACK}:{self._server.server_address[1]}/ann@example.com?from=audit@example.com"

    def talk(self, session: socketserver.StreamRequestHandler) -> None:
        """Hold one conversation."""
        recipients: list[str] = []

        def say(line: str) -> None:
            session.wfile.write(f"{line}\r\n".encode())

        say("220 ready")
        while line := session.rfile.readline():
            verb = line.decode().strip().upper()
            if verb == "DATA":
                say("354 go on")
                self._keep(session, recipients)
                recipients = []
            elif verb.startswith("RCPT TO:"):
                recipients.append(line.decode().partition(":")[2].split()[0].strip("<>"))
            elif verb == "QUIT":
                say("221 bye")
                return
            say("250 ok")

    def _keep(self, session: socketserver.StreamRequestHandler, recipients: list[str]) -> None:
        lines = []
        while (line := session.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        mail = message_from_bytes(b"".join(lines), policy=policy.default)
        self.recipients.append(recipients)
        self.mails.append(mail)

    def close(self) -> None:
        """Stop taking."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def json_receiver() -> Iterator[JsonReceiver]:
    """A webhook for the time of a test."""
    receiver = JsonReceiver()
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A mail server for the time of a test."""
    server = MailServer()
    try:
        yield server
    finally:
        server.close()
