"""Fixtures of tests in Chromium: ``pytest_plugins = ["infrastructure.browser_fixtures"]``.

``page`` is a browser page that fails its test when the page logs an error, breaks its content security policy, or asks
another host. ``signed_in(role, scope, path)`` signs it in, ``axe(page)`` looks at its accessibility. A module that needs
settings or parts of its own overrides ``served``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from api_log import ALL
from infrastructure.browser import PATIENCE_MS, Served, Serving, Watch, check_accessibility
from infrastructure.clickhouse import drop_database, fresh_database
from infrastructure.requirements import missing
from page_log import fill
from query.access import Scope
from query.web.guest import SESSION_COOKIE
from query_log import Log, open_log
from sinks.settings import ClickHouseSettings

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def playwright_driver() -> Iterator[Playwright]:
    """The driver of the browser."""
    if not CHROMIUM.exists():
        missing("browser", f"{CHROMIUM} is not there; on Debian and Ubuntu the package is chromium")
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(playwright_driver: Playwright) -> Iterator[Browser]:
    """One Chromium for the whole run."""
    browser = playwright_driver.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def page_log(clickhouse_served: ClickHouseSettings) -> Iterator[Log]:
    """A log full of realistic events, the same for the whole run; tests add to it only what they tell apart."""
    settings = fresh_database(clickhouse_served)
    with open_log(settings) as log:
        fill(log)
        yield log
    drop_database(settings)


@pytest.fixture(scope="session")
def page_serving() -> Iterator[Serving]:
    """Serves pages, for tests that need settings or parts of their own."""
    serving = Serving()
    yield serving
    serving.close()


@pytest.fixture(scope="session")
def served(page_log: Log, page_serving: Serving) -> Served:
    """The page over ``page_log`` as it is by default."""
    return page_serving.open(page_log)


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Options of the browser context; override in a test module, or parametrize indirectly."""
    return {}


@pytest.fixture
def browser_context(chromium: Browser, context_options: dict[str, Any]) -> Iterator[BrowserContext]:
    """A fresh profile: no cookies, a zone that is not UTC."""
    options = {"timezone_id": "America/New_York", "locale": "en-US", "viewport": {"width": 1280, "height": 900}}
    context = chromium.new_context(**{**options, **context_options})
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def watch(served: Served) -> Iterator[Watch]:
    """What the page did that it must not; ``watch.expected`` takes parts of messages that are wanted."""
    found = Watch(served.url)
    yield found
    found.check()


@pytest.fixture
def page(browser_context: BrowserContext, watch: Watch) -> Page:
    """A browser page, not signed in."""
    opened = browser_context.new_page()
    watch.of(opened)
    return opened


@pytest.fixture
def signed_in(page: Page, served: Served) -> Callable[..., Page]:
    """``signed_in(role="administrator", scope=ALL, path="/journal")``: go to a path, signed in."""

    def sign_in(role: str = "administrator", scope: Scope = ALL, path: str = "/journal") -> Page:
        cookie: Any = {"name": SESSION_COOKIE, "value": served.session(role, scope), "url": served.url}
        page.context.add_cookies([cookie])
        page.goto(served.url + path)
        return page

    return sign_in


@pytest.fixture
def axe() -> Callable[[Page], None]:
    """``axe(page)``: fail when axe-core finds a violation, with the page in light and in dark colours."""
    return check_accessibility
