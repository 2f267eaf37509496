"""Webhook sendouts on the page: found by every filter, looked at, and sent again by those who may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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
from query.http import ReadService, Resends
from query.resend import Endpoint, Resender, ResendLedger
from query.resend_settings import RouteSettings
from query_log import Log, at, open_log
from record_log import HOSTILE, HOSTILE_START, hostile_event
from resend_log import SECRET, EmittingService, Trail, attempt, emitting_service, store_with_bodies
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

pytest_plugins = ["infrastructure.browser_fixtures"]

SignedIn = Callable[..., Page]
#: What one sendout has in the fields that the list filters by, and all others have not.
ODD = {
    "hook_event_type": "refund.done",
    "request_id": "req-odd",
    "hook_source_id": "order-odd",
    "hook_event_created_at": at("2025-01-01T00:00:00"),
    "hook_sent_at": at("2025-02-01T00:00:00"),
    "tenant_id": "initech",
}
FILTERS = [
    ("Sendout", "w-odd"),
    ("Type", "refund.*"),
    ("Request", "req-odd"),
    ("Source", "order-odd"),
    ("Tenant", "initech"),
    ("Event created until", "2025-06-01"),
    ("Sent until", "2025-06-01"),
]


@pytest.fixture(scope="module")
def service() -> Iterator[EmittingService]:
    with emitting_service() as running:
        yield running


@pytest.fixture(scope="module")
def hook_log(clickhouse_served: ClickHouseSettings) -> Iterator[Log]:
    settings = fresh_database(clickhouse_served)
    with open_log(settings) as log:
        log.store([attempt("w-fail", n, "retry", hook_next_retry_at=at("2026-06-01T11:00:00")) for n in (1, 2)])
        log.store([attempt("w-fail", 3), attempt("w-sent", 1, "sent", hook_http_status=200, hook_error="")])
        log.store([attempt("w-odd", 1, "retry", **ODD)])
        log.store([attempt("w/shared", 1), attempt("w/shared", 1, tenant_id="globex")])
        told = attempt("w-body", 1, "sent", details=[("header.Content-Type", "application/json")], duration_ms=250)
        sent = {"api_request_body": '{"order": 7}', "api_response_body": "thanks", "api_query_params": ""}
        store_with_bodies(log, told, sent, partition=8)
        hostile = {k: v for k, v in hostile_event().items() if k not in ("request_id",)}
        own = {"record_kind": "webhook", "tenant_id": "acme", "hook_status": "error", "request_id": HOSTILE}
        store_with_bodies(
            log, {**hostile, **own}, {"api_request_body": HOSTILE, "api_response_body": HOSTILE, "api_query_params": ""}
        )
        yield log
    drop_database(settings)


@pytest.fixture(scope="module")
def served(hook_log: Log, page_serving: Serving, service: EmittingService) -> Iterator[Served]:
    connections = Connections(hook_log.settings)
    route = RouteSettings.model_validate({"tenant": "acme", "url": service.url, "secret": SECRET, "attempts": 1})
    endpoint = Endpoint("shop", route)
    resender = Resender({"shop": route}, {"shop": endpoint}, ResendLedger(connections), Trail())

    def parts(reads: ReadService) -> list[object]:
        return [Resends(resender, reads, 2)]

    yield page_serving.open(hook_log, parts=parts)
    endpoint.close()
    connections.close()


@pytest.fixture(scope="module")
def sessions() -> BrowserSessions:
    return BrowserSessions()


@pytest.fixture
def signed_in(page: Page, served: Served, sessions: BrowserSessions) -> SignedIn:
    return lambda role, scope=ALL, path="/": sessions.sign_in(page, served, role, scope, path)


@pytest.fixture
def failed(hook_log: Log, service: EmittingService) -> str:
    """The id of a new sendout that failed."""
    service.calls.clear()
    service.script.clear()
    sendout_id = f"w-{uuid4().hex[:8]}"
    hook_log.store([attempt(sendout_id, 3)])
    return sendout_id


def listed(page: Page) -> list[str]:
    """Return the sendouts of the list."""
    return page.get_by_role("region", name="Webhook sendouts").locator("tbody tr td:nth-child(2)").all_inner_texts()


def table(page: Page, name: str) -> list[list[str]]:
    found = page.get_by_role("region", name=name, exact=True).locator("tbody tr")
    return [[cell.strip() for cell in row.locator("td").all_inner_texts()] for row in found.all()]


def send_again(page: Page, reason: str = "customer waits") -> None:
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Send again").click()


def test_the_list_shows_each_sendout_after_its_last_attempt(signed_in: SignedIn) -> None:
    page = signed_in("auditor", Scope(("acme",)), "/webhooks?sendout=w-fail")
    assert table(page, "Webhook sendouts") == [
        [
            "error",
            "w-fail",
            "order.paid",
            "http://127.0.0.1:1/customer?key=[masked]",
            "req-9",
            "2026-06-01 10:00:00.000",
            "2026-06-01 10:00:05.000",
            "3 of 3",
            "HTTP 503 no answer",
        ]
    ]
    expect(page.get_by_role("heading", level=1)).to_contain_text("times in")


def test_every_filter_finds_what_it_describes(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("auditor", path="/webhooks")
    for label, value in FILTERS:
        page.goto(f"{served.url}/webhooks")
        filtered(page, label, value)
        assert listed(page) == ["w-odd"], label
    for label in ("Event created from", "Sent from"):
        page.goto(f"{served.url}/webhooks")
        filtered(page, label, "2025-06-01")
        assert "w-fail" in listed(page), label
        assert "w-odd" not in listed(page), label


def filtered(page: Page, label: str, value: str) -> None:
    page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"\?"))


def test_each_status_can_be_chosen_and_one_click_leads_to_the_failed_ones(signed_in: SignedIn) -> None:
    page = signed_in("auditor", path="/webhooks")
    assert page.get_by_label("Status").locator("option").all_inner_texts() == ["any", "sent", "retry", "error"]
    for status, found in (("retry", "w-odd"), ("sent", "w-sent"), ("error", "w-fail")):
        page.get_by_label("Status").select_option(status)
        page.get_by_role("button", name="Apply").click()
        page.wait_for_url(re.compile(f"status={status}"))
        assert found in listed(page)
        assert not {"w-odd", "w-sent", "w-fail"} - {found} & set(listed(page))
    page.get_by_role("link", name="Clear").click()
    page.get_by_role("link", name="Only those that failed").click()
    page.wait_for_url(re.compile("status=error"))
    assert "w-sent" not in listed(page)


def test_a_wrong_filter_is_told_with_what_was_expected(signed_in: SignedIn, watch: Watch) -> None:
    watch.expected.append("400")
    page = signed_in("auditor", path="/webhooks?sent_since=yesterdayish")
    expect(page.locator("main")).to_contain_text("yesterdayish")


def test_a_sendout_shows_its_attempts_what_was_sent_and_where_it_stands(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("auditor", path="/webhooks/w-fail?tenant=acme")
    attempts = table(page, "Attempts")
    assert [row[0] for row in attempts] == ["1", "2", "3"]
    assert [row[2] for row in attempts] == ["retry", "retry", "error"]
    assert attempts[0][5] == "2026-06-01 11:00:00.000"
    main = page.locator("main").inner_text()
    for text in ("order-7", "shop", "HTTP 503 no answer", "3 of 3", "The service recorded none"):
        assert text in main
    page.goto(f"{served.url}/webhooks/w-body?tenant=acme")
    expect(page.get_by_role("region", name="Payload")).to_have_text('{\n  "order": 7\n}')
    expect(page.get_by_role("region", name="Answer of the receiver")).to_have_text("thanks")
    main = page.locator("main").inner_text()
    for text in ("header.Content-Type", "application/json", "250 ms"):
        assert text in main


def test_the_failed_one_is_sent_again_from_the_list_in_a_few_clicks(
    signed_in: SignedIn, failed: str, service: EmittingService, hook_log: Log, served: Served
) -> None:
    page = signed_in("operator", Scope(("acme",)), "/webhooks")
    page.get_by_role("link", name="Only those that failed").click()
    page.get_by_role("link", name=failed, exact=True).click()
    send_again(page)
    expect(page.get_by_role("heading", name="The service took the request")).to_be_visible()
    (call,) = service.calls
    assert call.is_signed()
    assert (call.content["sendout_id"], call.content["reason"]) == (failed, "customer waits")
    assert call.content["asked_by"]["name"] == "test operator"
    expect(page.get_by_role("status")).to_contain_text("the service took the request: queued")
    page.reload()
    assert len(service.calls) == 1
    hook_log.store([attempt(f"{failed}-again", 1, "sent", hook_resend_of=failed, hook_resent_by="Ann")])
    page.reload()
    assert [row[0] for row in table(page, "Sent again as")] == [f"{failed}-again"]
    page.get_by_role("link", name=f"{failed}-again").click()
    expect(page.get_by_text(f"Repeats {failed}")).to_be_visible()
    hook_log.store([attempt(failed, 4, "sent", hook_resend_of=failed)])  # under the same id, as some services do
    page.goto(f"{served.url}/webhooks/{failed}?tenant=acme")
    assert [row[0] for row in table(page, "Attempts")] == ["3", "4"]
    assert [row[0] for row in table(page, "Sent again as")] == [f"{failed}-again"]
    expect(page.get_by_text("Repeats")).to_have_count(0)


def test_going_back_and_pressing_again_asks_once(signed_in: SignedIn, failed: str, service: EmittingService) -> None:
    page = signed_in("operator", Scope(("acme",)), f"/webhooks/{failed}?tenant=acme")
    key = page.locator("input[name=key]").input_value()
    send_again(page)
    expect(page.get_by_role("heading", name="The service took the request")).to_be_visible()
    page.evaluate("key => { document.querySelector('input[name=key]').value = key; }", key)
    send_again(page, "again")
    expect(page.get_by_role("heading", name="The service took the request")).to_be_visible()
    assert len(service.calls) == 1


def test_what_was_taken_already_is_asked_for_again_only_on_purpose(
    signed_in: SignedIn, failed: str, service: EmittingService, watch: Watch
) -> None:
    watch.expected.append("409")
    page = signed_in("operator", Scope(("acme",)), f"/webhooks/{failed}?tenant=acme")
    expect(page.get_by_label("Send it again all the same")).to_have_count(0)
    send_again(page)
    expect(page.get_by_text("the service took it; nothing was reported since")).to_be_visible()
    send_again(page, "the first one got lost")
    expect(page.get_by_role("heading", name="Nothing was asked")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value("the first one got lost")
    page.get_by_label("Send it again all the same").check()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("heading", name="The service took the request")).to_be_visible()
    assert [call.content["forced"] for call in service.calls] == [False, True]


def test_a_refusal_is_shown_in_the_words_of_the_service_as_text(
    signed_in: SignedIn, failed: str, service: EmittingService
) -> None:
    service.answers(422, b"<script>document.title='hit'</script>")
    page = signed_in("operator", Scope(("acme",)), f"/webhooks/{failed}?tenant=acme")
    send_again(page)
    expect(page.get_by_role("heading", name="The service refused")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("HTTP 422: <script>document.title='hit'</script>")
    assert page.title() != "hit"


def test_without_a_route_the_page_names_the_setting(signed_in: SignedIn, watch: Watch) -> None:
    watch.expected.append("409")
    page = signed_in("administrator", path="/webhooks/w/shared?tenant=globex")
    expect(page.get_by_text("add one to the setting resend.routes")).to_be_visible()
    page.get_by_label("Send it again all the same").check()
    send_again(page)
    expect(page.get_by_role("alert")).to_contain_text("resend.routes")


def test_a_role_without_the_right_sees_no_button_and_cannot_post_either(
    signed_in: SignedIn, failed: str, service: EmittingService, watch: Watch, served: Served
) -> None:
    watch.expected.append("403")
    page = signed_in("auditor", Scope(("acme",)), f"/webhooks/{failed}?tenant=acme")
    expect(page.get_by_role("button", name="Send again")).to_have_count(0)
    served.records.reads.clear()
    status = page.evaluate(
        """async path => {
          const csrf = document.querySelector('input[name=csrf]').value;
          const body = new URLSearchParams({csrf, key: 'k', reason: 'why', tenant: 'acme'});
          return (await fetch(path, {method: 'POST', body})).status;
        }""",
        f"/webhooks/{failed}",
    )
    assert status == 403
    assert service.calls == []
    assert [read.code for read in served.records.reads] == ["access.denied"]


def test_a_form_of_another_site_asks_nothing(
    signed_in: SignedIn, failed: str, service: EmittingService, watch: Watch
) -> None:
    watch.expected.append("403")
    page = signed_in("operator", Scope(("acme",)), f"/webhooks/{failed}?tenant=acme")
    page.evaluate("document.querySelector('main form input[name=csrf]').value = 'forged'")
    send_again(page)
    expect(page.locator("main")).to_contain_text("the form was not accepted")
    assert service.calls == []


def test_tenants_that_share_an_id_are_told_apart_within_the_scope_only(signed_in: SignedIn, watch: Watch) -> None:
    watch.expected.append("404")
    page = signed_in("administrator", path="/webhooks/w/shared")
    expect(page.get_by_role("note")).to_contain_text("Other tenants have a sendout of this id too: globex")
    page = signed_in("operator", Scope(("acme",)), "/webhooks/w/shared")
    expect(page.get_by_role("heading", level=1)).to_have_text("Webhook sendout w/shared")
    expect(page.get_by_role("note")).to_have_count(0)
    page.goto(page.url.split("?")[0] + "?tenant=globex")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")


def test_hostile_text_in_every_field_is_shown_as_text(signed_in: SignedIn) -> None:
    page = signed_in("administrator", Scope(("acme",)), "/webhooks?type=" + quote(HOSTILE_START) + "*")
    row = page.get_by_role("region", name="Webhook sendouts").locator("tbody tr")
    assert row.inner_text().count(HOSTILE_START) == 5  # sendout, type, URL, request, error
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE_START)
    shown = page.locator("main").inner_text()
    # Sendout, type, URL, request, service, project, source, error, who sent it again, what it repeats, payload,
    # answer, detail: each at least once.
    assert shown.count(HOSTILE_START) >= 16
    assert page.locator("main script, main b, main [onclick]").count() == 0
    assert not set("\x1b\u202e\u202c\u200b") & set(shown)
    assert page.title() != "hit"


def test_a_role_without_bodies_sees_that_they_are_hidden(signed_in: SignedIn) -> None:
    hostile = quote(HOSTILE, safe="")
    page = signed_in("own_events", Scope(("acme",), actor_id=HOSTILE), f"/webhooks/{hostile}?tenant=acme")
    expect(page.get_by_text("Hidden: your role does not show bodies.").first).to_be_visible()
    page = signed_in("exporter", Scope(("acme",)), "/webhooks/w-body?tenant=acme")
    expect(page.get_by_text("Hidden: your role does not show bodies.").first).to_be_visible()
    assert "thanks" not in page.content()


@pytest.mark.parametrize("path", ["/webhooks", "/webhooks/w-fail?tenant=acme"])
def test_the_pages_are_accessible(signed_in: SignedIn, axe: Callable[[Page], None], path: str) -> None:
    axe(signed_in("administrator", path=path))


@pytest.mark.parametrize(
    "context_options", [{"viewport": {"width": 320, "height": 700}}, {"java_script_enabled": False}]
)
def test_narrow_screens_and_browsers_without_scripts_can_send_again(
    signed_in: SignedIn, failed: str, service: EmittingService, context_options: dict[str, Any]
) -> None:
    page = signed_in("operator", Scope(("acme",)), f"/webhooks/{failed}?tenant=acme")
    send_again(page)
    expect(page.get_by_role("heading", name="The service took the request")).to_be_visible()
    assert len(service.calls) == 1
    if "viewport" in context_options:
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_what_was_looked_at_is_on_record_with_names_only(signed_in: SignedIn, served: Served) -> None:
    page = signed_in("auditor", path="/webhooks?request=req-odd")
    served.records.reads.clear()
    page.reload()
    (read,) = served.records.reads
    assert (read.code, read.resource, read.filter_fields, read.rows) == ("access.search", "/webhooks", ("request",), 1)
