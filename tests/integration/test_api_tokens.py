"""Tokens over the API: made, listed and revoked within the own scope, and answered as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api_log import Api, open_api
from infrastructure.clickhouse import fresh_database
from query.access import Scope
from query_log import open_log
from sinks.settings import ClickHouseSettings

PATH = "/api/v1/tokens"


@pytest.fixture(scope="module")
def api(chdb_path: Path) -> Iterator[Api]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as log, open_api(log) as opened:
        yield opened


def as_described(api: Api, method: str, path: str, answer: Any) -> Any:
    """Return the body of an answer that is as the document describes it."""
    document = api.ask("GET", "/api/openapi.json").json()
    described = document["paths"][path][method]["responses"][str(answer.status_code)]
    schema = described["content"][answer.headers["content-type"]]["schema"]
    jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(answer.json())
    return answer.json()


def test_a_token_is_made_listed_used_and_revoked(api: Api) -> None:
    admin = api.secret("administrator", Scope(("acme", "globex")))
    asked = {"name": "desk", "role": "auditor", "tenants": ["acme"], "record_kinds": "auth", "days": 30}
    made = api.post(PATH, admin, asked)
    assert made.status_code == 201
    body = as_described(api, "post", PATH, made)
    token, secret = body["token"], body["secret"]
    assert (token["scope"]["tenants"], token["scope"]["record_kinds"], token["state"]) == (["acme"], ["auth"], "valid")
    assert api.get("/api/v1/me", secret).json()["token_id"] == token["token_id"]
    listed = as_described(api, "get", PATH, api.get(PATH, admin))["data"]
    assert token["token_id"] in {row["token_id"] for row in listed}
    assert secret not in api.get(PATH, admin).text
    revoked = api.ask("DELETE", f"{PATH}/{token['token_id']}", admin)
    assert as_described(api, "delete", f"{PATH}/{{token_id}}", revoked)["token"]["state"] == "revoked"
    assert api.get("/api/v1/me", secret).status_code == 401
    assert [(c.code, c.target_id) for c in api.records.changes] == [
        ("access.token_create", token["token_id"]),
        ("access.token_revoke", token["token_id"]),
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "auditor", "tenants": ["acme"]}, "/name"),
        ({"name": "x", "tenants": ["acme"]}, "/role"),
        ({"name": "x", "role": "root", "tenants": ["acme"]}, "/role"),
        ({"name": "x", "role": "auditor", "tenant": ["acme"]}, "/tenant"),
        ({"name": "x", "role": "auditor", "tenants": 7}, "/tenants"),
        ({"name": "x", "role": "auditor", "tenants": ["acme"], "days": 0}, "/days"),
        ({"name": "x", "role": "auditor", "tenants": ["acme"], "all_tenants": "yes"}, "/all_tenants"),
        ({"name": "x", "role": "auditor"}, None),
    ],
)
def test_a_body_that_is_wrong_is_refused_at_its_place(api: Api, body: dict[str, Any], pointer: str | None) -> None:
    answer = api.post(PATH, api.secret("administrator", Scope(("acme",))), body)
    assert (answer.status_code, answer.json().get("pointer")) == (400, pointer)
    as_described(api, "post", PATH, answer)


def test_beyond_the_own_scope_and_rights_nothing_is_made_seen_or_revoked_and_that_is_recorded(api: Api) -> None:
    acme = api.secret("administrator", Scope(("acme",)))
    other, _ = api.tokens.create("other", "auditor", Scope(("globex",)))
    for more in ({"tenants": ["globex"]}, {"all_tenants": True}, {"tenants": ["acme"], "role": "erasure_officer"}):
        assert api.post(PATH, acme, {"name": "x", "role": "auditor", **more}).status_code == 403
    assert api.ask("DELETE", f"{PATH}/{other.token_id}", acme).status_code == 404
    assert other.token_id not in api.get(PATH, acme).text
    auditor = api.secret("auditor")
    denied = len(api.records.reads)
    assert api.get(PATH, auditor).status_code == 403
    assert api.post(PATH, auditor, {"name": "x", "role": "auditor", "all_tenants": True}).status_code == 403
    assert [read.code for read in api.records.reads[denied:]] == ["access.denied"] * 2
    assert "x" not in {token.name for token in api.tokens.tokens()}
