"""Re-sending over HTTP: who may ask, what is answered, and that nothing secret or out of reach is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api_log import ALL, Api, open_api
from infrastructure.clickhouse import fresh_database
from query.access import Scope
from query.http import Resends, build_app
from query.http import resend as resend_call
from query.resend import Endpoint, Resender, ResendLedger
from query.resend_settings import RouteSettings
from query_log import open_log
from resend_log import SECRET, EmittingService, Trail, attempt, emitting_service
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

ACME = Scope(("acme",))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def service() -> Iterator[EmittingService]:
    with emitting_service() as running:
        yield running


@pytest.fixture(scope="module")
def trail() -> Trail:
    return Trail()


@pytest.fixture(scope="module")
def api(chdb_path: Path, service: EmittingService, trail: Trail) -> Iterator[Api]:
    database = fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))
    route = RouteSettings.model_validate({"tenant": "acme", "url": service.url, "secret": SECRET, "attempts": 1})
    connections = Connections(database)
    with open_log(database) as log, open_api(log) as plain:
        resender = Resender({"shop": route}, {"shop": Endpoint("shop", route)}, ResendLedger(connections), trail)
        yield replace(plain, app=build_app(plain.service, "0", resends=Resends(resender, plain.service, 2)))
    connections.close()


@pytest.fixture
def failed(api: Api, service: EmittingService, trail: Trail) -> str:
    """The id of a new sendout that failed; nothing has been asked of the service."""
    service.calls.clear()
    service.script.clear()
    trail.told.clear()
    api.records.reads.clear()
    sendout_id = f"so-{uuid4().hex[:8]}"
    api.log.store([attempt(sendout_id, 3)])
    return sendout_id


@pytest.fixture(scope="module")
def operator(api: Api) -> str:
    return api.secret("operator", ACME)


def resend(api: Api, sendout_id: str, secret: str, key: str = "", **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"reason": "customer waits", **body}
    return api.ask("POST", f"/api/v1/webhooks/{sendout_id}/resend", secret, json=body, headers=headers)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and kind of a problem."""
    return answer.status_code, str(answer.json()["type"]).rpartition(":")[2]


def test_the_failed_one_is_found_and_sent_again_in_two_calls(
    api: Api, operator: str, failed: str, service: EmittingService
) -> None:
    asked = {"webhook_status": "error", "webhook_type": "order.*", "fields": "hook_sendout_id,hook_error"}
    rows = api.get("/api/v1/webhooks", operator, **asked).json()["data"]
    assert {"hook_sendout_id": failed, "hook_error": "no answer"} in rows
    answer = resend(api, failed, operator)
    assert answer.status_code == 200
    done = answer.json()["resend"]
    assert (done["outcome"], done["sendout_id"], done["tenant_id"]) == ("accepted", failed, "acme")
    (call,) = service.calls
    assert call.is_signed()
    assert call.content["resend_id"] == done["resend_id"]
    assert call.content["asked_by"]["name"] == "test operator"


def test_the_answer_has_the_form_that_the_document_gives_it(api: Api, operator: str, failed: str) -> None:
    document = api.ask("GET", "/api/openapi.json").json()
    answer = resend(api, failed, operator).json()
    schema = {"$ref": "#/components/schemas/Resend", "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(answer["resend"])
    refused = resend(api, failed, operator).json()
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(refused)


def test_requests_made_up_from_the_document_find_no_fault(
    api: Api, operator: str, failed: str, service: EmittingService
) -> None:
    (operation,) = schemathesis.openapi.from_asgi("/api/openapi.json", api.app)[resend_call.PATH].values()
    statuses = set()

    def attempted(case: Any) -> None:
        case.path_parameters = {"sendout_id": failed}
        response = case.call(headers={"Authorization": f"Bearer {operator}"})
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    limited = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    limited(given(case=operation.as_strategy())(attempted))()
    assert statuses & {200, 400}


def test_a_key_asks_once_however_often_it_is_repeated(
    api: Api, operator: str, failed: str, service: EmittingService
) -> None:
    first = resend(api, failed, operator, "key-1").json()["resend"]
    again = resend(api, failed, operator, "key-1", reason="another", force=True).json()["resend"]
    assert again == {**first, "repeated": True}
    assert len(service.calls) == 1


def test_a_service_that_refuses_is_a_problem_that_says_so(
    api: Api, operator: str, failed: str, service: EmittingService
) -> None:
    service.answers(410, b"gone for good")
    answer = resend(api, failed, operator)
    assert problem(answer) == (502, "not-resent")
    told = answer.json()
    assert (told["outcome"], told["detail"]) == ("refused", "the service refused with HTTP 410: gone for good")
    assert told["resend_id"]


@pytest.mark.parametrize("role", ["auditor", "exporter", "erasure_officer"])
def test_a_role_without_the_right_is_denied_and_the_denial_recorded(
    api: Api, failed: str, service: EmittingService, role: str
) -> None:
    answer = resend(api, failed, api.secret(role, ACME))
    assert problem(answer) == (403, "forbidden")
    assert answer.json()["right"] == "resend"
    assert [read.code for read in api.records.reads] == ["access.denied"]
    assert service.calls == []


@pytest.mark.parametrize(
    "scope",
    [
        Scope(("globex",)),
        Scope(("acme",), projects=("other",)),
        Scope(("acme",), products=("other",)),
        Scope(record_kinds=("task",)),
        Scope(("acme",), actor_id="somebody else"),
    ],
)
def test_what_is_out_of_the_scope_of_a_token_does_not_exist_for_it(
    api: Api, failed: str, service: EmittingService, scope: Scope
) -> None:
    for force in (False, True):
        answer = resend(api, failed, api.secret("operator", scope), force=force, tenant="acme")
        assert problem(answer) == (404, "not-found")
    assert service.calls == []


def test_a_token_of_everything_names_the_tenant_when_the_id_is_not_unique(
    api: Api, failed: str, service: EmittingService
) -> None:
    api.log.store([attempt(failed, 1, tenant_id="globex")])
    secret = api.secret("administrator", ALL)
    answer = resend(api, failed, secret)
    assert problem(answer) == (409, "conflict")
    assert answer.json()["expected"] == "acme, globex"
    assert problem(resend(api, failed, secret, tenant="globex")) == (409, "conflict")  # no route
    assert resend(api, failed, secret, tenant="acme").status_code == 200
    assert [call.content["tenant_id"] for call in service.calls] == ["acme"]


def test_a_sendout_without_a_route_is_a_problem_that_names_the_setting(api: Api, failed: str) -> None:
    sendout_id = f"globex-{failed}"
    api.log.store([attempt(sendout_id, 1, tenant_id="globex")])
    told = resend(api, sendout_id, api.secret("administrator", ALL)).json()
    assert told["hint"] == "resend.routes"
    assert "resend.routes" in told["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"reason": 5}, "/reason"),
        ({"force": "yes"}, "/force"),
        ({"tenant": 1}, "/tenant"),
        ({"url": "http://127.0.0.1:1/"}, "/url"),
    ],
)
def test_a_wrong_body_is_a_problem_with_a_pointer(  # noqa: PLR0917 - fixtures
    api: Api, operator: str, failed: str, service: EmittingService, body: dict[str, Any], pointer: str
) -> None:
    answer = resend(api, failed, operator, **body)
    assert problem(answer) == (400, "invalid-body")
    assert answer.json()["pointer"] == pointer
    assert service.calls == []


def test_a_key_of_an_odd_form_is_refused(api: Api, operator: str, failed: str) -> None:
    answer = resend(api, failed, operator, "two words")
    assert problem(answer) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == "Idempotency-Key"


def test_only_posting_asks(api: Api, operator: str, failed: str, service: EmittingService) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = api.ask(method, f"/api/v1/webhooks/{failed}/resend", operator)
        assert problem(answer) == (405, "method-not-allowed")
        assert answer.headers["allow"] == "OPTIONS, POST"
    assert service.calls == []


def test_without_a_token_nothing_is_asked(api: Api, failed: str, service: EmittingService) -> None:
    assert problem(resend(api, failed, "")) == (401, "not-signed-in")
    assert service.calls == []


def test_an_outage_of_the_trail_is_told_without_its_details(api: Api, operator: str, failed: str, trail: Trail) -> None:
    trail.full = True
    answer = resend(api, failed, operator)
    trail.full = False
    assert problem(answer) == (503, "unavailable")
    assert "spool" not in answer.text


def test_no_answer_holds_the_secret_or_the_address_of_the_route(
    api: Api, operator: str, failed: str, service: EmittingService
) -> None:
    service.answers(500, b"failed")
    texts = [resend(api, failed, operator).text, resend(api, failed, operator).text, resend(api, "none", operator).text]
    for text in texts:
        assert SECRET not in text
        assert str(service.port) not in text


def test_what_is_asked_for_is_a_read_on_record_with_names_only(api: Api, operator: str, failed: str) -> None:
    resend(api, failed, operator)
    (read,) = api.records.reads
    assert (read.code, read.filter_fields, read.rows) == ("access.search", ("webhook",), 1)
    assert failed not in json.dumps(read.resource)
