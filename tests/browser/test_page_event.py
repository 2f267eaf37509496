"""The page of one event: everything that belongs to it, as text, whatever the text holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Watch
from query.access import Scope
from query.fields import event_fields
from query.web import facts
from record_log import (
    CONFLICT_ID,
    FULL_ID,
    HOSTILE_ID,
    HOSTILE_START,
    PLAIN_ID,
    SHOWN,
    TWICE_ID,
    hostile_fields,
)

pytest_plugins = ["infrastructure.browser_fixtures", "infrastructure.record_fixtures"]

Visit = Callable[..., Page]
FULL = f"/events/{FULL_ID}"


@pytest.fixture(scope="session")
def served(record_served: Served) -> Served:
    return record_served


def section(page: Page, heading: str) -> str:
    found = page.locator("section").filter(has=page.get_by_role("heading", name=heading, exact=False, level=2))
    return found.first.inner_text()


def test_an_event_tells_who_did_what_to_which_object_from_where_and_why_it_failed(visit: Visit) -> None:
    page = visit(FULL)
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Ann Before activated campaign Winter sale in program pr-1"
    )
    who, where = section(page, "Who"), section(page, "From where")
    for text in ("ann.before@acme.example", "google", "key-77", "group-5", "campaigns:write", "editor", "approver"):
        assert text in who
    for text in ("203.0.113.7", "DE", "Berlin", "64500", "Example Net", "Firefox", "140", "Linux", "dashboard"):
        assert text in where
    what, result = section(page, "Object"), section(page, "Result")
    for text in ("campaign", "Winter sale", "pr-1", "Buyers", "age > 18", "https://files.example/filter.json"):
        assert text in what
    for text in ("the quota of the project is used up", "quota", "1.23 s", "Sent to ann@acme.example", "growth"):
        assert text in result
    assert '"budget": 10.50' in section(page, "State of the object then")


def test_the_time_is_there_for_the_project_for_the_viewer_and_in_utc(visit: Visit) -> None:
    page = visit(FULL)
    # The first page told the browser's zone to the server.
    page.reload()
    when = section(page, "When")
    assert "Project time (UTC)" in when
    assert "Your time (America/New_York)" in when
    assert "2026-06-01 06:00:00.123456-04:00" in when
    assert "2026-06-01 10:00:00.123456+00:00" in when


def test_somebody_who_left_is_shown_as_then_and_as_now_with_a_notice(visit: Visit) -> None:
    page = visit(FULL)
    who = section(page, "Who")
    assert "the actor is no longer part of the organisation" in who
    assert "Ann Before" in who
    assert "Ann Now" in who
    assert "Marketing" in who
    assert "Sales" in who


def test_a_picture_of_another_host_is_a_link_and_is_not_loaded(visit: Visit) -> None:
    page = visit(FULL)
    expect(page.get_by_role("link", name="https://pictures.example/ann.png")).to_have_attribute(
        "rel", "noopener noreferrer external"
    )
    expect(page.get_by_text("that host would learn who reads this page")).to_be_visible()
    assert page.locator("main img").count() == 0


def test_what_changed_stands_old_beside_new_with_its_types(visit: Visit) -> None:
    page = visit(FULL)
    rows = page.get_by_role("region", name="Values before and after").locator("tbody tr")
    told = [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]
    assert told == [
        ["status", "changed", "draft", "running"],
        ["title", "changed", "Dear customer, buy now", "Dear friend, buy now"],
        ["limits.daily", "changed", "10 number", "0 number"],
        ["limits.tags[1]", "added", "not there", "null null"],
        ["note", "removed", "empty text", "not there"],
        ["code", "added", "not there", "0"],
    ]
    assert rows.nth(1).locator("del").all_inner_texts() == ["customer"]
    assert rows.nth(1).locator("ins").all_inner_texts() == ["friend"]


def test_a_call_shows_its_parameters_and_bodies_with_what_was_cut(visit: Visit) -> None:
    page = visit(FULL)
    parameters = page.get_by_role("region", name="Query parameters").locator("tbody tr")
    assert [row.inner_text().split("\t") for row in parameters.all()] == [["dry", "1"], ["name", "Änne B"]]
    assert '"password": "***"' in page.get_by_role("region", name="Request body").inner_text()
    assert '{"error":"quota"' in page.get_by_role("region", name="Response body").inner_text()
    bodies = section(page, "Request and response")
    assert bodies.count("Cut by the service") == 1
    assert "87.9 KiB as it was sent" in bodies
    call = section(page, "API call")
    for text in ("POST", "/v1/campaigns/{id}/activate", "429", "cust-4", "inc-2"):
        assert text in call


def test_bodies_and_personal_fields_are_hidden_from_roles_that_do_not_show_them(visit: Visit) -> None:
    page = visit(FULL, "exporter")
    assert section(page, "Request and response").count("Hidden: your role does not show bodies.") == 3
    who, where = section(page, "Who"), section(page, "From where")
    assert "[masked]" in who
    for secret in ("Ann Before", "Ann Now", "@acme.example", "Marketing", "Sales", "203.0.113.7", "Mozilla"):
        assert secret not in who + where
    assert "Änne" not in page.locator("main").inner_text()


def test_it_is_told_where_the_event_is_stored_and_in_which_range(visit: Visit) -> None:
    page = visit(FULL, "administrator")
    stored = section(page, "Where it is stored")
    for text in ("audit.events", "5f0a4f0e-0000-4000-8000-00000000000a", "SHA-256 of the manifest", "secret_name"):
        assert text in stored
    page.get_by_role("link", name="In the manifest").click()
    rows = page.get_by_role("region", name="Stored ranges").locator("tbody tr")
    expect(rows).to_have_count(1)
    assert [int(n) for n in re.findall(r"\d+", rows.first.locator("td").nth(3).inner_text())] == [0, 1]


def test_related_events_are_counted_and_their_links_list_them(visit: Visit, served: Served) -> None:
    page = visit(FULL)
    related = page.locator("ul.related a")
    told = related.all_inner_texts()
    assert told == [
        "Same request: 1 other",
        "Same session: 1 other",
        "Same object: 1 other",
        "Same parent object: 1 other",
        "Same actor: 2 others",
    ]
    found = []
    for link in related.all():
        query = [pair for pair in parse_qsl(urlsplit(link.get_attribute("href") or "").query) if pair[0] != "period"]
        headers = {"Authorization": f"Bearer {served.secret('auditor')}"}
        answer = httpx.get(f"{served.url}/api/v1/events", params=[*query, ("fields", "event_id")], headers=headers)
        ids = {row["event_id"] for row in answer.json()["data"]}
        assert str(FULL_ID) in ids
        found.append(len(ids) - 1)
    assert found == [1, 1, 1, 1, 2]
    related.first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Audit journal")
    expect(page.locator(f"main a[href='{FULL}']").first).to_be_visible()


def test_an_event_that_was_sent_twice_is_one_event_with_two_deliveries(visit: Visit, served: Served) -> None:
    page = visit(f"/events/{TWICE_ID}")
    expect(page.get_by_role("link", name="2 deliveries")).to_be_visible()
    deliveries = section(page, "Deliveries")
    assert "It counts once." in deliveries
    assert "nothing" in deliveries
    page.goto(f"{served.url}/events/{CONFLICT_ID}")
    assert "message" in section(page, "Deliveries")
    assert "first" in section(page, "Result")
    page.get_by_role("link", name="2", exact=True).click()
    assert "second" in section(page, "Result")


def test_the_event_can_be_taken_along_as_json(visit: Visit) -> None:
    page = visit(FULL)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as JSON").click()
    assert download.value.suggested_filename == f"event-{FULL_ID}.json"
    (detail,) = json.loads(download.value.path().read_bytes())["data"]
    assert detail["event"]["actor_name"] == "Ann Before"
    assert detail["payload"]["api_query_params"] == "dry=1&name=%C3%84nne+B"
    assert set(detail["event"]) == set(event_fields())


def test_every_field_of_an_event_has_its_place_on_the_page() -> None:
    tables = (facts.WHO, facts.WHERE, facts.WHAT, facts.RESULT, facts.TOGETHER, facts.STORED, facts.TIME)
    by_kind = [group for _, group in facts.BY_KIND]
    placed = [fact.field for table in (*tables, *by_kind) for fact in table]
    assert sorted({*placed, *facts.ELSEWHERE}) == sorted(event_fields())
    assert len(placed) == len(set(placed))


def test_hostile_text_in_every_field_is_shown_as_text(visit: Visit) -> None:
    page = visit(f"/events/{HOSTILE_ID}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE_START)
    assert "hit" not in (page.title().split("<")[0], page.title())
    assert page.locator("main script, main b, main [onclick]").count() == 0
    shown = page.locator("main").inner_text()
    # Every field that holds the text shows it; the control characters in it are visible ones.
    assert shown.count(HOSTILE_START) >= len(hostile_fields())
    assert SHOWN in shown
    assert not set("\x1b\u202e\u202c\u200b") & set(shown)


def test_an_event_out_of_reach_is_not_told_from_one_that_never_was(visit: Visit, served: Served, watch: Watch) -> None:
    watch.expected.append("404")
    page = visit(FULL, scope=Scope(("globex",)))
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    out_of_reach = page.locator("main").inner_text().split("Request")[0]
    page.goto(f"{served.url}/events/{'0' * 8}-0000-4000-8000-000000000000")
    assert page.locator("main").inner_text().split("Request")[0] == out_of_reach


def test_a_look_at_an_event_is_recorded_with_the_event(visit: Visit, served: Served) -> None:
    visit(f"/events/{PLAIN_ID}")
    read = next(r for r in reversed(served.records.reads) if r.code == "access.view")
    assert (read.resource, read.target_id, read.rows) == ("/events/{event_id}", str(PLAIN_ID), 1)


def test_an_event_is_accessible(visit: Visit, axe: Callable[[Page], None]) -> None:
    page = visit(FULL, "administrator")
    axe(page)


def test_the_file_of_an_event_needs_a_session(served: Served) -> None:
    answer = httpx.get(f"{served.url}{FULL}/json")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
