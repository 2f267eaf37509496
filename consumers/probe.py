"""/metrics and /health of a worker over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from consumers.metrics import Metrics
from consumers.progress import Progress

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name given by the base class
        """Say nothing: probes come every few seconds."""


class Probe:
    """Serves /metrics, /health/live and /health/ready until closed.

    Attributes:
        port: Port that is listened on, also when 0 was asked for.
    """

    def __init__(self, host: str, port: int, metrics: Metrics, progress: Progress) -> None:
        """Start serving.

        Raises:
            OSError: The address is in use or not ours.
        """
        self._server = make_server(host, port, _application(metrics, progress), _Server, _QuietHandler)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="probe", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _application(metrics: Metrics, progress: Progress) -> WSGIApplication:
    exposition = make_wsgi_app(metrics.registry)
    checks: dict[str, Callable[[], tuple[bool, str]]] = {
        "/health/live": progress.alive,
        "/health/ready": progress.ready,
    }

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            body: Iterable[bytes] = exposition(environ, start_response)
            return body
        if path not in checks:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /metrics, /health/live or /health/ready\n"]
        good, why = checks[path]()
        start_response("200 OK" if good else "503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{why}\n".encode()]

    return answer
