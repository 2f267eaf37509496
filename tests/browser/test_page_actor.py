"""The card of an actor: as it is now, what it did, and that it has left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from infrastructure.browser import Served, Watch
from query.access import Scope
from query.period import micros
from record_log import HOSTILE, HOSTILE_START, SHOWN

pytest_plugins = ["infrastructure.browser_fixtures", "infrastructure.record_fixtures"]

Visit = Callable[..., Page]
#: The slash is part of the id.
ANN = f"/actors/acme/{quote('u/1', safe='')}"


@pytest.fixture(scope="session")
def served(record_served: Served) -> Served:
    return record_served


def test_the_card_says_who_it_is_now_and_that_it_has_left(visit: Visit) -> None:
    page = visit(ANN)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Ann Now")
    expect(page.get_by_role("note")).to_have_text("Attention: the actor is no longer part of the organisation.")
    card = page.locator("section", has=page.get_by_role("heading", name="Card now")).inner_text()
    for text in ("ann.now@acme.example", "Sales", "deactivated", "editor", "u/1", "acme"):
        assert text in card
    assert page.locator("main img").count() == 0


def test_a_picture_on_our_own_host_is_shown(visit: Visit) -> None:
    picture = visit("/actors/acme/u-picture").get_by_role("img", name="Picture of Pia")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")


def test_its_sign_ins_its_events_and_its_codes_are_listed(visit: Visit) -> None:
    page = visit(ANN)
    sign_ins = page.get_by_role("region", name="Last sign-ins and sign-outs").locator("tbody tr")
    assert [row.locator("td").nth(1).inner_text() for row in sign_ins.all()] == ["u/1 logged in"]
    events = page.get_by_role("region", name="Last events").locator("tbody tr")
    expect(events).to_have_count(3)
    page.get_by_role("link", name="All events of this actor").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Audit journal")
    assert page.locator("main a[href^='/events/']").count() >= 3


def test_how_often_it_did_what_leads_to_these_events(visit: Visit, served: Served) -> None:
    recent = {"actor_id": "u-often", "tenant_id": "acme", "event_code": "campaign.update"}
    served.log.store([{**recent, "occurred_at": _now_micros(), "event_id": _id(n)} for n in range(3)], partition=41)
    page = visit("/actors/acme/u-often")
    codes = page.get_by_role("region", name="Events by code").locator("tbody tr")
    expect(codes).to_have_count(1)
    assert codes.first.locator("th").inner_text() == "campaign.update"
    link = codes.get_by_role("link")
    assert link.inner_text().startswith("3")
    assert "action=campaign.update" in (link.get_attribute("href") or "")


def test_an_actor_without_a_card_is_shown_by_its_events(visit: Visit) -> None:
    page = visit("/actors/acme/u-plain")
    expect(page.get_by_role("heading", level=1)).to_contain_text("u-plain")
    expect(page.get_by_text("The directory has no card of this actor")).to_be_visible()


def test_hostile_text_in_every_field_of_a_card_is_shown_as_text(visit: Visit) -> None:
    page = visit(f"/actors/acme/{quote(HOSTILE, safe='')}")
    assert page.locator("main script, main b, main [onclick], main img").count() == 0
    text = page.locator("main").inner_text()
    # Heading, name, id, kind, login, e-mail, department, roles, and the event.
    assert text.count(HOSTILE_START) >= 9
    assert SHOWN in text
    assert not set("\x1b\u202e\u202c\u200b") & set(text)
    assert "hit" not in page.title().partition("<script>")[0]


def test_what_is_personal_on_a_card_is_masked_for_roles_that_do_not_show_it(visit: Visit) -> None:
    page = visit(ANN, "exporter")
    text = page.locator("main").inner_text()
    assert "[masked]" in text
    for secret in ("Ann Now", "ann.now@acme.example", "Sales", "Ann Before"):
        assert secret not in text


def test_an_actor_out_of_reach_is_not_shown(visit: Visit, watch: Watch) -> None:
    watch.expected.append("404")
    page = visit(ANN, scope=Scope(("globex",)))
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")


def test_the_card_is_accessible(visit: Visit, axe: Callable[[Page], None]) -> None:
    axe(visit(ANN))


def _now_micros() -> int:
    return micros(datetime.now(UTC))


def _id(number: int) -> bytes:
    return UUID(int=0xE0000 + number).bytes
