"""The log of runs: entries by level and phase, and the runs that they tell of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Watch
from query.web.runs import runs_of
from record_log import HOSTILE_START, SHOWN

pytest_plugins = ["infrastructure.browser_fixtures", "infrastructure.record_fixtures"]

Visit = Callable[..., Page]
OBJECT = "/runs?object_type=campaign&object_id=c-7"
START = datetime(2026, 6, 1, 8, tzinfo=UTC)


@pytest.fixture(scope="session")
def served(record_served: Served) -> Served:
    return record_served


def entries(page: Page) -> list[str]:
    rows = page.get_by_role("region", name="Entries").locator("tbody tr")
    return [row.locator("td").nth(3).inner_text() for row in rows.all()]


def test_the_entries_of_an_object_are_listed_with_level_phase_and_value(visit: Visit) -> None:
    page = visit(OBJECT)
    shown = entries(page)
    assert shown[:3] == ["Campaign started again", "Total time spent", "Campaign finished"]
    assert shown[-1] == "Campaign started"
    row = page.get_by_role("region", name="Entries").locator("tbody tr").nth(1).inner_text()
    assert "138.351985ms" in row
    assert "info" in row
    assert "r-1" in row


def test_the_runs_say_when_they_began_ended_and_how_long_they_took(visit: Visit) -> None:
    page = visit(f"{OBJECT}&tz=Europe/Berlin")
    rows = page.get_by_role("region", name="Runs", exact=True).locator("tbody tr")
    assert [[c.strip() for c in row.locator("td").all_inner_texts()] for row in rows.all()] == [
        ["campaign c-7", "r-2", "2026-06-01 10:30:00.123", "no end yet", "—"],
        ["campaign c-7", "r-1", "2026-06-01 10:00:00.123", "2026-06-01 10:03:00.123", "3 min 0 s"],
    ]
    rows.nth(1).get_by_role("link", name="r-1").click()
    assert entries(page)[0] == "Campaign started"
    assert entries(page)[-1] == "Total time spent"


def test_the_form_narrows_by_level_phase_and_words(visit: Visit) -> None:
    page = visit(OBJECT)
    page.get_by_label("Level at least").select_option("WARNING")
    page.get_by_role("button", name="Apply").click()
    assert len(entries(page)) == 1
    page.get_by_label("Level at least").select_option("")
    page.get_by_label("Phase").select_option("end")
    page.get_by_role("button", name="Apply").click()
    assert entries(page) == ["Campaign finished"]
    page.get_by_label("Phase").select_option("")
    page.get_by_label("Words").fill("total time")
    page.get_by_label("From").fill("2026-06-01T08:04")
    page.get_by_role("button", name="Apply").click()
    assert entries(page) == ["Total time spent"]
    # Which runs there are does not depend on the words.
    expect(page.get_by_role("region", name="Runs", exact=True).locator("tbody tr")).to_have_count(1)


def test_hostile_text_of_an_entry_is_shown_as_text(visit: Visit) -> None:
    page = visit(f"{OBJECT}&level=WARNING")
    (text,) = entries(page)
    assert text == HOSTILE_START + SHOWN
    page.goto(page.url.replace("c-7", "%3Cscript%3Edocument.title%3D1%3C%2Fscript%3E%22%20onclick%3D1"))
    expect(page.get_by_label("Object id")).to_have_value('<script>document.title=1</script>" onclick=1')
    assert page.locator("main script, main [onclick]").count() == 0


def test_a_wrong_period_is_told_in_words(visit: Visit, watch: Watch) -> None:
    watch.expected.append("400")
    page = visit("/runs?since=yesteryear")
    expect(page.get_by_role("alert")).to_contain_text("since:yesteryear")


def test_the_run_logs_are_accessible(visit: Visit, axe: Callable[[Page], None]) -> None:
    axe(visit(OBJECT))


def phase(minute: int, state: str, run: str = "") -> dict[str, Any]:
    moment = START + timedelta(minutes=minute)
    what = {"tenant_id": "acme", "run_object_type": "job", "run_object_id": "j", "run_id": run}
    return {**what, "run_state": state, "occurred_at": moment}


def told(*phases: dict[str, Any]) -> list[tuple[int | None, int | None]]:
    def minutes(moment: datetime | None) -> int | None:
        return None if moment is None else round((moment - START).total_seconds() / 60)

    newest_first = sorted(phases, key=lambda row: row["occurred_at"], reverse=True)
    return [(minutes(run.began_at), minutes(run.ended_at)) for run in runs_of(newest_first)]


def test_runs_without_an_id_are_told_apart_by_their_beginnings_and_ends() -> None:
    found = told(*(phase(m, s) for m, s in ((0, "start"), (5, "end"), (10, "start"), (12, "end"), (20, "start"))))
    assert found == [(20, None), (10, 12), (0, 5)]


def test_an_end_without_a_beginning_and_a_beginning_after_one_are_runs_of_their_own() -> None:
    assert told(phase(5, "end"), phase(6, "start"), phase(7, "start")) == [(7, None), (6, None), (None, 5)]


def test_runs_that_overlap_are_told_apart_by_their_ids() -> None:
    found = told(phase(0, "start", "a"), phase(1, "start", "b"), phase(2, "end", "a"), phase(3, "end", "b"))
    assert found == [(1, 3), (0, 2)]
