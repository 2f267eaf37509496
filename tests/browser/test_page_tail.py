"""The live tail: what arrives is shown at once, none is missed, and the session counts as long as it is good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Watch
from query.access import Scope
from query.period import micros
from query.web.tail import MOST_ROWS
from record_log import HOSTILE, HOSTILE_START, OCCURRED_AT, SHOWN

pytest_plugins = ["infrastructure.browser_fixtures", "infrastructure.record_fixtures"]

Visit = Callable[..., Page]
#: The machine may be busy with other tests.
PATIENCE_MS = 30_000.0
#: A partition of this module's own, so that its ranges follow one another whatever runs beside.
PARTITION = 40


@pytest.fixture(scope="session")
def served(record_served: Served) -> Served:
    return record_served


@pytest.fixture
def label(served: Served) -> str:
    return f"t-{uuid4().hex[:8]}"


def arrive(served: Served, label: str, count: int = 1, /, **values: Any) -> list[str]:
    """Store events of one label, and return their ids."""
    ids = [uuid4() for _ in range(count)]
    common = {"tenant_id": "acme", "actor_id": "u-live", "actor_name": "Liv", "occurred_at": micros(OCCURRED_AT)}
    common |= {"target_type": "campaign", "target_id": label, "target_name": label, "outcome": "success"}
    served.log.store([{**common, "event_id": i.bytes, **values} for i in ids], partition=PARTITION)
    return [str(i) for i in ids]


def shown(page: Page) -> list[str]:
    links = page.locator("[data-live] tbody a[href^='/events/']")
    return [str(UUID((a.get_attribute("href") or "").rpartition("/")[2])) for a in links.all()]


def wait_for_rows(page: Page, count: int) -> None:
    expect(page.locator("[data-live] tbody tr")).to_have_count(count, timeout=PATIENCE_MS)


def wait_for_state(page: Page, text: str) -> None:
    expect(page.locator("[data-told]")).to_have_text(text, timeout=PATIENCE_MS)


def test_what_arrives_is_shown_on_top_and_counted(visit: Visit, served: Served, label: str) -> None:
    (old,) = arrive(served, label)
    page = visit(f"/tail?object_id={label}&tz=Europe/Berlin")
    wait_for_state(page, "up to date")
    assert shown(page) == [old]
    new = arrive(served, label, 2)
    wait_for_rows(page, 3)
    assert set(shown(page)[:2]) == set(new)
    assert shown(page)[2] == old
    row = page.locator("[data-live] tbody tr").first.inner_text().split("\t")
    assert row[0].strip() == "2026-06-01 12:00:00.123"
    assert row[1:] == [f"Liv activated campaign {label}", "Liv", "—", f"campaign {label}", "success"]
    expect(page.locator("[data-count]")).to_have_text("2 events received")


def test_a_pause_misses_nothing_and_works_by_keyboard(visit: Visit, served: Served, label: str) -> None:
    page = visit(f"/tail?object_id={label}")
    wait_for_state(page, "up to date")
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    wait_for_state(page, "paused; going on shows everything since")
    expect(page.locator("[data-announced]")).to_have_text("Paused")
    arrived = arrive(served, label, 3)
    page.wait_for_timeout(300)
    assert shown(page) == []
    page.get_by_role("button", name="Go on").press("Space")
    wait_for_rows(page, 3)
    assert set(shown(page)) == set(arrived)


def test_a_lost_connection_is_taken_up_where_it_broke(visit: Visit, served: Served, label: str) -> None:
    page = visit("/journal")
    breaks = {"left": 1}

    def cut(route: Any) -> None:
        # The first stream ends after its first message, as a proxy might end it; later ones pass.
        if breaks["left"] and "text/event-stream" in route.request.headers.get("accept", ""):
            breaks["left"] -= 1
            body = f'retry: 100\nid: {position(page)}\nevent: position\ndata: {{"caught_up": true}}\n\n'
            route.fulfill(status=200, headers={"content-type": "text/event-stream"}, body=body)
        else:
            route.continue_()

    page.route("**/api/v1/tail*", cut)
    page.goto(f"{served.url}/tail?object_id={label}")
    first = arrive(served, label, 2)
    wait_for_rows(page, 2)
    second = arrive(served, label, 2)
    wait_for_rows(page, 4)
    assert sorted(shown(page)) == sorted(first + second)
    assert breaks["left"] == 0


def test_it_is_said_when_the_page_is_behind(visit: Visit, served: Served, label: str) -> None:
    page = visit("/catalogue?q=nothing")
    message = 'event: position\ndata: {"caught_up": false}\n\n'

    def behind(route: Any) -> None:
        # A server that has much to send; the connection stays open no longer than this one answer.
        headers = {"content-type": "text/event-stream"}
        route.fulfill(status=200, headers=headers, body=f"retry: 60000\n{message}{message}")

    page.route("**/api/v1/tail*", behind)
    states: list[str] = []

    def noted(text: str) -> None:
        states.append(text)

    page.expose_function("noted", noted)
    page.add_init_script(
        "document.addEventListener('DOMContentLoaded', () => new MutationObserver(() => "
        "noted(document.querySelector('[data-told]').textContent)).observe("
        "document.querySelector('[data-told]'), {childList: true}))"
    )
    page.goto(f"{served.url}/tail?object_id={label}")
    wait_for_state(page, "no connection; trying again, nothing is missed")
    assert states[0] == "behind: events that arrived earlier are still coming"


def position(page: Page) -> str:
    return page.locator("[data-live]").get_attribute("data-position") or ""


def test_only_so_many_rows_are_kept_in_the_page(visit: Visit, served: Served, label: str) -> None:
    page = visit(f"/tail?object_id={label}")
    wait_for_state(page, "up to date")
    arrive(served, label, MOST_ROWS + 30)
    expect(page.locator("[data-count]")).to_have_text(f"{MOST_ROWS + 30} events received", timeout=PATIENCE_MS)
    wait_for_rows(page, MOST_ROWS)


def test_each_delivery_of_an_event_arrives(visit: Visit, served: Served, label: str) -> None:
    page = visit(f"/tail?object_id={label}")
    wait_for_state(page, "up to date")
    twice = uuid4()
    arrive(served, label, event_id=twice.bytes)
    arrive(served, label, event_id=twice.bytes)
    wait_for_rows(page, 2)
    assert shown(page) == [str(twice)] * 2


def test_hostile_text_that_arrives_is_shown_as_text(visit: Visit, served: Served, label: str) -> None:
    page = visit(f"/tail?object_id={label}")
    wait_for_state(page, "up to date")
    texts: Any = ("actor_name", "actor_login", "target_name", "target_type", "outcome", "geo_country", "message")
    arrive(served, label, **dict.fromkeys(texts, HOSTILE), actor_id=HOSTILE)
    wait_for_rows(page, 1)
    row = page.locator("[data-live] tbody tr").first
    assert row.locator("script, b, [onclick]").count() == 0
    text = row.inner_text()
    assert text.count(HOSTILE_START) >= 3
    assert SHOWN in text
    assert not set("\x1b\u202e\u202c\u200b") & set(text)
    before = row.locator("td").all_inner_texts()
    page.reload()
    wait_for_rows(page, 1)
    # What the server writes and what the script writes are the same.
    assert page.locator("[data-live] tbody tr").first.locator("td").all_inner_texts() == before


def test_a_tail_shows_only_what_is_within_the_scope(visit: Visit, served: Served, label: str) -> None:
    page = visit(f"/tail?object_id={label}", scope=Scope(("acme",)))
    wait_for_state(page, "up to date")
    arrive(served, label, tenant_id="globex")
    (own,) = arrive(served, label)
    wait_for_rows(page, 1)
    assert shown(page) == [own]


def test_a_session_that_is_signed_out_elsewhere_ends_the_tail(
    visit: Visit, served: Served, watch: Watch, label: str
) -> None:
    watch.expected.append("401")
    # A scope that no other test has, since the session is shared by those that have the same.
    page = visit(f"/tail?object_id={label}", scope=Scope(("acme", "signed-out")))
    wait_for_state(page, "up to date")
    other = page.context.new_page()
    other.goto(f"{served.url}/catalogue?q=nothing")
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in again")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-told]")).to_have_attribute("data-state", "ended")


@pytest.fixture
def cookies(visit: Visit) -> dict[str, str]:
    found = visit("/catalogue?q=nothing").context.cookies()
    return {c["name"]: c["value"] for c in found if c["name"] == "auditstream_session"}


def test_a_session_reads_the_tail_and_nothing_else_of_the_api(cookies: dict[str, str], served: Served) -> None:
    poll = f"{served.url}/api/v1/tail?wait_s=0&fields=event_id"
    assert asked(poll, cookies) == 200
    assert asked(poll, {}) == 401
    assert asked(poll, {"auditstream_session": "x"}) == 401
    assert asked(f"{served.url}/api/v1/events", cookies) == 401
    assert asked(f"{served.url}/api/v1/events/search", cookies, "POST") == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_a_session_does_not_count_when_another_site_asks(cookies: dict[str, str], served: Served, site: str) -> None:
    assert asked(f"{served.url}/api/v1/tail?wait_s=0", cookies, **{"Sec-Fetch-Site": site}) == 401


def test_a_token_wins_over_a_session(cookies: dict[str, str], served: Served) -> None:
    wrong = {"Authorization": "Bearer tok_aaaaaaaaaa_wrong"}
    assert asked(f"{served.url}/api/v1/tail?wait_s=0", cookies, **wrong) == 401


def asked(url: str, cookies: dict[str, str], method: str = "GET", **headers: str) -> int:
    with httpx.Client(cookies=cookies, timeout=60.0) as client:
        return client.request(method, url, headers=headers).status_code


def test_a_question_that_is_wrong_is_told_before_anything_is_followed(
    visit: Visit, served: Served, watch: Watch
) -> None:
    watch.expected.append("400")
    page = visit("/tail?outcome=sucess")
    expect(page.get_by_role("alert")).to_contain_text('did you mean "success"')


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_without_scripts_the_newest_events_are_there(visit: Visit, served: Served, label: str) -> None:
    (old,) = arrive(served, label)
    page = visit(f"/tail?object_id={label}")
    expect(page.get_by_text("Following live needs scripts.")).to_be_visible()
    assert shown(page) == [old]
    assert not page.get_by_role("button", name="Pause").is_visible()


def test_the_tail_is_accessible(visit: Visit, served: Served, label: str, axe: Callable[[Page], None]) -> None:
    page = visit(f"/tail?object_id={label}")
    arrive(served, label)
    wait_for_rows(page, 1)
    axe(page)
