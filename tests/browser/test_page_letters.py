"""Dead letters and the manifest: what was refused and why, byte by byte, and what was stored."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Watch
from query.access import Scope
from query.web.hex_dump import MOST_BYTES, as_text, hex_dump
from query_log import TOPIC
from record_log import HOSTILE, HOSTILE_START, LETTERS_PARTITION, SHOWN

pytest_plugins = ["infrastructure.browser_fixtures", "infrastructure.record_fixtures"]

Visit = Callable[..., Page]
LETTER = f"/dead-letters/{TOPIC}/{LETTERS_PARTITION}"


@pytest.fixture(scope="session")
def served(record_served: Served) -> Served:
    return record_served


def reasons(page: Page) -> dict[str, int]:
    rows = page.get_by_role("region", name="Letters by reason").locator("tbody tr")
    return {r.locator("th").inner_text(): int(r.locator("td").nth(1).inner_text()) for r in rows.all()}


def offsets(page: Page) -> list[str]:
    links = page.get_by_role("region", name="Dead letters").locator("tbody a").all()
    return [(a.get_attribute("href") or "").partition("?")[0].rpartition("/")[2] for a in links]


def test_letters_are_listed_with_their_reasons_and_a_reason_narrows_them(visit: Visit) -> None:
    page = visit("/dead-letters", "administrator")
    assert reasons(page) == {"bad_ip": 1, "too_short": 1, HOSTILE_START + SHOWN: 1}
    assert offsets(page) == ["2", "1", "0"]
    page.get_by_role("region", name="Letters by reason").get_by_role("link", name="bad_ip").click()
    assert offsets(page) == ["2"]
    # The facet goes on to show what else there is to choose.
    assert len(reasons(page)) == 3
    page.get_by_role("link", name="all reasons").click()
    assert len(offsets(page)) == 3


def test_the_form_narrows_by_tenant_and_place(visit: Visit) -> None:
    page = visit("/dead-letters", "administrator")
    page.get_by_label("Tenant").fill("acme")
    page.get_by_role("button", name="Apply").click()
    assert offsets(page) == ["2"]
    assert reasons(page) == {"bad_ip": 1}
    page.get_by_label("Tenant").fill("")
    page.get_by_label("Offset").fill("0")
    page.get_by_label("Partition").fill(str(LETTERS_PARTITION))
    page.get_by_role("button", name="Apply").click()
    assert offsets(page) == ["0"]


def test_a_letter_shows_its_reason_its_place_and_its_bytes(visit: Visit) -> None:
    page = visit(f"{LETTER}/0", "administrator")
    text = page.locator("main").inner_text()
    for told in ("2 bytes", "too_short", "decode", "audit.events", str(TOPIC)):
        assert told in text
    assert page.get_by_role("region", name="Value in hexadecimal").inner_text().split()[:3] == ["00000000", "00", "ff"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download bytes").click()
    assert download.value.path().read_bytes() == b"\x00\xff"
    assert download.value.suggested_filename == f"dead-letter-{TOPIC}-{LETTERS_PARTITION}-0.bin"


def test_hostile_text_in_every_field_of_a_letter_is_shown_as_text(visit: Visit, served: Served) -> None:
    page = visit(f"{LETTER}/1", "administrator")
    assert page.locator("main script, main b, main [onclick]").count() == 0
    text = page.locator("main").inner_text()
    # Reason in words, its code, tenant, event code, event id, version, key, name and value of a header, the text.
    assert text.count(HOSTILE_START) == 10
    assert text.count(SHOWN) == 10
    page.goto(f"{served.url}/dead-letters?reason_code={quote(HOSTILE)}&tenant={quote(HOSTILE)}")
    assert offsets(page) == ["1"]
    assert page.locator("main script, main b, main [onclick]").count() == 0


def test_a_letter_of_one_tenant_is_within_reach_of_its_administrator_only(
    visit: Visit, served: Served, watch: Watch
) -> None:
    watch.expected += ["404"]
    page = visit("/dead-letters", "administrator", Scope(("acme",)))
    assert offsets(page) == ["2"]
    page.goto(f"{served.url}{LETTER}/2")
    expect(page.get_by_text("no address")).to_be_visible()
    page.goto(f"{served.url}{LETTER}/0")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")


def test_dead_letters_and_the_manifest_are_for_administrators(visit: Visit, served: Served, watch: Watch) -> None:
    watch.expected += ["403"]
    page = visit("/dead-letters", "auditor")
    expect(page.get_by_role("alert")).to_contain_text("ledger")
    assert page.get_by_role("link", name="Dead letters").count() == 0
    for path in (f"{LETTER}/0/raw", "/batches"):
        page.goto(f"{served.url}{path}")
        expect(page.get_by_role("alert")).to_be_visible()


@pytest.mark.parametrize("path", ["x/3/0", f"{TOPIC}/x/0", f"{TOPIC}/3/99999999999999999999", f"{TOPIC}/3/77"])
def test_a_place_that_holds_no_letter_is_told_in_words(visit: Visit, watch: Watch, path: str) -> None:
    watch.expected += ["404", "400"]
    page = visit(f"/dead-letters/{path}", "administrator")
    expect(page.get_by_role("alert")).to_be_visible()


def test_the_raw_bytes_need_a_session(served: Served) -> None:
    assert httpx.get(f"{served.url}{LETTER}/0/raw", timeout=60).headers["location"].startswith("/sign-in")


def test_the_manifest_tells_what_became_of_every_offset(visit: Visit) -> None:
    page = visit(f"/batches?partition={LETTERS_PARTITION}", "administrator")
    rows = page.get_by_role("region", name="Stored ranges").locator("tbody tr")
    expect(rows).to_have_count(1)
    cells = [cell.split("\n")[0].strip() for cell in rows.first.locator("td").all_inner_texts()]
    assert cells[1:3] == ["audit.events", str(LETTERS_PARTITION)]
    assert cells[4].startswith("0")
    assert cells[5].startswith("3")
    rows.first.locator("summary").click()
    expect(rows.first.get_by_text("0" * 64)).to_be_visible()
    rows.first.get_by_role("link").click()
    assert offsets(page) == ["2", "1", "0"]


def test_the_pages_of_the_ledger_are_accessible(visit: Visit, served: Served, axe: Callable[[Page], None]) -> None:
    page = visit("/dead-letters", "administrator")
    axe(page)
    for path in (f"{LETTER}/1", "/batches"):
        page.goto(served.url + path)
        axe(page)


def test_a_dump_shows_every_byte_up_to_its_limit() -> None:
    assert hex_dump(bytes(range(0x3E, 0x50))) == (
        "00000000  3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d  >?@ABCDEFGHIJKLM\n"
        "00000010  4e 4f                                            NO"
    )
    assert hex_dump(b"") == ""
    assert len(hex_dump(b"\xff" * (MOST_BYTES + 100)).splitlines()) == MOST_BYTES // 16
    assert as_text(b"a\xffb") == "a\ufffdb"
