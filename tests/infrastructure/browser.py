"""The page served over a log, and a watch over what a browser does with it; fixtures are in ``browser_fixtures``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request

from api_log import ALL, Records
from infrastructure.ports import LOOPBACK, wait_until
from query import open_reader
from query.access import Scope, TokenStore, TokenVerifier
from query.http import Readers, ReadService, build_app
from query.settings import HttpSettings
from query.web import SignInWay, site_routes
from query.web.guest import SESSION_COOKIE
from query.web_settings import PageSettings
from query_log import Log
from schemas.catalogue import Catalogue
from sinks.connection import Connections

#: The machine may be busy with other tests.
PATIENCE_MS = 30_000.0


@dataclass(slots=True)
class Served:
    """The page over one log, served over HTTP on loopback.

    Attributes:
        url: Its address, without a slash at the end.
        log: What is stored.
        tokens: The tokens of its database.
        records: What was recorded of reads.
        service: What it reads through.
    """

    url: str
    log: Log
    tokens: TokenStore
    records: Records
    service: ReadService
    _secrets: dict[tuple[str, Scope], str] = field(default_factory=dict)
    _sessions: dict[tuple[str, Scope], str] = field(default_factory=dict)

    def secret(self, role: str = "administrator", scope: Scope = ALL) -> str:
        """Return the secret of a token of a role; the same one for the same role and scope."""
        if (role, scope) not in self._secrets:
            self._secrets[role, scope] = self.tokens.create(f"test {role}", role, scope)[1]
        return self._secrets[role, scope]

    def session(self, role: str = "administrator", scope: Scope = ALL) -> str:
        """Return the cookie of a session of a role, as its sign-in gave it; the same one for the same role and scope."""
        if (role, scope) not in self._sessions:
            with httpx.Client(base_url=self.url, timeout=PATIENCE_MS / 1000) as client:
                form = client.get("/sign-in").text
                key = form.partition('name="csrf" value="')[2].partition('"')[0]
                client.post("/sign-in/token", data={"csrf": key, "token": self.secret(role, scope)})
                self._sessions[role, scope] = client.cookies[SESSION_COOKIE]
        return self._sessions[role, scope]


def _none(service: ReadService) -> list[Any]:
    del service
    return []


class Serving:
    """Serves pages over logs; every one is stopped by ``close``."""

    def __init__(self) -> None:
        """Prepare it; nothing is served yet."""
        self._ends: list[Callable[[], None]] = []

    def open(
        self,
        log: Log,
        *,
        settings: PageSettings | None = None,
        http: HttpSettings | None = None,
        ways: Callable[[ReadService], list[SignInWay]] = _none,
        parts: Callable[[ReadService], list[object]] = _none,
    ) -> Served:
        """Serve the page and the API over a log.

        Args:
            log: What is stored.
            settings: Settings of the page.
            http: Limits of the service.
            ways: Makes further ways to sign in.
            parts: Makes what pages need besides.
        """
        records, connections = Records(), Connections(log.settings)
        tokens = TokenStore(connections)
        readers = Readers(lambda: open_reader(log.settings))
        verifier = TokenVerifier(tokens, cache_s=0.0, last_use_s=3600.0)
        limits = http or HttpSettings(tail_interval_s=0.1)
        service = ReadService(readers, verifier, Catalogue.load(), limits, records)
        page = site_routes(service, settings or PageSettings(), ways=ways(service), parts=parts(service))
        url = self._run(build_app(service, "0.0.0", more=page), service)
        self._ends += [readers.close, connections.close]
        return Served(url, log, tokens, records, service)

    def _run(self, app: Any, service: ReadService) -> str:
        config = uvicorn.Config(
            app, host=LOOPBACK, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="page", daemon=True)
        thread.start()
        wait_until(lambda: server.started, timeout_s=30.0, what="the page")
        port = server.servers[0].sockets[0].getsockname()[1]

        def stop() -> None:
            service.stopping, server.should_exit = True, True
            thread.join(20.0)

        self._ends.append(stop)
        return f"http://{LOOPBACK}:{port}"

    def close(self) -> None:
        """Stop everything."""
        for end in self._ends:
            end()
        self._ends.clear()


#: Links of our own must not have names that the page they lead to ignores.
_TELL_IGNORED = """addEventListener("DOMContentLoaded", () => {
  const ignored = document.querySelector("[data-ignored]");
  if (ignored) console.error("ignored in " + location + ": " + ignored.textContent);
});"""


@dataclass
class Watch:
    """What a browser page did that it must not."""

    url: str
    problems: list[str] = field(default_factory=list)
    #: Parts of messages that a test expects, such as that of a status 404.
    expected: list[str] = field(default_factory=list)

    def of(self, page: Page) -> None:
        """Watch a page."""
        page.add_init_script(_TELL_IGNORED)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        page.on("request", self._asked)

    def check(self) -> None:
        """Fail the test when there was something."""
        found = [p for p in self.problems if not any(e in p for e in self.expected)]
        assert not found, "\n".join(found)

    def _said(self, message: ConsoleMessage) -> None:
        # Content security policy violations are errors of the console; so are answers with an error status.
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and not request.url.startswith(self.url):
            self.problems.append(f"another host was asked: {request.url}")


def sign_in_at(page: Page, served: Served, role: str = "administrator", scope: Scope = ALL, path: str = "/") -> Page:
    """Sign in by the form, which leads to a path."""
    page.goto(f"{served.url}/sign-in?next={quote(path, safe='')}")
    page.get_by_label("API token").fill(served.secret(role, scope))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Sign out").wait_for()
    return page


def check_accessibility(page: Page) -> None:
    """Fail when axe-core finds a violation; in dark colours those of colours are looked for."""
    for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        results = Axe().run(page, options=options)
        assert results.violations_count == 0, f"{scheme}: {results.generate_report()}"
    page.emulate_media(color_scheme="light")
