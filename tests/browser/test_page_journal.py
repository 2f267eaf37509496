"""The journal in a browser: filters, figures, pages, orders, zones, and texts that try to be something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from infrastructure.browser import Served, Watch, sign_in_at
from page_log import ACTIVATE_ID, EVENTS, RIGHT_TO_LEFT, TWICE_ID, XSS, XSS_ID
from query import Question, parse
from query.filters import all_filters

pytest_plugins = ["infrastructure.browser_fixtures"]

SignedIn = Callable[..., Page]


def total(page: Page) -> int:
    """Return how many events the page says there are."""
    return int(re.sub(r"\D", "", page.locator("#total").inner_text()))


def query_of(page: Page) -> dict[str, list[str]]:
    """Return the query part of the address."""
    return parse_qs(urlsplit(page.url).query)


def rows(page: Page) -> int:
    """Return how many rows or tiles there are."""
    return page.locator("[data-row]").count()


def test_the_last_24_hours_are_shown_and_stated_with_their_zone(signed_in: SignedIn) -> None:
    page = signed_in()
    expect(page.get_by_role("heading", level=1)).to_contain_text("times in UTC (project time)")
    expect(page.locator(".summary")).to_contain_text("the last 24 hours, unless you choose another period")
    assert total(page) == EVENTS
    assert rows(page) == 50


def test_the_place_under_settings_leads_to_the_journal(signed_in: SignedIn) -> None:
    page = signed_in(path="/settings/audit-journal")
    expect(page).to_have_url(re.compile("/journal$"))
    expect(page.locator(".crumbs")).to_contain_text("Settings")


def test_each_tile_is_headed_by_what_was_done_with_date_user_address_and_object(signed_in: SignedIn) -> None:
    page = signed_in(path=f"/journal?event={ACTIVATE_ID}")
    tile = page.locator(".tile")
    expect(tile.get_by_role("heading")).to_contain_text("campaign activate")
    expect(tile).to_contain_text("Ann Archer activated campaign Winter sale")
    assert tile.locator("dt").all_inner_texts() == ["Date", "User", "IP address", "Object"]
    assert tile.locator("dd").nth(2).inner_text() == "203.0.113.7 DE"
    assert tile.locator("dd").nth(3).inner_text() == "campaign Winter sale"


def test_all_times_are_a_choice_and_its_timeline_begins_with_the_first_event(signed_in: SignedIn) -> None:
    page = signed_in(path="/journal?tenant=globex")
    day = total(page)
    page.get_by_label("Period").select_option("all")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "period=all" in url)
    assert total(page) == day
    expect(page.locator(".summary")).to_contain_text("of all times")
    expect(page.locator(".scale")).to_contain_text("by hour")


def test_a_condition_is_picked_added_and_applied(signed_in: SignedIn, served: Served) -> None:
    page = signed_in()
    page.get_by_label("Filter by").select_option("country")
    expect(page.locator("#value-hint")).to_contain_text("Country of the address.")
    assert "SE" in page.locator("#values option").evaluate_all("all => all.map(o => o.value)")
    page.get_by_label("Value", exact=True).fill("SE")
    page.get_by_role("button", name="+ Add").click()
    expect(page.locator(".chip.draft")).to_contain_text("not applied yet")
    assert total(page) == EVENTS
    page.get_by_label("Criterion").select_option("not")
    page.get_by_label("Filter by").select_option("outcome")
    page.get_by_label("Value", exact=True).fill("denied")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "country=SE" in url)
    assert query_of(page) == {"since": ["24h"], "country": ["SE"], "not": ["outcome:denied"]}
    assert total(page) == served.log.reader.count(Question(parse("since:24h country:SE -outcome:denied")))
    page.get_by_label("Take out country SE").click()
    page.wait_for_url(lambda url: "country" not in url)


def test_a_text_that_is_not_understood_is_marked_where_it_is_wrong(signed_in: SignedIn, watch: Watch) -> None:
    watch.expected.append("400")
    page = signed_in()
    page.get_by_label("Or as text").fill("outcome:failure acton:login")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("mark")).to_have_text("acton:login")
    expect(page.get_by_role("alert")).to_contain_text("character 17")
    expect(page.get_by_label("Or as text")).to_have_value("outcome:failure acton:login")


def test_a_cursor_that_does_not_fit_leads_back_to_the_first_page(signed_in: SignedIn, watch: Watch) -> None:
    watch.expected.append("400")
    page = signed_in(path="/journal?kind=auth&cursor=damaged")
    expect(page.get_by_role("alert")).to_contain_text("cursor")
    page.get_by_role("link", name="First page").click()
    page.wait_for_url(lambda url: "cursor" not in url)
    assert total(page) == 5


def test_pages_go_to_the_end_without_gap_or_repetition(signed_in: SignedIn, served: Served) -> None:
    page = signed_in(path="/journal?view=table")
    seen = [*links(page)]
    while page.get_by_role("link", name="Next page").count():
        page.goto(served.url + str(page.get_by_role("link", name="Next page").get_attribute("href")))
        seen += links(page)
        assert len(seen) <= EVENTS
    assert len(seen) == len(set(seen)) == EVENTS
    page.get_by_role("link", name="First page").click()
    page.wait_for_url(lambda url: "cursor" not in url)
    assert links(page) == seen[:50]


def links(page: Page) -> list[str]:
    """Return the addresses of the events of a table."""
    return list(page.locator("[data-row] td.time a").evaluate_all("all => all.map(a => a.getAttribute('href'))"))


def test_every_order_goes_both_ways(signed_in: SignedIn) -> None:
    page = signed_in(path="/journal?kind=auth&view=table&since=4h")
    order = page.get_by_role("group", name="Order")
    for label in ("user", "IP address", "object", "date"):
        order.get_by_role("link", name=label).click()
        expect(order.locator("[aria-current]")).to_contain_text(label)
        first = links(page)
        order.get_by_role("link", name=label).click()
        expect(page.locator("[data-row] td.time a").first).not_to_have_attribute("href", first[0])
        assert links(page) == first[::-1]


def test_a_bar_of_the_timeline_narrows_the_period_to_it(signed_in: SignedIn) -> None:
    page = signed_in()
    bars = page.locator("svg a")
    counts = [int(re.sub(r"\D", "", t.rpartition(":")[2])) for t in bars.locator("title").all_text_contents()]
    assert sum(counts) == EVENTS
    bars.last.click(force=True)
    page.wait_for_url(lambda url: "until=" in url)
    assert total(page) == counts[-1]
    expect(page.get_by_label("Period")).to_have_value("custom")
    page.get_by_text("Timeline as a table").click()
    expect(page.locator(".timeline table")).to_be_visible()


def test_a_figure_adds_its_filter(signed_in: SignedIn) -> None:
    page = signed_in()
    figure = page.get_by_role("complementary").get_by_role("listitem").filter(has_text="segment.update")
    expect(figure).to_contain_text("20")
    figure.get_by_role("link").click()
    page.wait_for_url(lambda url: "action=segment.update" in url)
    assert total(page) == 20


def test_times_are_shown_and_read_in_the_zone_that_is_chosen(signed_in: SignedIn) -> None:
    page = signed_in(path=f"/journal?event={ACTIVATE_ID}")
    moment = page.locator("[data-row] time").first
    utc = moment.get_attribute("datetime")
    page.get_by_label("Time zone").select_option("browser")
    expect(page.get_by_role("heading", level=1)).to_contain_text("America/New_York (your browser's time)")
    assert moment.get_attribute("datetime") == utc
    assert moment.inner_text() != utc
    page.goto(page.url.partition("?")[0].replace("/journal", "/zone?next=/journal"))
    page.get_by_label("Zone", exact=True).select_option("Asia/Tokyo")
    page.get_by_role("button", name="Use this zone").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Asia/Tokyo")
    tokyo = datetime.fromisoformat(str(utc)).astimezone(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None)
    start, end = tokyo.isoformat(timespec="seconds"), (tokyo + timedelta(seconds=2)).isoformat(timespec="seconds")
    page.get_by_label("From, Asia/Tokyo").fill(start)
    page.get_by_label("To, Asia/Tokyo").fill(end)
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "until=" in url)
    assert total(page) == 1
    expect(page.locator(f"[data-row] a[href$='{ACTIVATE_ID}']")).to_be_visible()


def test_hostile_texts_are_shown_as_texts(signed_in: SignedIn) -> None:
    for view in ("tiles", "table"):
        page = signed_in(path=f"/journal?event={XSS_ID}&view={view}")
        assert page.title() == "Audit journal · auditstream"
        row = page.locator("[data-row]")
        expect(row).to_contain_text(XSS)
        expect(row).to_contain_text("\N{SYMBOL FOR ESCAPE}[31m")
        assert page.locator("main script, main img").count() == 0
        assert row.locator("bdi").count() > 3
    page = signed_in(path=f"/account-log?event={XSS_ID}&q={RIGHT_TO_LEFT}")
    assert page.title() == "Account log · auditstream"


def test_an_event_that_was_sent_twice_is_shown_once_with_its_deliveries(signed_in: SignedIn) -> None:
    page = signed_in(path=f"/journal?event={TWICE_ID}")
    assert total(page) == rows(page) == 1
    expect(page.locator("[data-row]")).to_contain_text("2 deliveries")


def test_a_read_of_the_journal_is_recorded_by_names_of_filters_only(signed_in: SignedIn, served: Served) -> None:
    signed_in("auditor", path="/login-history?actor=ann%40acme.example&since=4h")
    read = served.records.reads[-1]
    assert (read.code, read.resource, read.filter_fields) == (
        "access.search",
        "/login-history",
        ("action", "actor", "since"),
    )
    assert read.window.startswith(">= ")
    assert read.rows == 4


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api-calls", 30),
        ("/login-history", 4),
        ("/access-log", 5),
        ("/operation-log?product=contacts", 1),
        ("/account-log?object_type=segment", 20),
    ],
)
def test_every_journal_shows_its_records(signed_in: SignedIn, path: str, expected: int) -> None:
    page = signed_in(path=path)
    assert total(page) == expected
    expect(page.locator("nav [aria-current]")).to_have_count(1)


def test_calls_switch_to_errors_only_and_back(signed_in: SignedIn) -> None:
    page = signed_in(path="/api-calls")
    page.get_by_role("link", name="All calls: show errors only").click()
    page.wait_for_url(lambda url: "outcome=failure" in url)
    assert total(page) == 5
    page.get_by_role("link", name="Errors only: show all calls").click()
    page.wait_for_url(lambda url: "outcome" not in url)
    assert total(page) == 30


def test_the_types_of_operations_follow_their_range(signed_in: SignedIn) -> None:
    page = signed_in(path="/operation-log")
    page.get_by_label("Range").select_option("contacts")
    types = page.locator("#f-action option")
    expect(types.nth(1)).to_have_attribute("value", re.compile(r"^contacts\."))
    page.get_by_label("Type").select_option("contacts.member.disable")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "action=contacts.member.disable" in url)
    assert total(page) == 1
    values = page.locator("#f-action option").evaluate_all("all => all.map(o => o.value).filter(v => v)")
    assert all(value.startswith("contacts.") for value in values)


def test_failed_logins_of_somebody_are_two_fields_away(signed_in: SignedIn) -> None:
    page = signed_in(path="/login-history")
    page.get_by_label("Member").fill("ann@acme.example")
    page.get_by_label("Result", exact=True).select_option("failure")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "outcome=failure" in url)
    assert total(page) == 3
    expect(page.locator("[data-row]").first).to_contain_text("wrong password")


def test_any_condition_suffices_when_asked(signed_in: SignedIn) -> None:
    page = signed_in(path="/journal?action=auth.logout&outcome=denied")
    assert total(page) == 0
    page.get_by_label("any (or)").check()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "any=true" in url)
    assert total(page) == 2


SAMPLES = {
    "a time": "2026-01-31",
    "a UUID": ACTIVATE_ID,
    "an address": "10.0.0.0/8",
    "two letters": "DE",
    "type/id": "a/b",
}


def sample(expected: str) -> str:
    """Return a value that a filter takes."""
    if expected.startswith("one of "):
        return expected.removeprefix("one of ").partition(",")[0]
    return next((value for start, value in SAMPLES.items() if expected.startswith(start)), "x")


def test_the_builder_offers_every_filter_and_each_becomes_part_of_the_address(
    signed_in: SignedIn, served: Served
) -> None:
    page = signed_in(path="/journal")
    offered = page.locator("#attribute option").evaluate_all("all => all.map(o => o.value).filter(v => v)")
    filters = [f for f in all_filters() if f.name not in ("since", "until")]
    assert offered == [f.name for f in filters]
    drafts = [("draft", f"{f.name}:is:{sample(f.expected)}") for f in filters]
    query = "&".join(f"{name}={value}" for name, value in [("any", "true"), *drafts])
    page.goto(f"{served.url}/journal?{query}")
    assert page.locator(".chip.draft").count() == len(filters)
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(lambda url: "draft" not in url)
    for f in filters:
        assert query_of(page)[f.name] == [sample(f.expected)]
    assert 0 < total(page) <= EVENTS


@pytest.mark.parametrize("path", ["/journal?kind=auth", "/api-calls?outcome=failure&draft=ip:is:x", "/zone"])
def test_the_journals_are_accessible(signed_in: SignedIn, axe: Callable[[Page], None], path: str) -> None:
    axe(signed_in(path=path))


def test_everything_but_suggestions_works_without_scripts(chromium: Browser, served: Served) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = sign_in_at(context.new_page(), served, path="/journal")
    page.get_by_label("Filter by").select_option("action")
    page.get_by_label("Value", exact=True).fill("segment.*")
    page.get_by_role("button", name="+ Add").click()
    page.get_by_role("button", name="Apply").click()
    assert total(page) == 20
    page.get_by_label("Time zone").select_option("UTC")
    page.get_by_role("button", name="Set").click()
    assert total(page) == 20
    assert page.get_by_role("heading", level=1).inner_text().endswith("times in UTC")
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_text("You are signed out.").is_visible()
    context.close()


def test_narrow_screens_scroll_in_one_direction_only(signed_in: SignedIn) -> None:
    page = signed_in(path="/journal")
    page.set_viewport_size({"width": 320, "height": 800})
    for view in ("tiles", "table"):
        page.goto(f"{page.url.partition('?')[0]}?view={view}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_keys_reach_the_filter_and_the_rows(signed_in: SignedIn) -> None:
    page = signed_in(path="/journal")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.closest('[data-row]') !== null")
    page.keyboard.press("/")
    expect(page.get_by_label("Or as text")).to_be_focused()
    page.reload()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_who_may_not_see_names_is_not_offered_to_sort_by_them(signed_in: SignedIn) -> None:
    page = signed_in("exporter")
    expect(page.locator("[data-row]").first).to_contain_text("[masked]")
    assert page.get_by_role("group", name="Order").get_by_role("link").count() == 1
    assert not page.get_by_role("navigation", name="Pages").get_by_text("Dead letters").count()


@pytest.mark.parametrize(
    "path",
    [
        "/journal?actorr=ann",
        "/tail?actorr=ann",
        "/tasks?actorr=ann",
        "/webhooks?actorr=ann",
        "/data-exports?actorr=ann",
        "/dead-letters?actorr=ann",
        "/batches?actorr=ann",
        "/catalogue?actorr=ann",
        "/runs?actorr=ann",
        "/access?actorr=ann",
    ],
)
def test_an_address_that_is_not_understood_whole_is_told_so(signed_in: SignedIn, watch: Watch, path: str) -> None:
    watch.expected.append("ignored in")
    page = signed_in(path=path)
    expect(page.get_by_role("alert").filter(has_text="nothing is narrowed by it")).to_contain_text("actorr")
