"""Tokens on the page: seen, made and revoked by administrators, within their own scope."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Watch
from page_log import XSS
from query.access import Scope
from query.web.guest import SESSION_COOKIE

pytest_plugins = ["infrastructure.browser_fixtures"]


def test_a_token_is_made_used_and_revoked(
    signed_in: Callable[..., Page], served: Served, axe: Callable[[Page], None]
) -> None:
    page = signed_in(path="/access")
    page.get_by_label("Name", exact=True).fill("night shift")
    page.get_by_label("Tenants", exact=True).fill("acme, globex")
    page.get_by_text("Narrow further").click()
    page.get_by_label("auth", exact=True).check()
    page.get_by_label("Days until it expires").fill("30")
    page.get_by_role("button", name="Make token").click()
    secret = page.locator("#secret").inner_text()
    axe(page)
    token = served.tokens.find(secret)
    assert token
    assert (token.name, token.role, token.scope) == (
        "night shift",
        "auditor",
        Scope(("acme", "globex"), record_kinds=("auth",)),
    )
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{served.url}/api/v1/me", headers=headers).json()["name"] == "night shift"
    page.get_by_role("link", name="Done").click()
    assert secret not in page.content()
    row = page.get_by_role("row").filter(has_text=token.token_id)
    expect(row).to_contain_text("tenant acme, globex; kind auth")
    row.locator("summary").click()
    row.get_by_role("button", name=f"Revoke {token.token_id} now").click()
    expect(page.get_by_role("status")).to_contain_text(f"night shift ({token.token_id}) is revoked.")
    expect(page.get_by_role("row").filter(has_text=token.token_id)).to_contain_text("revoked")
    assert httpx.get(f"{served.url}/api/v1/me", headers=headers).status_code == 401
    assert [(c.code, c.target_id) for c in served.records.changes[-2:]] == [
        ("access.token_create", token.token_id),
        ("access.token_revoke", token.token_id),
    ]


def test_what_contradicts_itself_is_said_and_what_was_typed_stays(
    signed_in: Callable[..., Page], served: Served, watch: Watch
) -> None:
    watch.expected.append("400")
    page = signed_in(path="/access")
    before = len(served.tokens.tokens())
    page.get_by_label("Name", exact=True).fill(XSS)
    page.get_by_label("Days until it expires").fill("many")
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_role("alert")).to_contain_text("expected 1 to 36500")
    expect(page.get_by_label("Name", exact=True)).to_have_value(XSS)
    page.get_by_label("Days until it expires").fill("")
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_role("alert")).to_contain_text("name the tenants that it reaches")
    assert len(served.tokens.tokens()) == before


def test_a_name_is_shown_as_text(signed_in: Callable[..., Page], served: Served) -> None:
    served.tokens.create(XSS, "exporter", Scope(("acme",)))
    page = signed_in(path="/access")
    expect(page.get_by_role("row").filter(has_text="{{7*7}}").first).to_contain_text("<script>")
    assert page.title() != "hit"


def test_an_administrator_of_one_tenant_sees_and_gives_no_more(signed_in: Callable[..., Page], served: Served) -> None:
    other = served.tokens.create("of another tenant", "auditor", Scope(("globex",)))[0]
    page = signed_in(scope=Scope(("acme",)), path="/access")
    expect(page.get_by_text("of another tenant")).to_have_count(0)
    expect(page.get_by_label("Every tenant")).to_have_count(0)
    expect(page.get_by_role("option", name="erasure officer")).to_have_count(0)
    session = next(str(c["value"]) for c in page.context.cookies() if c["name"] == SESSION_COOKIE)
    key = page.locator("input[name=csrf]").first.get_attribute("value")
    with httpx.Client(base_url=served.url, cookies={SESSION_COOKIE: session}) as client:
        wide = {"csrf": key, "name": "wide", "role": "auditor", "all_tenants": "1"}
        assert client.post("/access", data=wide).status_code == 403
        assert client.post(f"/access/{other.token_id}/revoke", data={"csrf": key}).status_code == 404
        assert client.post("/access", data={**wide, "csrf": "made up"}).status_code == 403
        assert client.post("/access", data={n: v for n, v in wide.items() if n != "csrf"}).status_code == 403
    assert "wide" not in {t.name for t in served.tokens.tokens()}
    assert next(t for t in served.tokens.tokens() if t.token_id == other.token_id).revoked_at is None


def test_without_the_right_there_is_no_page(signed_in: Callable[..., Page], served: Served, watch: Watch) -> None:
    watch.expected.append("403")
    page = signed_in("auditor")
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Tokens")).to_have_count(0)
    page.goto(f"{served.url}/access")
    expect(page.get_by_role("alert")).to_contain_text("the right 'tokens' is needed")
