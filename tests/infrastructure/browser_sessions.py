"""Sessions of the page that tests share: who has signed in once by the form needs not do so in every test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

from api_log import ALL
from infrastructure.browser import Served, sign_in_at
from query.access import Scope


@dataclass(slots=True)
class BrowserSessions:
    """Signs browser pages in; the first time by the form, then with the cookies of that time."""

    _cookies: dict[tuple[str, str, Scope], list[Any]] = field(default_factory=dict)

    def sign_in(self, page: Page, served: Served, role: str, scope: Scope = ALL, path: str = "/") -> Page:
        """Sign a page in and go to a path."""
        key = (served.url, role, scope)
        if key not in self._cookies:
            sign_in_at(page, served, role, scope, path)
            self._cookies[key] = page.context.cookies()
            return page
        page.context.add_cookies(self._cookies[key])
        page.goto(served.url + path)
        return page
