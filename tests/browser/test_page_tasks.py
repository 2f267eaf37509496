"""Background tasks on the page: their filters, progress while they run, and the states of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from api_log import ALL
from infrastructure.browser import Served, Serving, Watch
from infrastructure.browser_sessions import BrowserSessions
from infrastructure.clickhouse import drop_database, fresh_database
from query.access import Scope
from query.period import micros
from query.web.tasks import types
from query_log import Log, at, open_log
from record_log import HOSTILE, HOSTILE_START, hostile_event
from schemas.catalogue import Catalogue
from sinks.settings import ClickHouseSettings

pytest_plugins = ["infrastructure.browser_fixtures"]

SignedIn = Callable[..., Page]
FILTERS = [
    ("Task", "t-fail", "t-fail"),
    ("Started by (actor id)", "u-2", "t-fail"),
    ("Tenant", "globex", "t-fail"),
    ("Latest state until", "2025-01-01", "t-wait"),
]
STATUSES = ("enqueued", "in_progress", "failed", "done")


def state(task_id: str, sequence: int, status: str, kind: str = "vouchers.import", /, **more: Any) -> dict[str, Any]:
    """Return one state of a task as a sink batch holds it."""
    own = {"task_id": task_id, "task_state_seq": sequence, "task_status": status, "task_type": kind}
    base = {"event_id": uuid4().bytes, "event_code": f"task.{kind}", "record_kind": "task", "tenant_id": "acme"}
    when = {"occurred_at": at("2026-06-01T10:00:00") + sequence * 1_000_000}
    return {**base, **when, "actor_id": "u-1", "actor_name": "Ann", **own, **more}


def import_(status: str, sequence: int, percent: float, **more: Any) -> dict[str, Any]:
    """Return a state of an import that counts its items."""
    counted: dict[str, Any] = {
        "task_total_items": 200,
        "task_done_items": int(percent * 2),
        "task_progress_pct": percent,
    }
    began = micros(datetime.now(UTC) - timedelta(minutes=3))
    return state("t-run", sequence, status, **counted, task_started_at=began, **more)


@pytest.fixture(scope="module")
def task_log(clickhouse_served: ClickHouseSettings) -> Iterator[Log]:
    settings = fresh_database(clickhouse_served)
    with open_log(settings) as log:
        log.store([import_("enqueued", 1, 0.0), import_("in_progress", 2, 12.5)])
        done = {
            "task_processing_ms": 61_000,
            "task_result": "14 imported",
            "task_updated_at": at("2026-06-01T12:00:00"),
        }
        log.store([state("t-done", 1, "in_progress"), state("t-done", 2, "done", **done)])
        failed: dict[str, Any] = {"task_error": "line 3: no code", "actor_id": "u-2", "tenant_id": "globex"}
        log.store([state("t-fail", 1, "failed", "customers.csv_import", **failed)])
        log.store([state("t-wait", 1, "enqueued", occurred_at=at("2024-01-01T00:00:00"))])
        own = {"record_kind": "task", "tenant_id": "acme", "task_status": "failed", "task_state_seq": 1}
        log.store([{**hostile_event(), **own}])
        # One of each type, so that each can be looked for.
        kinds = [kind for kind, _ in types(Catalogue.load())]
        log.store([state(f"type-{kind}", 1, "done", kind, tenant_id="types") for kind in kinds])
        yield log
    drop_database(settings)


@pytest.fixture(scope="module")
def served(task_log: Log, page_serving: Serving) -> Served:
    return page_serving.open(task_log)


@pytest.fixture(scope="module")
def sessions() -> BrowserSessions:
    return BrowserSessions()


@pytest.fixture
def signed_in(page: Page, served: Served, sessions: BrowserSessions) -> SignedIn:
    return lambda role, scope=ALL, path="/": sessions.sign_in(page, served, role, scope, path)


def listed(page: Page) -> list[list[str]]:
    found = page.get_by_role("region", name="Background tasks").locator("tbody tr")
    return [[cell.strip() for cell in row.locator("td").all_inner_texts()] for row in found.all()]


def ids(page: Page) -> list[str]:
    return [row[1] for row in listed(page)]


def apply(page: Page) -> None:
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"\?"))


def test_the_list_shows_each_task_as_it_stands_now(signed_in: SignedIn) -> None:
    page = signed_in("auditor", path="/tasks?task=t-done")
    assert listed(page) == [
        ["2026-06-01 12:00:00.000", "t-done", "Vouchers import", "done", "", "61 s", "Ann", "14 imported"]
    ]
    expect(page.get_by_role("heading", level=1)).to_contain_text("times in")


def test_a_task_that_runs_shows_its_progress_and_how_long_it_has_taken(signed_in: SignedIn) -> None:
    page = signed_in("auditor", path="/tasks?task=t-run")
    bar = page.get_by_role("progressbar", name="Progress of task t-run")
    expect(bar).to_have_attribute("value", re.compile(r"[\d.]+"))
    (row,) = listed(page)
    assert "items" in row[4]
    assert re.fullmatch(r"\d+ min \d+ s so far", row[5])


def test_there_are_nineteen_types_to_choose_from_and_each_finds_its_own(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("auditor", Scope(("types",)), "/tasks")
    options = page.get_by_label("Type").locator("option")
    values = [option.get_attribute("value") for option in options.all()]
    assert len(values) == 20  # and "any"
    assert "Vouchers metadata key purge" in options.all_inner_texts()
    for value in values[1::6]:
        answer = page.request.get(f"{served.url}/tasks?type={value}").text()
        assert re.findall(r">type-([a-z_.]+)<", answer) == [value]


def test_each_status_and_every_other_filter_find_what_they_describe(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("auditor", path="/tasks")
    assert set(STATUSES) <= {o.get_attribute("value") for o in page.get_by_label("Status").locator("option").all()}
    for status in STATUSES:
        page.get_by_label("Status").select_option(status)
        apply(page)
        expect(page.get_by_label("Status")).to_have_value(status)
        assert {row[3] for row in listed(page)} == {status.replace("_", " ")}
    for label, value, found in FILTERS:
        page.goto(f"{served.url}/tasks")
        page.get_by_label(label, exact=True).fill(value)
        apply(page)
        assert ids(page) == [found], label
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(re.compile(r"/tasks$"))


def test_the_order_can_be_turned_and_a_period_leaves_out_what_was_before(signed_in: SignedIn) -> None:
    page = signed_in("auditor", Scope(("acme",)), "/tasks")
    newest = ids(page)
    page.get_by_role("link", name="Oldest first").click()
    page.wait_for_url(re.compile("order=asc"))
    assert ids(page)[0] == "t-wait"
    assert sorted(ids(page)) == sorted(newest)
    page.get_by_label("Latest state from", exact=True).fill("2025-01-01")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile("since=2025"))
    assert set(newest) - set(ids(page)) == {"t-wait"}


def test_a_task_shows_its_states_in_order_its_result_or_its_error(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("auditor", path="/tasks")
    page.get_by_role("link", name="t-done", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Task t-done")
    rows = page.get_by_role("region", name="States of the task").locator("tbody tr")
    assert [row.locator("td").nth(2).inner_text() for row in rows.all()] == ["in progress", "done"]
    main = page.locator("main").inner_text()
    for text in ("14 imported", "61 s", "2026-06-01 12:00:00.000", "vouchers.import", "Ann"):
        assert text in main
    assert page.locator("[data-refresh]").count() == 0  # it has ended
    page.goto(f"{served.url}/tasks/t-fail?tenant=globex")
    expect(page.get_by_role("region", name="Error of the task")).to_have_text("line 3: no code")


def test_a_page_with_something_under_way_keeps_itself_up_to_date(signed_in: SignedIn, task_log: Log) -> None:
    page = signed_in("auditor", path="/tasks/t-run?tenant=acme")
    expect(page.get_by_text("Updated every 10 seconds")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    sequence = int(datetime.now(UTC).timestamp())
    task_log.store([import_("in_progress", sequence, 77.5)])
    expect(page.get_by_role("progressbar").first).to_have_attribute("value", "77.5", timeout=60_000)


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}])
def test_without_scripts_the_page_shows_the_same(signed_in: SignedIn, context_options: dict[str, Any]) -> None:
    page = signed_in("auditor", path="/tasks/t-run?tenant=acme")
    expect(page.get_by_role("progressbar").first).to_be_visible()
    expect(page.locator("[data-refresh]")).to_be_hidden()


def test_hostile_text_in_every_field_is_shown_as_text(signed_in: SignedIn) -> None:
    page = signed_in("auditor", Scope(("acme",)), f"/tasks?type={quote(HOSTILE_START)}*")
    row = page.get_by_role("region", name="Background tasks").locator("tbody tr")
    assert row.inner_text().count(HOSTILE_START) == 4  # task, type, who, error
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE_START)
    shown = page.locator("main").inner_text()
    assert shown.count(HOSTILE_START) >= 9
    assert page.locator("main script, main b, main [onclick]").count() == 0
    assert not set("\x1b\u202e\u202c\u200b") & set(shown)
    assert page.title() != "hit"
    assert HOSTILE.startswith(HOSTILE_START)


def test_a_role_without_personal_data_sees_names_and_results_of_customers_masked(signed_in: SignedIn) -> None:
    page = signed_in("exporter", path="/tasks?tenant=globex")
    (row,) = listed(page)
    assert row[7] == "[masked]"
    assert "line 3" not in page.content()


def test_a_task_out_of_reach_is_not_told_from_one_that_never_was(signed_in: SignedIn, watch: Watch) -> None:
    watch.expected.append("404")
    page = signed_in("auditor", Scope(("acme",)), "/tasks/t-fail")
    out_of_reach = page.locator("main").inner_text().split("Request")[0]
    page.goto(page.url.replace("t-fail", "t-never"))
    assert page.locator("main").inner_text().split("Request")[0] == out_of_reach


@pytest.mark.parametrize("path", ["/tasks", "/tasks/t-run?tenant=acme"])
def test_the_pages_are_accessible(signed_in: SignedIn, axe: Callable[[Page], None], path: str) -> None:
    axe(signed_in("administrator", path=path))


def test_what_was_looked_at_is_on_record_with_names_only(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("auditor", path="/tasks?status=failed")
    served.records.reads.clear()
    page.reload()
    (read,) = served.records.reads
    assert (read.code, read.resource, read.filter_fields) == ("access.search", "/tasks", ("task_status",))
