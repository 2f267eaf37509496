"""Signing in at an identity provider, in a real browser: there, back, and what is said when it does not work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from infrastructure.browser import Served, Serving, Watch
from infrastructure.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, open_identity_provider
from infrastructure.ports import LOOPBACK, free_port
from query.access import Identity, Scope
from query.oidc import OidcSignIn
from query.oidc_settings import OidcRule, OidcSettings
from query.web.guest import SESSION_COOKIE
from query.web.oidc import ATTEMPT_COOKIE, BEGIN_PATH, CALLBACK_PATH, END_PATH, OidcWay
from query_log import Log

pytest_plugins = ["infrastructure.browser_fixtures"]

RULES = (
    OidcRule(claim="groups", value="audit-admins", role="administrator", all_tenants=True),
    OidcRule(claim="groups", value="audit-*", role="auditor", tenants_claim="org"),
)


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with open_identity_provider() as opened:
        yield opened


@pytest.fixture(scope="module")
def settings(running: IdentityProvider) -> OidcSettings:
    secret = SecretStr(CLIENT_SECRET)
    return OidcSettings(
        issuer=running.issuer,
        client_id=CLIENT_ID,
        client_secret=secret,
        rules=RULES,
        label="Acme",
        key_refresh_s=0,
        discovery_s=0.001,
    )


@pytest.fixture(scope="module")
def served(page_log: Log, page_serving: Serving, settings: OidcSettings) -> Iterator[Served]:
    sign_in = OidcSignIn(settings)
    yield page_serving.open(page_log, ways=lambda _: [OidcWay(sign_in, settings)])
    sign_in.close()


@pytest.fixture
def provider(running: IdentityProvider, served: Served) -> IdentityProvider:
    running.people = {
        "ann": {"name": "Ann Archer", "groups": ["audit-readers"], "org": "globex"},
        "root": {"name": "Root", "groups": ["audit-admins"]},
        "bob": {"name": "<b>Bob</b>", "groups": ["staff"]},
    }
    running.redirect_uris = {served.url + CALLBACK_PATH}
    running.away = False
    running.alter = lambda claims: claims
    return running


@pytest.fixture(autouse=True)
def provider_may_be_asked(watch: Watch, provider: IdentityProvider) -> None:
    watch.expected.append(f"another host was asked: {provider.issuer}")


def at_provider(page: Page, served: Served, login: str, path: str = "/zone") -> None:
    """Go to a page, be sent to the provider, and fill in its form."""
    page.goto(served.url + path)
    page.get_by_role("link", name="Sign in with Acme").click()
    page.get_by_label("Login").fill(login)
    page.get_by_role("button", name="Continue").click()


def last_failure(served: Served) -> tuple[str, str]:
    _, reason, login = served.records.failures[-1]
    return reason, login


def test_a_person_signs_in_reads_within_the_scope_and_signs_out(
    page: Page, served: Served, provider: IdentityProvider
) -> None:
    at_provider(page, served, "ann", "/journal?since=30d&action=campaign.*")
    expect(page.get_by_text("Signed in: Ann Archer")).to_be_visible()
    # Back where she wanted to go, and there is nothing of another tenant.
    assert urlsplit(page.url).path == "/journal"
    assert "campaign." in page.url
    expect(page.get_by_text("Winter sale")).to_have_count(0)
    page.goto(f"{served.url}/journal?since=30d")
    expect(page.get_by_text("report.read").first).to_be_visible()
    kind, person, method = served.records.sessions[-1]
    assert isinstance(person, Identity)
    assert (kind, method, person.name, person.scope) == ("in", "oidc", "Ann Archer", Scope(("globex",)))
    assert {r.token.token_id for r in served.records.reads if r.token.name == "Ann Archer"} == {person.token_id}
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert served.records.sessions[-1][0] == "out"
    page.get_by_role("link", name="End the session at Acme").click()
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sign in")


def test_another_group_gives_another_role_and_scope(page: Page, served: Served, provider: IdentityProvider) -> None:
    at_provider(page, served, "root", "/journal?since=30d&action=campaign.*")
    expect(page.get_by_text("Ann Archer activated campaign")).to_be_visible()
    expect(page.get_by_text("Signed in: Root")).to_contain_text("administrator")
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Tokens")).to_be_visible()


def test_somebody_whom_no_rule_lets_in_is_told_what_to_ask_for(
    page: Page, served: Served, provider: IdentityProvider, watch: Watch, axe: Callable[[Page], None]
) -> None:
    watch.expected.append("403")
    at_provider(page, served, "bob")
    expect(page.get_by_role("alert")).to_contain_text("Acme knows you as <b>Bob</b>, but no rule gives you a role")
    expect(page.get_by_role("alert")).to_contain_text("groups is audit-*")
    assert last_failure(served) == ("no rule gives this person a role", "<b>Bob</b>")
    axe(page)
    page.goto(f"{served.url}/journal")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Sign in")


def answer_of(page: Page, served: Served, login: str = "ann") -> str:
    """Begin in the browser, fill in the form beside it, and return where the provider would send the browser."""
    page.goto(f"{served.url}/sign-in?next=/zone")
    page.get_by_role("link", name="Sign in with Acme").click()
    page.get_by_label("Login").wait_for()
    return httpx.post(page.url, data={"login": login}).headers["location"]


def test_while_the_provider_is_away_that_is_said_and_a_token_still_opens_the_page(
    page: Page, served: Served, provider: IdentityProvider, watch: Watch, axe: Callable[[Page], None]
) -> None:
    watch.expected.append("503")
    back = answer_of(page, served)
    provider.away = True
    page.goto(back)
    expect(page.get_by_role("alert")).to_contain_text("Signing in with Acme is not possible now")
    axe(page)
    page.get_by_label("API token").fill(served.secret("auditor"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_provider_that_never_answered_is_said_to_be_away(
    page_log: Log, page_serving: Serving, settings: OidcSettings
) -> None:
    nobody = settings.model_copy(update={"issuer": f"http://{LOOPBACK}:{free_port()}", "timeout_s": 1.0})
    sign_in = OidcSignIn(nobody)
    other = page_serving.open(page_log, ways=lambda _: [OidcWay(sign_in, nobody)])
    for path in (BEGIN_PATH, END_PATH):
        answer = httpx.get(other.url + path)
        assert answer.status_code == 503
        assert "is not possible now" in answer.text
    assert httpx.get(f"{other.url}/sign-in").status_code == 200
    sign_in.close()


def test_an_id_token_that_proves_nothing_is_refused_in_words_and_recorded(
    page: Page, served: Served, provider: IdentityProvider, watch: Watch
) -> None:
    watch.expected.append("401")
    provider.alter = lambda claims: {**claims, "nonce": "x"}
    at_provider(page, served, "ann")
    reason = "the id token is refused: it belongs to another sign-in"
    expect(page.get_by_role("alert")).to_contain_text(f"You are not signed in: {reason}")
    assert last_failure(served)[0] == reason
    assert [c["name"] for c in page.context.cookies() if c["name"] == SESSION_COOKIE] == []


def test_an_answer_is_good_once_and_only_in_the_browser_that_began(
    page: Page, served: Served, provider: IdentityProvider, watch: Watch
) -> None:
    watch.expected.append("401")
    back = answer_of(page, served)
    elsewhere = httpx.get(back)
    assert elsewhere.status_code == 401
    assert "belongs to no sign-in that this browser began" in elsewhere.text
    kept = next(c for c in page.context.cookies() if c["name"] == ATTEMPT_COOKIE)
    assert (kept["httpOnly"], kept["sameSite"]) == (True, "Lax")
    page.goto(back)
    expect(page.get_by_text("Signed in: Ann Archer")).to_be_visible()
    page.goto(back)
    expect(page.get_by_role("alert")).to_contain_text("belongs to no sign-in that this browser began")
    # With the cookie put back, the provider still takes the code once only.
    replayed = httpx.get(back, cookies={ATTEMPT_COOKIE: str(kept["value"])})
    assert "the provider does not take the code: invalid_grant" in replayed.text
    changed = httpx.get(back, cookies={ATTEMPT_COOKIE: str(kept["value"]) + "x"})
    assert "belongs to no sign-in that this browser began" in changed.text


def test_a_changed_session_opens_nothing(page: Page, served: Served, provider: IdentityProvider) -> None:
    at_provider(page, served, "ann")
    page.get_by_text("Signed in: Ann Archer").wait_for()
    session = next(str(c["value"]) for c in page.context.cookies() if c["name"] == SESSION_COOKIE)
    assert httpx.get(f"{served.url}/zone", cookies={SESSION_COOKIE: session}).status_code == 200
    swapped = f"{session[:9]}{'A' if session[9] != 'A' else 'B'}{session[10:]}"
    for forged in (swapped, session[:-2], ""):
        answer = httpx.get(f"{served.url}/zone", cookies={SESSION_COOKIE: forged})
        assert answer.headers["location"].startswith("/sign-in")
    # The API goes on to want a token for everything that changes something.
    assert httpx.post(f"{served.url}/api/v1/events/search", cookies={SESSION_COOKIE: session}).status_code == 401


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_to_no_other_host(served: Served, provider: IdentityProvider, where: str) -> None:
    with httpx.Client() as browser:
        begun = browser.get(served.url + BEGIN_PATH, params={"next": where})
        back = httpx.post(begun.headers["location"], data={"login": "ann"}).headers["location"]
        assert browser.get(back).headers["location"] == "/"
