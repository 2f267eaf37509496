"""The event catalogue: every code there is, found by words and by what it is about, the users' own included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served
from query.web.catalogue import AREAS, OWN, area
from schemas.catalogue import Catalogue, shipped_files

pytest_plugins = ["infrastructure.browser_fixtures", "infrastructure.record_fixtures"]

Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def served(record_served: Served) -> Served:
    return record_served


def codes(page: Page) -> list[str]:
    rows = page.get_by_role("region", name="Event codes").locator("tbody th")
    return rows.all_inner_texts()


def test_every_code_is_listed_and_leads_to_its_events(visit: Visit) -> None:
    page = visit("/catalogue")
    assert codes(page) == list(Catalogue.load().codes)
    expect(page.get_by_role("status")).to_have_text(f"{len(Catalogue.load())} of {len(Catalogue.load())} codes")
    page.get_by_role("link", name="events campaign.activate").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Audit journal")
    assert "action=campaign.activate" in page.url
    assert page.locator("main a[href^='/events/']").count() > 0


def test_codes_are_found_by_words_and_narrowed_by_what_they_are_about(visit: Visit) -> None:
    page = visit("/catalogue?q=nothing")
    page.get_by_role("searchbox", name="Words").fill("campaign ACTIVATED")
    page.get_by_role("button", name="Apply").click()
    assert codes(page) == [e.code for e in Catalogue.load() if _has(e.code, "campaign", "activated")]
    assert "campaign.activate" in codes(page)
    page.goto(page.url.partition("?")[0] + "?area=campaigns")
    assert len(codes(page)) == 39
    page.get_by_label("Category").select_option("bind")
    page.get_by_role("button", name="Apply").click()
    assert set(codes(page)) == {"campaign.bind_activity", "campaign.bind_segment", "loyalty_program.attach"}
    # What cannot match any more is no choice.
    assert "read" not in page.get_by_label("Category").inner_text()


def _has(code: str, *words: str) -> bool:
    entry = Catalogue.load().get(code)
    assert entry is not None
    text = f"{entry.code} {entry.title.template} {entry.description} {entry.object_type}".lower()
    return all(word in text for word in words)


def test_nothing_that_matches_is_told_and_hostile_words_stay_words(visit: Visit) -> None:
    page = visit("/catalogue?q=%3Cscript%3Edocument.title%3D1%3C/script%3E%22%20onclick%3D1&category=%3Cb%3Ex")
    expect(page.get_by_text("No code matches.")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Words")).to_have_value('<script>document.title=1</script>" onclick=1')
    assert page.locator("main script, main b, main [onclick]").count() == 0


def test_the_catalogue_is_accessible(visit: Visit, axe: Callable[[Page], None]) -> None:
    axe(visit("/catalogue?area=tasks"))


def test_every_file_that_ships_is_an_area_with_a_name() -> None:
    assert sorted(AREAS) == sorted(f.name.removesuffix(".toml") for f in shipped_files())
    assert {area(entry) for entry in Catalogue.load()} == set(AREAS)


def test_codes_that_users_add_are_an_area_of_their_own_wherever_their_file_lies(tmp_path: Path) -> None:
    text = """
        [[event]]
        code = "invoice.approve"
        title = "{actor} approved invoice {target}"
        category = "complete"
        retention_class = "business"
        description = "An invoice was approved."
    """
    # A name of a file that ships does not make it one.
    file = tmp_path / "schemas" / "catalogue" / "campaigns.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    entry = Catalogue.load([file]).get("invoice.approve")
    assert entry is not None
    assert area(entry) == OWN
