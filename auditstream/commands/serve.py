"""``auditstream serve``: the HTTP API."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import click
import structlog
import uvicorn
from starlette.applications import Starlette

from auditstream import __version__
from auditstream.access_events import AccessEvents, open_access_producer
from auditstream.commands.query import load_catalogue
from auditstream.logs import configure_logging
from auditstream.settings import Settings, load_settings
from producers import ProducerError
from query import open_reader
from query.access import NoRecorder, Recorder, TokenStore, TokenVerifier
from query.http import Readers, ReadService, build_app
from query.settings import HttpSettings
from schemas.catalogue import Catalogue
from schemas.errors import CatalogueError, SchemaError
from sinks.connection import Connections

log = structlog.get_logger(__name__)


@click.command(epilog="Example: auditstream serve --port 8480")
@click.option("--host", help="Address to listen on.  [default: http.host]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, 0 for a free one.  [default: http.port]")
def serve(host: str | None, port: int | None) -> None:
    """Answer reads over HTTP until SIGTERM or Ctrl-C; /api/openapi.json describes them.

    It speaks plain HTTP: put a proxy with TLS in front of it before anything but this machine can reach it, and name
    the proxy in http.trusted_proxies. Tokens are made by `auditstream tokens create`. Exit codes: 0 stopped on request,
    1 the address is in use or recording is impossible, 2 wrong settings.
    """
    named = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load_settings(http=named)
    configure_logging(settings.log)
    try:
        with opened_service(settings) as service:
            app = build_app(service, __version__)
            ended_well = _run(app, service, settings.http)
    except CatalogueError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except (ProducerError, SchemaError, OSError) as error:
        click.echo(f"auditstream serve cannot record reads: {error}; access.record=false switches it off", err=True)
        sys.exit(1)
    sys.exit(0 if ended_well else 1)


@contextmanager
def opened_service(settings: Settings) -> Iterator[ReadService]:
    """Put together what answers reads, and take it apart at the end.

    Args:
        settings: All settings.

    Raises:
        CatalogueError: A catalogue file is wrong.
        ProducerError: Reads are to be recorded, and cannot be.
        SchemaError: The registry's address is wrong.
    """
    catalogue = load_catalogue(settings)
    access = settings.access
    with ExitStack() as stack:
        connections = Connections(settings.clickhouse)
        stack.callback(connections.close)
        readers = Readers(lambda: open_reader(settings.clickhouse))
        stack.callback(readers.close)
        verifier = TokenVerifier(TokenStore(connections), cache_s=access.cache_s, last_use_s=access.last_use_s)
        stack.callback(verifier.write_uses)
        yield ReadService(readers, verifier, catalogue, settings.http, _recorder(settings, catalogue, stack))


def _recorder(settings: Settings, catalogue: Catalogue, stack: ExitStack) -> Recorder:
    if not settings.access.record:
        return NoRecorder()
    producer = stack.enter_context(open_access_producer(settings))
    return AccessEvents(producer, catalogue, settings.access)


class _Server(uvicorn.Server):
    """Tells live tails to end when the process is told to, and says where it listens."""

    def __init__(self, config: uvicorn.Config, service: ReadService) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        self._service.stopping = True
        super().handle_exit(sig, frame)

    def _log_started_message(self, listeners: object) -> None:
        del listeners
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                log.info("listening", url=f"http://{host}:{port}/api/v1", tls="by a proxy")


def _run(app: Starlette, service: ReadService, http: HttpSettings) -> bool:
    config = uvicorn.Config(
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
    server = _Server(config, service)
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
