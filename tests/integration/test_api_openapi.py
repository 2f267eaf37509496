"""The OpenAPI document is true: what it describes is what is answered, also to requests made up from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

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

from api_log import Api, open_api
from infrastructure.clickhouse import fresh_database
from query.fields import ingest_batch_fields
from query.filters import all_filters
from query.http import resend, run_log, tail
from query.http.parameters import filter_parameters
from query.http.problems import KINDS
from query.http.routes import ENDPOINTS
from query_log import address, open_log
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

EVENT_ID = UUID("01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e")
RICH = {
    "event_id": EVENT_ID.bytes,
    "tenant_id": "acme",
    "actor_id": "u-1",
    "ip": address("203.0.113.7"),
    "details": [("a", "b")],
    "labels": [("a", "b")],
    "changes.field": ["x", "y"],
    "changes.before": ["1", None],
    "changes.after": [None, "2"],
    "changes.masked": [False, True],
    "targets.type": ["t"],
    "targets.id": ["i"],
    "targets.name": ["n"],
    "targets.role": ["r"],
    "duration_ms": 5,
    "run_value_num": 1.5,
}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
#: What requests are filled with, so that more than refusals is looked at.
#: Groups whose answers the tests of their own look at: they show what was made before by the same reader.
OWN = ("exports", "searches", "tokens")
KNOWN = {"event_id": str(EVENT_ID), "tenant": "acme", "actor_id": "u-1", "name": "action"}


@pytest.fixture(scope="module")
def api(chdb_path: Path) -> Iterator[Api]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as log, open_api(log) as opened:
        kinds = ({"record_kind": kind, f"{kind}_id": "x"} for kind in ("task", "export"))
        log.store([RICH, *({**RICH, **kind} for kind in kinds), {}], payloads=[0], dead=[3])
        connections = Connections(log.settings)
        connections.command(
            f"INSERT INTO {log.settings.database}.actors (tenant_id, actor_id, name, roles, kafka_offset) "
            "VALUES ('acme', 'u-1', 'Ann', ['a'], 1)"
        )
        connections.close()
        yield opened


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.ask("GET", "/api/openapi.json").json()
    return found


def test_the_document_names_every_endpoint_every_filter_and_every_kind_of_problem_has_a_status(
    document: dict[str, Any],
) -> None:
    operations = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    more = {("GET", "/api/v1/tail"), ("POST", "/api/v1.1/{name}/log_v2"), ("POST", resend.PATH)}
    assert operations == {(e.method, e.path) for e in ENDPOINTS} | more
    names = {p["name"] for p in document["paths"]["/api/v1/events"]["get"]["parameters"]}
    assert {f.name for f in all_filters()} <= names
    assert len(filter_parameters()) == len(all_filters())
    assert all(400 <= status < 600 for status, _ in KINDS.values())


def test_no_parameter_is_named_twice(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names = [p["name"] for p in operation["parameters"]]
            assert len(names) == len(set(names)), path


@pytest.mark.parametrize(
    "endpoint", [e for e in ENDPOINTS if e.method == "GET" and e.tag not in OWN], ids=lambda e: e.name
)
@pytest.mark.parametrize("role", ["administrator", "exporter"])
def test_answers_have_the_form_that_the_document_gives_them(
    api: Api, document: dict[str, Any], endpoint: Any, role: str
) -> None:
    answer = api.get(endpoint.path.format(**KNOWN), api.secret(role))
    operation = document["paths"][endpoint.path]["get"]
    described = operation["responses"][str(answer.status_code)]["content"][answer.headers["content-type"]]
    validator = jsonschema_rs.validator_for({**described["schema"], "components": document["components"]})
    validator.validate(answer.json())
    assert (answer.status_code == 200) == (role == "administrator" or endpoint.tag != "ledger")


@pytest.mark.parametrize("path", [*dict.fromkeys(e.path for e in ENDPOINTS), tail.PATH, run_log.PATH])
def test_requests_made_up_from_the_document_find_no_fault(api: Api, made_up: Any, path: str) -> None:
    secret = api.secret("administrator")
    statuses = set()

    def attempt(case: Any) -> None:
        if path == tail.PATH:
            case.query = {**(case.query or {}), "wait_s": 0}
        response = case.call(headers={"Authorization": f"Bearer {secret}"})
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    limited = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    for operation in made_up[path].values():
        limited(given(case=operation.as_strategy())(attempt))()
    assert statuses


@pytest.fixture(scope="module")
def made_up(api: Api) -> Any:
    return schemathesis.openapi.from_asgi("/api/openapi.json", api.app)


def test_a_row_of_the_manifest_is_described_whole(document: dict[str, Any]) -> None:
    assert set(document["components"]["schemas"]["Batch"]["properties"]) == set(ingest_batch_fields())
