"""The demo over HTTP: the same application as ``auditstream serve``, with a token for every role."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.request import Request, urlopen

from auditstream.demo.people import ANN, TENANT
from auditstream.http_server import serving
from auditstream.reading import opened_app
from auditstream.settings import Settings
from query.access import ROLES, Scope, TokenStore
from sinks.connection import Connections

ADMINISTRATOR, EXPORTER, OWN_EVENTS = "administrator", "exporter", "own_events"
_EXPORT_S = 30.0


@dataclass(frozen=True, slots=True)
class Served:
    """Where the demo answers, and what opens it.

    Attributes:
        url: Address of the server.
        tokens: Secret of a token by role.
        export_id: An export of the log, asked for over the API.
    """

    url: str
    tokens: Mapping[str, str]
    export_id: str

    @property
    def api(self) -> str:
        """Address of the HTTP API."""
        return f"{self.url}/api/v1"

    @property
    def token(self) -> str:
        """Secret of the administrator's token."""
        return self.tokens[ADMINISTRATOR]

    def ready(self) -> Mapping[str, object]:
        """Return what the ready file says of it."""
        return {"url": self.url, "api": self.api, "token": self.token, "tokens": dict(self.tokens)}


@contextmanager
def served_demo(settings: Settings, *, any_port: bool) -> Iterator[Served]:
    """Serve the API and what stands beside it for as long as the context lasts.

    Args:
        settings: Settings of a reader.
        any_port: Whether another port will do when that of ``settings.http`` is in use.

    Raises:
        OSError: The port is in use.
        ProducerError: Reads cannot be recorded.
    """
    tokens = _create_tokens(settings)
    with opened_app(settings) as (app, service), ExitStack() as stack:
        try:
            url = stack.enter_context(serving(app, service, settings.http))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not any_port:
                raise
            url = stack.enter_context(serving(app, service, settings.http.model_copy(update={"port": 0})))
        yield Served(url, tokens, _export_logins(url, tokens[EXPORTER]))


def _export_logins(url: str, secret: str) -> str:
    """Ask for an export over the API, as anybody would, and return its id."""
    body = {"query": f"tenant:{TENANT} kind:auth", "format": "csv", "purpose": "weekly review of logins"}
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    request = Request(f"{url}/api/v1/export-jobs", json.dumps(body).encode(), headers)  # noqa: S310 - our own server
    with urlopen(request, timeout=_EXPORT_S) as answer:  # noqa: S310 - as above
        return str(json.load(answer)["id"])


def _create_tokens(settings: Settings) -> Mapping[str, str]:
    connections = Connections(settings.clickhouse)
    try:
        store = TokenStore(connections)
        return {role: store.create(f"demo {role}", role, scope_of(role), created_by="demo")[1] for role in ROLES}
    finally:
        connections.close()


def scope_of(role: str) -> Scope:
    """Return what the demo's token of a role reaches: everything, one company, or one person in it."""
    if role == ADMINISTRATOR:
        return Scope()
    return Scope((TENANT,), actor_id=ANN.id if role == OWN_EVENTS else "")
