"""``auditstream serve``: the HTTP API."""

from __future__ import annotations

import sys

import click

from auditstream.http_server import serve_until_told
from auditstream.logs import configure_logging
from auditstream.reading import opened_app
from auditstream.settings import load_settings
from producers import ProducerError
from query.collector import collect_rarely
from schemas.errors import CatalogueError, SchemaError


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
    collect_rarely()
    try:
        with opened_app(settings) as (app, service):
            ended_well = serve_until_told(app, service, settings.http)
    except CatalogueError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except (ProducerError, SchemaError, OSError) as error:
        click.echo(f"auditstream serve cannot record reads: {error}; access.record=false switches it off", err=True)
        sys.exit(1)
    sys.exit(0 if ended_well else 1)
