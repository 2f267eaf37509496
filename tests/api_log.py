"""The HTTP API over a stored log, for tests: the real application, the real engine, tokens in its database."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette

from query import open_reader
from query.access import Caller, Change, Read, Recorder, Scope, SignInMethod, Token, TokenStore, TokenVerifier
from query.exports import SHOWN_TITLE, Entry, ExportDesk, ExportJobs, ExportSettings, Job
from query.http import Readers, ReadService, build_app
from query.http.scoped_readers import ScopedReaders
from query.saved import SearchDesk, SearchStore
from query.settings import HttpSettings
from query_log import Log
from schemas.catalogue import Catalogue
from sinks.connection import Connections

ALL = Scope()


@dataclass(slots=True)
class Records:
    """A recorder that keeps what it is told."""

    reads: list[Read] = field(default_factory=list)
    failures: list[tuple[Caller, str, str]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    sessions: list[tuple[str, Token, SignInMethod]] = field(default_factory=list)
    in_the_way: str = ""
    exports: list[tuple[Job, Entry]] = field(default_factory=list)

    def read(self, read: Read) -> None:
        """Keep a read."""
        self.reads.append(read)

    def changed(self, change: Change) -> None:
        """Keep a change."""
        self.changes.append(change)

    def sign_in_failed(self, caller: Caller, reason: str, token_id: str, method: SignInMethod = "token") -> None:
        """Keep a failed sign-in."""
        del method
        self.failures.append((caller, reason, token_id))

    def signed_in(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Keep a sign-in."""
        del caller
        self.sessions.append(("in", token, method))

    def signed_out(self, caller: Caller, token: Token, method: SignInMethod) -> None:
        """Keep a sign-out."""
        del caller
        self.sessions.append(("out", token, method))

    def obstacle(self) -> str:
        """Return what a test put in the way."""
        return self.in_the_way


@dataclass(slots=True)
class Api:
    """The API over one log.

    Attributes:
        log: What is stored.
        app: The ASGI application.
        service: What it reads through.
        tokens: The tokens of its database.
        records: What was recorded.
    """

    log: Log
    app: Starlette
    service: ReadService
    tokens: TokenStore
    records: Records

    def secret(self, role: str = "auditor", scope: Scope = ALL) -> str:
        """Return the secret of a new token."""
        return self.tokens.create(f"test {role}", role, scope)[1]

    def get(
        self,
        path: str,
        secret: str,
        headers: Any = None,
        /,
        **parameters: Any,
    ) -> httpx.Response:
        """Ask by GET with a token."""
        return self.ask("GET", path, secret, headers=headers, params=parameters)

    def post(self, path: str, secret: str, body: Any) -> httpx.Response:
        """Ask by POST with a token and a JSON body."""
        return self.ask("POST", path, secret, json=body)

    def ask(self, method: str, path: str, secret: str = "", **options: Any) -> httpx.Response:
        """Ask the application."""
        headers = {**(options.pop("headers", None) or {})}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        return asyncio.run(self._asked(method, path, headers=headers, **options))

    async def _asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        async with self.client() as client:
            return await client.request(method, path, **options)

    def client(self) -> httpx.AsyncClient:
        """Return a client of the application, for many requests at once."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://api")


@contextmanager
def open_api(log: Log, settings: HttpSettings | None = None, exports: ExportSettings | None = None) -> Iterator[Api]:
    """Put the application together over a log; exports are kept in a directory of its own unless they are told where."""
    records, catalogue = Records(), Catalogue.load()
    with ExitStack() as stack:
        connections = Connections(log.settings)
        stack.callback(connections.close)
        store = TokenStore(connections)
        readers = Readers(lambda: open_reader(log.settings))
        stack.callback(readers.close)
        kept = exports or ExportSettings(storage=stack.enter_context(tempfile.TemporaryDirectory()))
        desk = open_desk(kept, ScopedReaders(readers, catalogue), records)
        stack.callback(desk.close)
        verifier = TokenVerifier(store, cache_s=0.0, last_use_s=0.0)
        http = settings or HttpSettings(tail_interval_s=0.05, tail_s=0.5)
        searches = SearchDesk(SearchStore(connections), records)
        service = ReadService(readers, verifier, catalogue, http, records, exports=desk, searches=searches)
        yield Api(log, build_app(service, "0.0.0"), service, store, records)


def open_desk(settings: ExportSettings, readers: ScopedReaders, recorder: Recorder) -> ExportDesk:
    """Open exports that tell a recorder what happens."""

    def opened() -> ExportJobs:
        def trail(job: Job, entry: Entry) -> None:
            if isinstance(recorder, Records):
                recorder.exports.append((job, entry))

        return ExportJobs(settings, derived={"title": SHOWN_TITLE}, trail=trail)

    return ExportDesk(opened, settings, readers.lent, recorder)
