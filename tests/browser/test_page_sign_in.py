"""Signing in and out, and what a session is worth."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Watch

pytest_plugins = ["infrastructure.browser_fixtures"]


def test_a_token_opens_the_journal_and_signing_out_closes_it(signed_in: Callable[..., Page], served: Served) -> None:
    page = signed_in("auditor")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Audit journal")
    session = next(c for c in page.context.cookies() if c["name"] == "auditstream_session")
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"
    assert served.secret("auditor") not in session["value"]
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    cookies = {"auditstream_session": session["value"]}
    assert httpx.get(f"{served.url}/journal", cookies=cookies).headers["location"].startswith("/sign-in")


def test_a_wrong_token_is_refused_in_words_and_recorded(page: Page, served: Served, watch: Watch) -> None:
    watch.expected.append("401")
    page.goto(f"{served.url}/sign-in")
    page.get_by_label("API token").fill("tok_aaaaaaaaaa_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("opens nothing")
    assert [(reason, token) for _, reason, token in served.records.failures][-1] == ("unknown", "tok_aaaaaaaaaa")
