"""The HTTP server around the application: in the foreground until a signal, or on a thread of another program."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import structlog
import uvicorn
from starlette.applications import Starlette

from query.http import ReadService
from query.settings import HttpSettings

log = structlog.get_logger(__name__)

_START_S = 30.0
_LOOK_S = 0.02


class _Server(uvicorn.Server):
    """Tells live tails to end when the process is told to, and says where it listens."""

    def __init__(self, config: uvicorn.Config, service: ReadService) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        self._service.stopping = True
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """Begin to stop, from another thread."""
        self._service.stopping = True
        self.should_exit = True

    def _log_started_message(self, listeners: object) -> None:
        del listeners
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                log.info("listening", url=f"http://{host}:{port}/api/v1", tls="by a proxy")


def serve_until_told(app: Starlette, service: ReadService, http: HttpSettings) -> bool:
    """Answer until SIGTERM or Ctrl-C; for the main thread.

    Returns:
        Whether it could listen; why it could not is logged.
    """
    server = _Server(_config(app, http), service)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again when it has stopped; by default that would end the process before what waits
        # in memory is written.
        signal.signal(number, server.handle_exit)
    try:
        server.run()
    except SystemExit:
        # uvicorn's way to say that it could not listen; it has logged why.
        return False
    return server.started


@contextmanager
def serving(app: Starlette, service: ReadService, http: HttpSettings) -> Iterator[str]:
    """Answer on a thread for as long as the context lasts, and yield the URL.

    Raises:
        OSError: The address is in use.
        TimeoutError: It did not start.
    """
    with socket.create_server((http.host, http.port)) as listening:
        server = _Server(_config(app, http), service)
        thread = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
        thread.start()
        try:
            _wait(server, thread)
            yield f"http://{http.host}:{listening.getsockname()[1]}"
        finally:
            server.stop()
            thread.join(http.stop_s + 5.0)


def _wait(server: _Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise TimeoutError("the HTTP server did not start")
        time.sleep(_LOOK_S)


def _config(app: Starlette, http: HttpSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=http.host,
        port=http.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        proxy_headers=True,
        forwarded_allow_ips=list(http.trusted_proxies),
        timeout_graceful_shutdown=max(1, round(http.stop_s)),
    )
