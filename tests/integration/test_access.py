"""Signing in, what each role is shown, and attempts to see more than one may, over HTTP on the real engine."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api_log import Api, open_api
from infrastructure.clickhouse import fresh_database
from query.access import Scope, TokenInvalid, TokenUnknown, TokenVerifier
from query.http.routes import ENDPOINTS
from query_log import address, open_log
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

#: In every row that a token of acme must not see, in every field that holds a text.
FOREIGN = "zz-foreign"
SHARED_ID = UUID("01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e")
OWN = {
    "tenant_id": "acme",
    "record_kind": "action",
    "event_code": "user.update",
    "actor_id": "u-1",
    "actor_name": "Ann",
    "actor_email": "ann@x.com",
    "actor_login": "ann",
    "ip": address("203.0.113.7"),
    "user_agent": "curl",
    "target_type": "user",
    "target_id": "u-9",
    "target_name": "Victim",
    "project_id": "p1",
    "event_id": SHARED_ID.bytes,
}
OTHER = {
    **OWN,
    "tenant_id": FOREIGN,
    "actor_id": FOREIGN,
    "actor_name": FOREIGN,
    "target_id": FOREIGN,
    "event_code": FOREIGN,
    "message": FOREIGN,
    "project_id": FOREIGN,
}
TASK = {"record_kind": "task", "task_id": "t", "task_state_seq": 1}


@pytest.fixture(scope="module")
def api(chdb_path: Path) -> Iterator[Api]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as log, open_api(log) as opened:
        mine = {**OWN, "actor_id": "u-2", "project_id": "p2", "event_id": UUID(int=5).bytes}
        log.store([OWN, OTHER, mine, {**OTHER, **TASK}, {**OWN, **TASK}, {}], payloads=[0, 1], dead=[5])
        connections = Connections(log.settings)
        for tenant, actor in (("acme", "u-1"), ("acme", "u-3"), (FOREIGN, FOREIGN)):
            connections.command(
                f"INSERT INTO {log.settings.database}.actors (tenant_id, actor_id, name, email, kafka_offset) "
                f"VALUES ('{tenant}', '{actor}', '{actor}', 'mail', 1)"
            )
        connections.close()
        yield opened


ATTEMPTS = [
    *(e.path.format_map(defaultdict(lambda: FOREIGN, event_id=SHARED_ID, name="tenant")) for e in ENDPOINTS),
    f"/api/v1/events?tenant={FOREIGN}",
    f"/api/v1/events?tenant_id={FOREIGN}&account={FOREIGN}",
    f"/api/v1/events?tenant={FOREIGN}&tenant=acme",
    f"/api/v1/events?any=true&tenant={FOREIGN}&tenant=acme&outcome=success",
    "/api/v1/events?not=tenant:acme",
    "/api/v1/events?q=-tenant:acme",
    f"/api/v1/events?q=()%20OR%20tenant:{FOREIGN}",
    f"/api/v1/events?q=)%20OR%20(tenant:{FOREIGN}",
    "/api/v1/events?sort=object&order=asc&limit=1",
    "/api/v1/events?tenant=acme%27%20OR%201=1%20--",
    "/api/v1/tasks?not=tenant:acme",
    f"/api/v1/tasks?tenant={FOREIGN}",
    f"/api/v1/facets/tenant?any=true&tenant={FOREIGN}&q=-()",
    "/api/v1/facets/object",
    f"/api/v1/histogram?tenant={FOREIGN}",
    "/api/v1/tail?start=oldest&wait_s=0",
    "/api/v1/tail?start=oldest&wait_s=0&q=-tenant:acme",
    f"/api/v1/dead-letters?tenant={FOREIGN}",
    "/api/v1/dead-letters?tenant=",
    f"/api/v1/actors/acme/{FOREIGN}",
    f"/api/v1/actors/{FOREIGN}/u-1",
]


@pytest.mark.parametrize("role", ["auditor", "administrator", "exporter", "erasure_officer"])
def test_no_path_parameter_or_expression_leads_out_of_the_tenant(api: Api, role: str) -> None:
    secret = api.secret(role, Scope(("acme",)))

    async def ask() -> list[tuple[str, str]]:
        async with api.client() as client:
            client.headers["Authorization"] = f"Bearer {secret}"
            return [(path, (await client.get(path)).text) for path in ATTEMPTS]

    told = [path for path, text in asyncio.run(ask()) if _tells(text)]
    assert told == []


def _tells(text: str) -> bool:
    # A problem and a link repeat what was asked; what must not come back are rows.
    body = json.loads(text)
    rows = {name: value for name, value in body.items() if name in ("data", "actor")}
    return FOREIGN in json.dumps(rows)


def test_the_attempts_would_succeed_without_the_scope(api: Api) -> None:
    secret = api.secret("administrator")
    assert _tells(api.get("/api/v1/events", secret).text)
    assert _tells(api.get(f"/api/v1/actors/{FOREIGN}/{FOREIGN}", secret).text)
    assert api.get("/api/v1/dead-letters", secret).json()["data"]
    assert {r["tenant_id"] for r in api.get("/api/v1/tasks", secret).json()["data"]} == {"acme", FOREIGN}


def test_a_forged_cursor_and_a_forged_position_open_nothing_more(api: Api) -> None:
    everything, mine = api.secret("auditor"), api.secret("auditor", Scope(("acme",)))
    cursor = api.get("/api/v1/events", everything, limit=1).json()["next_cursor"]
    assert api.get("/api/v1/events", mine, limit=1, cursor=cursor).json()["title"] == "The cursor does not fit"
    position = api.get("/api/v1/tail", everything, start="oldest", wait_s=0, limit=1).json()["position"]
    rows = api.get("/api/v1/tail", mine, position=position, wait_s=0).json()["data"]
    assert {r["tenant_id"] for r in rows} == {"acme"}
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).replace(b"17", b"99", 1)
    forged = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert api.get("/api/v1/events", everything, limit=1, cursor=forged).status_code == 400


def test_an_event_id_shared_by_two_tenants_shows_the_own_one_only(api: Api) -> None:
    for scope in (Scope(("acme",)), Scope(("acme", "nobody"))):
        found = api.get(f"/api/v1/events/{SHARED_ID}", api.secret("auditor", scope)).json()
        assert {d["event"]["tenant_id"] for d in found["data"]} == {"acme"}
        assert found["deliveries"] == 2


def test_the_reader_of_own_events_sees_what_the_actor_did_and_no_card_of_others(api: Api) -> None:
    secret = api.secret("own_events", Scope(("acme",), actor_id="u-1"))
    assert {r["actor_id"] for r in api.get("/api/v1/events", secret).json()["data"]} == {"u-1"}
    assert api.get(f"/api/v1/events/{UUID(int=5)}", secret).status_code == 404
    assert api.get("/api/v1/actors/acme/u-1", secret).status_code == 200
    assert api.get("/api/v1/actors/acme/u-3", secret).status_code == 404
    own = api.get("/api/v1/events", secret).json()["data"][0]
    assert own["ip"] == "203.0.113.7"


def test_a_scope_narrows_by_project_and_by_kind(api: Api) -> None:
    def places(scope: Scope) -> set[tuple[str, str]]:
        rows = api.get("/api/v1/events", api.secret("auditor", scope)).json()["data"]
        return {(r["project_id"], r["record_kind"]) for r in rows}

    assert places(Scope(("acme",), ("p2",))) == {("p2", "action")}
    assert places(Scope(("acme",), record_kinds=("task",))) == {("p1", "task")}
    assert api.get("/api/v1/actors/acme/u-1", api.secret("auditor", Scope(("acme",), ("p2",)))).status_code == 404
    assert api.get("/api/v1/dead-letters", api.secret("administrator", Scope(("acme",), ("p2",)))).status_code == 403


def test_personal_fields_and_bodies_are_masked_unless_the_role_shows_them(api: Api) -> None:
    def seen(role: str) -> tuple[Any, ...]:
        found = api.get(f"/api/v1/events/{SHARED_ID}", api.secret(role, Scope(("acme",)))).json()["data"][0]
        names = ("actor_name", "ip", "user_agent", "target_name", "actor_id")
        return (*(found["event"][n] for n in names), found["payload"]["api_request_body"], found["actor"]["email"])

    hidden = ("[masked]",) * 4
    assert seen("exporter") == (*hidden, "u-1", "[masked]", "[masked]")
    assert seen("erasure_officer") == ("Ann", "203.0.113.7", "curl", "Victim", "u-1", "[masked]", "mail")
    assert seen("auditor") == ("Ann", "203.0.113.7", "curl", "Victim", "u-1", "body 0", "mail")


def test_masked_names_do_not_come_back_in_titles_tails_or_states(api: Api) -> None:
    secret = api.secret("exporter", Scope(("acme",)))
    for path in (
        "/api/v1/events",
        "/api/v1/tasks",
        "/api/v1/tail?start=oldest&wait_s=0",
        f"/api/v1/events/{SHARED_ID}",
    ):
        text = api.ask("GET", path, secret).text
        assert "Ann" not in text
        assert "Victim" not in text
        assert "203.0.113.7" not in text
    title = api.get("/api/v1/events", secret, fields="title", actor_id="u-1", kind="action").json()["data"][0]["title"]
    assert title.startswith("u-1 ")


def test_a_masked_reader_is_refused_what_would_unmask(api: Api) -> None:
    secret = api.secret("exporter", Scope(("acme",)))
    for parameters in ({"actor": "ann"}, {"ip": "203.0.113.7"}, {"q": "Ann"}, {"sort": "user"}, {"not": "email:a"}):
        refused = api.get("/api/v1/events", secret, **parameters)
        assert (refused.status_code, refused.json()["right"]) == (403, "personal"), parameters
    assert api.get("/api/v1/facets/ip", secret).status_code == 403
    assert api.get("/api/v1/count", secret, object_id="u-9").json()["events"] == 0


@pytest.mark.parametrize("path", [e.path for e in ENDPOINTS if e.method == "GET"] + ["/api/v1/tail"])
def test_nothing_is_answered_without_a_token(api: Api, path: str) -> None:
    path = path.format_map(defaultdict(lambda: "b", event_id=SHARED_ID, name="tenant"))
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer tok"}):
        refused = api.ask("GET", path, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="auditstream"')


def test_a_token_ends_with_its_revocation_and_with_its_expiry(api: Api) -> None:
    token, secret = api.tokens.create("short", "auditor", Scope())
    assert api.get("/api/v1/me", secret).status_code == 200
    api.tokens.revoke(token.token_id)
    assert api.get("/api/v1/me", secret).json()["detail"] == "the token is revoked"
    assert api.tokens.revoke(token.token_id).revoked_at is not None
    past = datetime.now(UTC) - timedelta(seconds=1)
    _, expired = api.tokens.create("over", "auditor", Scope(), expires_at=past)
    assert api.get("/api/v1/me", expired).json()["detail"] == "the token is expired"
    with pytest.raises(TokenUnknown):
        api.tokens.revoke("tok_nothere")


def test_only_the_hash_of_a_secret_is_stored_and_its_use_is_noted(api: Api) -> None:
    token, secret = api.tokens.create("kept", "auditor", Scope(("acme",), ("p",), ("x",), ("task",)))
    assert api.get("/api/v1/me", secret).status_code == 200
    connections = Connections(api.log.settings)
    columns = "hex(sha256) AS digest, toString(tuple(* EXCEPT sha256)) AS text"
    rows = connections.rows(f"SELECT {columns} FROM {api.log.settings.database}.api_tokens")
    connections.close()
    assert all(secret not in r["text"] and secret.removeprefix(token.token_id) not in r["text"] for r in rows)
    assert hashlib.sha256(secret.encode()).hexdigest().upper() in {r["digest"] for r in rows}
    kept = next(t for t in api.tokens.tokens() if t.token_id == token.token_id)
    assert kept == token
    assert kept.last_used_at
    assert kept.last_used_at > token.created_at - timedelta(seconds=1)


def test_a_secret_of_ones_own_is_taken_once(api: Api) -> None:
    secret = "a-secret-that-clients-have-already"
    api.tokens.create("old clients", "auditor", Scope(("acme",)), secret=secret)
    assert api.get("/api/v1/me", secret).json()["name"] == "old clients"
    with pytest.raises(TokenInvalid, match="in use"):
        api.tokens.create("again", "auditor", Scope(), secret=secret)


def test_a_token_is_looked_up_and_its_use_written_only_so_often(api: Api) -> None:
    token, secret = api.tokens.create("busy", "auditor", Scope())
    now = [0.0]
    verifier = TokenVerifier(api.tokens, cache_s=5, last_use_s=60, clock=lambda: now[0])
    assert verifier.verify(secret) == token
    api.tokens.revoke(token.token_id)
    now[0] = 4.9
    assert verifier.verify(secret) == token
    assert _last_use(api, token.token_id) is None
    now[0] = 5.0
    with pytest.raises(Exception, match="revoked"):
        verifier.verify(secret)
    verifier.write_uses()
    assert _last_use(api, token.token_id) is not None


def _last_use(api: Api, token_id: str) -> datetime | None:
    return next(t.last_used_at for t in api.tokens.tokens() if t.token_id == token_id)


def test_reads_are_recorded_with_names_of_filters_and_never_with_their_values(api: Api) -> None:
    secret = api.secret("auditor", Scope(("acme",)))
    api.records.reads.clear()
    purpose = {"X-Audit-Purpose": "complaint", "X-Audit-Ticket": "T-7", "X-Request-ID": "r-1"}
    api.get("/api/v1/events", secret, purpose, q="user:probe since:2026-01-01", ip="10.9.8.7")
    api.get(f"/api/v1/events/{SHARED_ID}", secret)
    api.get("/api/v1/catalogue", secret)
    searched, viewed = api.records.reads
    assert searched.filter_fields == ("actor", "ip", "since")
    assert (searched.window, searched.rows, searched.resource) == (">= 2026-01-01T00:00:00Z", 0, "/api/v1/events")
    caller = searched.caller
    assert (caller.purpose, caller.ticket, caller.request_id) == ("complaint", "T-7", "r-1")
    assert "probe" not in repr(searched)
    assert "10.9.8.7" not in repr(searched)
    assert (viewed.code, viewed.target_id, viewed.rows) == ("access.view", str(SHARED_ID), 2)


def test_refused_reads_and_failed_sign_ins_are_recorded(api: Api) -> None:
    api.records.reads.clear()
    api.records.failures.clear()
    api.get("/api/v1/batches", api.secret("auditor"))
    api.get("/api/v1/me", "tok_aaaaaaaaaa_guess")
    api.ask("GET", "/api/v1/me")
    (denied,) = api.records.reads
    assert (denied.code, "ledger" in denied.reason) == ("access.denied", True)
    ((caller, reason, token_id),) = api.records.failures
    assert (reason, token_id, caller.ip) == ("unknown", "tok_aaaaaaaaaa", "127.0.0.1")


def test_polls_that_show_only_records_of_tails_are_not_recorded_again(api: Api) -> None:
    secret = api.secret("auditor", Scope(("acme",)))
    position = api.get("/api/v1/tail", secret, wait_s=0).json()["position"]
    api.records.reads.clear()
    tail_record = {"tenant_id": "acme", "record_kind": "access", "event_code": "access.tail"}
    api.log.store([tail_record], partition=7)
    first = api.get("/api/v1/tail", secret, position=position, fields="record_kind", wait_s=0).json()
    assert first["data"] == [{"record_kind": "access"}]
    assert api.records.reads == []
    api.log.store([{**tail_record, "event_code": "access.search"}], partition=7)
    api.get("/api/v1/tail", secret, position=first["position"], wait_s=0)
    assert [(r.code, r.rows) for r in api.records.reads] == [("access.tail", 1)]
