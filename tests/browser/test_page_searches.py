"""Saved searches on the page: kept from a journal, opened, changed, shared and deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Serving, Watch
from infrastructure.exports_served import exports_served
from page_log import XSS
from query.access import Scope
from query.saved import Draft, SearchStore
from query.web.guest import SESSION_COOKIE
from query_log import Log
from sinks.connection import Connections

pytest_plugins = ["infrastructure.browser_fixtures"]

SignedIn = Callable[..., Page]


@pytest.fixture(scope="module")
def served(page_log: Log, page_serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with exports_served(page_serving, page_log, tmp_path_factory.mktemp("exports")) as opened:
        yield opened


def keep(page: Page, served: Served, name: str, question: str = "", *, shared: bool = False) -> None:
    page.goto(f"{served.url}/searches/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Question").fill(question)
    page.get_by_label("Share it").set_checked(shared)
    page.get_by_role("button", name="Save").click()


def total(page: Page) -> str:
    return page.locator("#total").inner_text()


def test_a_search_goes_round_from_the_journal_and_back(
    signed_in: SignedIn, served: Served, axe: Callable[[Page], None]
) -> None:
    page = signed_in(path="/journal?actor_id=u-ann&not=outcome%3Asuccess&period=all&sort=ip&order=asc&tz=Asia/Tokyo")
    before = total(page)
    page.get_by_role("link", name="Save search").click()
    expect(page.get_by_label("Question")).to_have_value("actor_id:u-ann -outcome:success")
    page.get_by_label("Name").fill("Troubles of Ann")
    axe(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("The search Troubles of Ann is saved.")
    axe(page)
    page.get_by_role("link", name="Open Troubles of Ann").click()
    given = parse_qs(urlsplit(page.url).query)
    assert (given["tz"], given["sort"], given["order"], given["period"]) == (["Asia/Tokyo"], ["ip"], ["asc"], ["all"])
    assert total(page) == before
    assert served.records.changes[-1].code == "access.search_save"


def test_a_search_is_renamed_changed_and_deleted(signed_in: SignedIn, served: Served) -> None:
    page = signed_in()
    keep(page, served, "First name", "outcome:failure")
    page.get_by_role("link", name="Change First name").click()
    page.get_by_label("Name").fill("Second name")
    page.get_by_label("Question").fill("outcome:denied since:7d")
    page.get_by_role("button", name="Change", exact=True).click()
    row = page.get_by_role("row").filter(has_text="Second name")
    expect(row).to_contain_text("outcome:denied since:7d")
    expect(page.get_by_text("First name", exact=True)).to_have_count(0)
    row.get_by_role("button", name="Delete Second name").click()
    expect(page.get_by_role("row").filter(has_text="Second name")).to_have_count(0)
    assert [change.code for change in served.records.changes[-2:]] == ["access.search_change", "access.search_delete"]


def test_what_cannot_be_kept_is_said_and_what_was_typed_stays(
    signed_in: SignedIn, served: Served, watch: Watch
) -> None:
    watch.expected += ["400", "409"]
    page = signed_in()
    keep(page, served, "Taken")
    keep(page, served, "taken", "outcome:failure")
    expect(page.get_by_role("alert")).to_contain_text('you have a search "Taken" already')
    expect(page.get_by_label("Question")).to_have_value("outcome:failure")
    page.get_by_label("Name").fill("Free")
    page.get_by_label("Question").fill("acton:login")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text('did you mean "action"?')
    expect(page.get_by_label("Name")).to_have_value("Free")


def test_a_shared_search_is_opened_by_others_and_changed_by_its_owner_only(
    signed_in: SignedIn, served: Served, watch: Watch
) -> None:
    watch.expected.append("403")
    page = signed_in("auditor", Scope(("acme",)))
    keep(page, served, "For all of us", "outcome:failure", shared=True)
    keep(page, served, "For me", "outcome:failure")
    page.context.clear_cookies()
    page = signed_in("administrator", Scope(("acme", "globex")), "/searches")
    row = page.get_by_role("row").filter(has_text="For all of us")
    expect(row).to_contain_text("test auditor")
    expect(page.get_by_text("For me", exact=True)).to_have_count(0)
    expect(row.get_by_role("link", name="Change")).to_have_count(0)
    own = row.locator("form").get_attribute("action") or ""
    page.goto(served.url + own.removesuffix("/delete"))
    expect(page.get_by_role("alert")).to_contain_text("belongs to somebody else")
    page.goto(f"{served.url}/searches")
    page.get_by_role("button", name="Delete For all of us").click()
    expect(page.get_by_role("status")).to_contain_text("is deleted")


def test_hostile_names_and_texts_are_shown_as_text(signed_in: SignedIn, served: Served) -> None:
    page = signed_in()
    keep(page, served, XSS, "text:<script>")
    expect(page.get_by_role("row").filter(has_text="<script>").first).to_be_visible()
    assert page.title() != "hit"


def test_a_text_that_is_not_understood_any_more_is_kept_and_says_so(
    signed_in: SignedIn, served: Served, watch: Watch
) -> None:
    watch.expected.append("400")
    page = signed_in()
    keep(page, served, "Old words", "outcome:failure")
    connections = Connections(served.log.settings)
    desk, token = served.service.searches, served.tokens.find(served.secret())
    assert desk is not None
    assert token is not None
    kept = next(search for search in desk.searches(token) if search.draft.name == "Old words")
    SearchStore(connections).write(replace(kept, draft=Draft("Old words", "oldname:x"), version=2))
    connections.close()
    page.goto(f"{served.url}/searches")
    row = page.get_by_role("row").filter(has_text="Old words")
    expect(row).to_contain_text('Not understood any more: at character 1: "oldname:x"')
    row.get_by_role("link", name="Open Old words").click()
    expect(page.get_by_role("alert").first).to_contain_text("oldname")


def test_forms_that_no_page_of_ours_made_are_refused(signed_in: SignedIn, served: Served) -> None:
    page = signed_in()
    session = next(str(c["value"]) for c in page.context.cookies() if c["name"] == SESSION_COOKIE)
    with httpx.Client(base_url=served.url, cookies={SESSION_COOKIE: session}) as client:
        assert client.post("/searches", data={"csrf": "made up", "name": "forged"}).status_code == 403
        assert client.post("/searches", data={"name": "forged"}).status_code == 403
    page.goto(f"{served.url}/searches")
    expect(page.get_by_text("forged")).to_have_count(0)
