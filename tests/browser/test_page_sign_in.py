"""Signing in and out, and what a session is worth."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
from playwright.sync_api import Page, expect

from infrastructure.browser import PATIENCE_MS, Served, Serving, Watch, sign_in_at
from query.access import Scope
from query.web.security import CONTENT_SECURITY_POLICY
from query.web_settings import PageSettings
from query_log import Log

pytest_plugins = ["infrastructure.browser_fixtures"]


def client_of(served: Served) -> httpx.Client:
    """Return a client that keeps cookies."""
    return httpx.Client(base_url=served.url, timeout=PATIENCE_MS / 1000)


def form_key(html: str) -> str:
    """Return what the forms of a page must send along."""
    return html.partition('name="csrf" value="')[2].partition('"')[0]


def try_token(client: httpx.Client, secret: str, onward: str = "/") -> httpx.Response:
    """Sign in by the form."""
    page = client.get("/sign-in")
    fields = {"csrf": form_key(page.text), "token": secret}
    return client.post("/sign-in/token", params={"next": onward}, data=fields)


def test_a_token_opens_the_page_that_was_asked_for_and_signing_out_closes_it(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/journal?outcome=denied")
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    page.get_by_label("API token").fill(served.secret("auditor"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "outcome=denied" in url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Audit journal")
    session = next(c for c in page.context.cookies() if c["name"] == "auditstream_session")
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"
    assert served.secret("auditor") not in session["value"]
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    answer = httpx.get(f"{served.url}/journal", cookies={"auditstream_session": session["value"]})
    assert answer.headers["location"].startswith("/sign-in")
    assert [name for name, *_ in served.records.sessions][-2:] == ["in", "out"]


def test_a_wrong_token_is_refused_in_words_and_recorded(page: Page, served: Served, watch: Watch) -> None:
    watch.expected.append("401")
    page.goto(f"{served.url}/sign-in")
    page.get_by_label("API token").fill("tok_aaaaaaaaaa_wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("opens nothing")
    assert served.records.failures[-1][1:3] == ("unknown", "tok_aaaaaaaaaa")


def test_a_revoked_or_expired_token_ends_its_sessions_at_once(served: Served) -> None:
    token, secret = served.tokens.create("short", "auditor", Scope())
    with client_of(served) as client:
        assert try_token(client, secret).headers["location"] == "/"
        assert client.get("/zone").status_code == 200
        served.tokens.revoke(token.token_id)
        assert client.get("/zone").headers["location"].startswith("/sign-in")
        assert "was revoked" in try_token(client, secret).text
        past = datetime.now(UTC) - timedelta(seconds=1)
        _, expired = served.tokens.create("past", "auditor", Scope(), expires_at=past)
        assert "past its end" in try_token(client, expired).text


def test_only_addresses_on_this_host_follow_a_sign_in(served: Served) -> None:
    for onward in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\tb"):
        with client_of(served) as client:
            assert try_token(client, served.secret("auditor"), onward).headers["location"] == "/"


def test_forms_from_elsewhere_are_not_accepted(served: Served) -> None:
    session = {"auditstream_session": served.session("auditor")}
    with httpx.Client(base_url=served.url, cookies=session, timeout=PATIENCE_MS / 1000) as client:
        key = form_key(client.get("/zone").text)
        assert client.post("/zone", data={"zone": "UTC"}).status_code == 403
        assert client.post("/zone", data={"zone": "UTC", "csrf": key[::-1]}).status_code == 403
        cross = {"Sec-Fetch-Site": "cross-site"}
        assert client.post("/zone", data={"zone": "UTC", "csrf": key}, headers=cross).status_code == 403
        assert client.post("/zone", data={"zone": "UTC", "csrf": key}).status_code == 303
        assert client.get("/sign-out").status_code == 405
    with client_of(served) as client:
        assert client.post("/sign-in/token", data={"token": served.secret("auditor")}).status_code == 403


def test_an_address_that_fails_too_often_has_to_wait(page_serving: Serving, page_log: Log) -> None:
    strict = page_serving.open(page_log, settings=PageSettings(sign_in_failures_per_minute=2))
    with client_of(strict) as client:
        for _ in range(2):
            assert try_token(client, "tok_wrong").status_code == 401
        refused = try_token(client, strict.secret("auditor"))
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_cookies_are_for_tls_only_where_the_page_is_reached_by_tls(page_serving: Serving, page_log: Log) -> None:
    public = page_serving.open(page_log, settings=PageSettings(public_url="https://audit.example"))
    assert "secure" in httpx.get(f"{public.url}/sign-in").headers["set-cookie"].lower()


def test_every_answer_forbids_what_a_page_of_ours_never_does(served: Served) -> None:
    for path in ("/sign-in", "/journal", "/nowhere"):
        headers = httpx.get(served.url + path).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
    style = httpx.get(f"{served.url}/sign-in").text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert "immutable" in httpx.get(served.url + style).headers["cache-control"]


def test_what_goes_wrong_is_told_by_a_page_with_the_request_id(
    signed_in: Callable[..., Page], served: Served, watch: Watch
) -> None:
    watch.expected += ["404", "403"]
    page = signed_in(path="/nowhere/at/all")
    expect(page.get_by_role("alert")).to_contain_text("there is no page at /nowhere/at/all")
    expect(page.get_by_role("alert")).to_contain_text("Request")
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    assert httpx.get(f"{served.url}/api/nowhere").json()["status"] == 404
    page = signed_in("auditor", path="/dead-letters")
    expect(page.get_by_role("alert")).to_contain_text("the right 'ledger' is needed")
    expect(page.get_by_role("navigation", name="Pages")).not_to_contain_text("Dead letters")


def test_the_sign_in_page_is_accessible(page: Page, served: Served, axe: Callable[[Page], None]) -> None:
    page.goto(f"{served.url}/sign-in")
    axe(page)
    sign_in_at(page, served, "auditor", path="/zone")
    expect(page.get_by_role("heading", level=1)).to_have_text("Time zone")
