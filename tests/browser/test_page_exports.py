"""Exports on the page: the dialog, files that hold what the screen shows, history, expiry, and who may not."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import orjson
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Serving, Watch
from infrastructure.exports_served import exports_served
from page_log import XSS
from query.access import Scope
from query.exports import ExportJobs
from query.web.guest import SESSION_COOKIE
from query_log import Log

pytest_plugins = ["infrastructure.browser_fixtures"]

SignedIn = Callable[..., Page]
ACME = Scope(("acme",))


@pytest.fixture(scope="module")
def served(page_log: Log, page_serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with exports_served(page_serving, page_log, tmp_path_factory.mktemp("exports")) as opened:
        yield opened


def ask(
    page: Page, served: Served, question: str, *, name: str = "csv", columns: str = "event_id", full: bool = True
) -> None:
    """Fill in the dialog and wait until the file is there."""
    page.goto(f"{served.url}/exports/new?{question}")
    page.get_by_label("Format").select_option(name)
    page.get_by_label("Full:").set_checked(full)
    if columns:
        page.get_by_label("These:").check()
        page.get_by_label("Names of columns").fill(columns)
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_role("link", name="Download export")).to_be_visible()


def fetched(page: Page, name: str = "Download export") -> bytes:
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    return Path(download.value.path()).read_bytes()


def of_workbook(content: bytes) -> list[dict[str, Any]]:
    rows = openpyxl.load_workbook(io.BytesIO(content))["events"].iter_rows(values_only=True)
    headings = [str(name) for name in next(rows)]
    return [dict(zip(headings, row, strict=True)) for row in rows]


FORMATS: dict[str, Callable[[bytes], list[dict[str, Any]]]] = {
    "csv": lambda content: list(csv.DictReader(io.StringIO(content.decode()))),
    "xlsx": of_workbook,
    "xls": of_workbook,
    "ndjson": lambda content: [orjson.loads(line) for line in content.splitlines()],
    "parquet": lambda content: pq.read_table(io.BytesIO(content)).to_pylist(),
}
QUESTION = "actor_id=u-ann&outcome=failure&period=all"


def on_screen(page: Page, served: Served, path: str) -> list[str]:
    """Return the ids of the events of a journal, as its links name them."""
    page.goto(f"{served.url}{path}&view=table")
    links = page.locator("main a[href*='/events/']").evaluate_all("found => found.map(a => a.getAttribute('href'))")
    return list(dict.fromkeys(re.findall(r"/events/([0-9a-f-]{36})", " ".join(links))))


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_each_format_holds_the_rows_of_the_screen(signed_in: SignedIn, served: Served, name: str) -> None:
    page = signed_in()
    shown = on_screen(page, served, f"/journal?{QUESTION}")
    ask(page, served, QUESTION, name=name)
    rows = FORMATS[name](fetched(page))
    assert [row["event_id"] for row in rows] == shown != []


def test_the_journal_leads_to_the_dialog_with_its_question_and_the_dialog_says_what_is_cut(
    signed_in: SignedIn, served: Served, axe: Callable[[Page], None]
) -> None:
    page = signed_in(path="/journal?period=all&tenant=acme")
    page.get_by_role("link", name="Export report").click()
    expect(page.locator("#prospect")).to_contain_text("tenant:acme")
    total = int(page.locator("#prospect strong").inner_text().replace("\N{NARROW NO-BREAK SPACE}", ""))
    assert total > 20
    expect(page.locator("#cut")).to_contain_text(f"newest 20 of {total}")
    axe(page)
    page.get_by_label("Purpose").fill(XSS)
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_text("Only the newest 20 rows are in it")).to_be_visible()
    expect(page.get_by_text(XSS, exact=True)).to_be_visible()
    assert page.title() != "hit"
    axe(page)
    rows = FORMATS["csv"](fetched(page))
    assert len(rows) == 20
    assert list(rows[0])[:2] == [next(iter(rows[0])), "title"]


def test_times_are_written_in_the_zone_that_was_chosen_and_the_period_stays(
    signed_in: SignedIn, served: Served
) -> None:
    page = signed_in(path="/journal?period=all")
    page.goto(f"{served.url}/exports/new?tenant=acme&since=2026-01-01T00:00:00&tz=UTC")
    page.get_by_label("Times are written in").select_option("Asia/Tokyo")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_role("link", name="Download export")).to_be_visible()
    expect(page.get_by_text("since:2026-01-01T00:00:00+00:00")).to_be_visible()
    first = FORMATS["csv"](fetched(page))[0]
    assert first["time (Asia/Tokyo)"].endswith("+09:00")


def test_the_history_shows_parameters_and_makes_an_export_again(
    signed_in: SignedIn, served: Served, axe: Callable[[Page], None]
) -> None:
    page = signed_in()
    ask(page, served, QUESTION, name="ndjson")
    first = fetched(page)
    page.goto(f"{served.url}/exports")
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text("actor_id:u-ann")
    expect(row).to_contain_text("dashboard")
    expect(row.get_by_role("cell").nth(7)).to_have_text("1")
    axe(page)
    row.get_by_role("button", name=re.compile("Make export .* again")).click()
    expect(page.get_by_text("with the same parameters")).to_be_visible()
    expect(page.get_by_role("link", name="Download export")).to_be_visible()
    assert fetched(page) == first
    jobs = served.service.exports
    assert jobs is not None
    assert {job.request.requester.origin for job in jobs._jobs().jobs()} == {"dashboard"}


def test_an_expired_file_says_so_and_one_click_makes_it_again(
    signed_in: SignedIn, served: Served, watch: Watch, axe: Callable[[Page], None]
) -> None:
    watch.expected.append("410")
    page = signed_in()
    ask(page, served, QUESTION)
    own = page.url
    desk = served.service.exports
    assert desk is not None
    later = datetime.now(UTC) + timedelta(seconds=desk.settings.expire_after_s + 1)
    ExportJobs(desk.settings, now=lambda: later).expire()
    page.goto(f"{own}/file")
    expect(page.get_by_role("alert")).to_contain_text("has expired")
    expect(page.get_by_text("The file has expired")).to_be_visible()
    expect(page.get_by_role("link", name="Download export")).to_have_count(0)
    axe(page)
    page.get_by_role("button", name=re.compile("Make export .* again")).click()
    expect(page.get_by_role("link", name="Download export")).to_be_visible()
    assert fetched(page)


def test_a_file_can_be_removed_and_its_manifest_stays(signed_in: SignedIn, served: Served) -> None:
    page = signed_in()
    ask(page, served, QUESTION)
    page.get_by_role("button", name="Remove the file").click()
    expect(page.get_by_text("The file was removed before its time")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Manifest of this export").click()
    manifest = orjson.loads(Path(download.value.path()).read_bytes())
    assert manifest["filter"] == "outcome:failure actor_id:u-ann"


def test_what_is_wrong_with_the_form_is_said_and_what_was_typed_stays(
    signed_in: SignedIn, served: Served, watch: Watch
) -> None:
    watch.expected.append("400")
    page = signed_in(path=f"/exports/new?{QUESTION}")
    page.get_by_label("These:").check()
    page.get_by_label("Names of columns").fill("event_idd")
    page.get_by_label("Purpose").fill("case 7")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text('did you mean "event_id"?')
    expect(page.get_by_label("Purpose")).to_have_value("case 7")
    expect(page.get_by_label("Names of columns")).to_have_value("event_idd")


def test_a_role_without_the_right_sees_no_button_and_is_refused(
    signed_in: SignedIn, served: Served, watch: Watch
) -> None:
    watch.expected.append("403")
    page = signed_in("auditor", path="/journal?period=all")
    expect(page.get_by_role("link", name="Export report")).to_have_count(0)
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Exports of the log")).to_have_count(0)
    page.goto(f"{served.url}/exports/new")
    expect(page.get_by_role("alert")).to_contain_text("the right 'export' is needed")
    session = next(str(c["value"]) for c in page.context.cookies() if c["name"] == SESSION_COOKIE)
    with httpx.Client(base_url=served.url, cookies={SESSION_COOKIE: session}) as client:
        assert client.post("/exports", data={"csrf": "made up"}).status_code == 403
        assert client.get("/exports").status_code == 403


def test_posts_that_no_page_of_ours_made_are_refused(signed_in: SignedIn, served: Served) -> None:
    page = signed_in()
    ask(page, served, QUESTION)
    path = page.url.removeprefix(served.url)
    session = next(str(c["value"]) for c in page.context.cookies() if c["name"] == SESSION_COOKIE)
    with httpx.Client(base_url=served.url, cookies={SESSION_COOKIE: session}) as client:
        for action in ("again", "withdraw"):
            assert client.post(f"{path}/{action}", data={"csrf": "made up"}).status_code == 403
        assert client.head(f"{path}/file").status_code == 405
        assert client.get(path).text.count("Downloads</dt><dd><bdi>0") == 1


def test_an_exporter_of_one_tenant_gets_its_rows_masked(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("exporter", ACME)
    ask(page, served, "", columns="tenant_id,actor_name")
    rows = FORMATS["csv"](fetched(page))
    assert {row["tenant_id"] for row in rows} == {"acme"}
    assert {row["actor_name"] for row in rows} <= {"[masked]", ""}
    ids = [link.get_attribute("href") for link in page.locator("a[href$='/file']").all()]
    page.goto(f"{served.url}/exports")
    expect(page.get_by_role("link", name=re.compile("Download export"))).to_have_count(len(ids))


class TestWithoutScripts:
    """The same without scripts: a page is loaded again by hand."""

    @pytest.fixture
    def context_options(self) -> dict[str, Any]:
        return {"java_script_enabled": False}

    def test_an_export_is_asked_for_and_fetched(self, signed_in: SignedIn) -> None:
        page = signed_in(path=f"/exports/new?{QUESTION}")
        page.get_by_role("button", name="Export", exact=True).click()
        page.get_by_text("What was asked for").wait_for()
        for _ in range(100):
            if page.get_by_role("link", name="Download export").count():
                break
            page.reload()
        assert fetched(page)


def test_exports_of_services_are_listed_with_filters_and_parameters(
    signed_in: SignedIn, served: Served, axe: Callable[[Page], None]
) -> None:
    served.log.store(
        [
            {
                "tenant_id": "acme",
                "record_kind": "export",
                "event_code": "export.ready",
                "origin": "api",
                "actor_id": "key-9",
                "export_id": "ex-1",
                "export_state": "ready",
                "export_state_seq": 2,
                "export_kind": "customers",
                "export_filters": '{"segment": "' + XSS.replace('"', "'") + '"}',
                "export_params": '{"fields": ["email"]}',
                "export_row_count": 7,
                "export_download_count": 2,
            }
        ],
        partition=9,
    )
    page = signed_in(path="/data-exports?origin=api&export=ex-1")
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text("customers")
    row.locator("summary").click()
    expect(row).to_contain_text('{"fields": ["email"]}')
    expect(row).to_contain_text("<script>")
    assert page.title() != "hit"
    axe(page)
    page.goto(f"{served.url}/data-exports?origin=dashboard&export=ex-1")
    expect(page.get_by_text("No export matches.")).to_be_visible()
