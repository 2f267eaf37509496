"""The HTTP API over the real engine: what its endpoints answer, and how they refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api_log import Api, open_api
from infrastructure.clickhouse import fresh_database
from query.access import Scope
from query.settings import HttpSettings
from query_log import Log, address, at, open_log
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

EVENT_ID = UUID("01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e")
ANN = {
    "event_id": EVENT_ID.bytes,
    "occurred_at": at("2026-06-01T10:00:00.123456"),
    "tenant_id": "acme",
    "record_kind": "action",
    "actor_id": "u-1",
    "actor_name": "Ann",
    "actor_login": "ann@x.com",
    "target_type": "campaign",
    "target_id": "7",
    "target_name": "Winter",
    "ip": address("203.0.113.7"),
    "outcome": "failure",
}
BOB = {**ANN, "event_id": UUID(int=77).bytes, "actor_id": "u-2", "actor_name": "Bob", "outcome": "success"}
RUN = {"tenant_id": "acme", "record_kind": "run_log", "run_object_type": "campaign", "run_object_id": "7"}


def state(task_id: str, sequence: int, status: str) -> dict[str, Any]:
    task = {"task_id": task_id, "task_state_seq": sequence, "task_status": status, "task_type": "vouchers.import"}
    return {"tenant_id": "acme", "record_kind": "task", "event_code": "task.vouchers.import", **task}


@pytest.fixture(scope="module")
def api(chdb_path: Path) -> Iterator[Api]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as log, open_api(log) as opened:
        tasks = [state("t-1", 1, "enqueued"), state("t-1", 2, "failed"), state("t-2", 1, "done")]
        log.store([ANN, {**ANN, "tenant_id": "acme"}, BOB, RUN, *tasks], payloads=[0], dead=[])
        log.store([{"tenant_id": "globex"}, {}], partition=1, dead=[1])
        insert_card(log)
        yield opened


@pytest.fixture(scope="module")
def auditor(api: Api) -> str:
    return api.secret("auditor", Scope(("acme",)))


@pytest.fixture(scope="module")
def administrator(api: Api) -> str:
    return api.secret("administrator")


def insert_card(log: Log) -> None:
    connections = Connections(log.settings)
    connections.command(
        f"INSERT INTO {log.settings.database}.actors (tenant_id, actor_id, name, email, status, kafka_offset) "
        "VALUES ('acme', 'u-1', 'Ann now', 'ann@x.com', 'deactivated', 1)"
    )
    connections.close()


def test_events_come_page_by_page_with_links_that_lead_on(api: Api, auditor: str) -> None:
    answer = api.get("/api/v1/events", auditor, limit=3, fields="kafka_offset,title", kind="action", total="true")
    page = answer.json()
    assert (page["total"], page["total_is_exact"]) == (2, True)
    assert page["data"][0]["title"].endswith("activated campaign Winter")
    answer = api.get("/api/v1/events", auditor, limit=1, fields="kafka_offset,deliveries", q="kind:action")
    assert answer.headers["link"] == f'<{answer.json()["links"]["next"]}>; rel="next"'
    following = api.ask("GET", answer.json()["links"]["next"], auditor).json()
    rows = [(row["kafka_offset"], row["deliveries"]) for row in (*answer.json()["data"], *following["data"])]
    assert sorted(rows) == [(0, 2), (2, 1)]
    assert following["next_cursor"] is None
    assert "next" not in following["links"]


def test_the_same_question_has_the_same_answer_as_text_as_parameters_and_as_json(api: Api, auditor: str) -> None:
    asked = {"fields": "kafka_offset", "order": "asc"}
    text = api.get("/api/v1/events", auditor, q="actor:ann -outcome:success ip:203.0.113.0/24", **asked)
    single = api.get("/api/v1/events", auditor, actor="ann", ip="203.0.113.0/24", **asked, **{"not": "outcome:success"})
    tree = {"all": [{"actor": "ann"}, {"not": {"outcome": ["success"]}}, {"ip": "203.0.113.0/24"}]}
    body = api.post("/api/v1/events/search", auditor, {"query": tree, "fields": ["kafka_offset"], "order": "asc"})
    rows = text.json()["data"]
    assert rows == [{"kafka_offset": 0}]
    assert single.json()["data"] == rows
    assert body.json()["data"] == rows


def test_filters_are_alternatives_on_demand_but_never_the_period(api: Api, auditor: str) -> None:
    def count(**parameters: Any) -> int:
        return int(api.get("/api/v1/count", auditor, **parameters).json()["events"])

    assert count(actor="Bob", outcome="failure") == 0
    assert count(actor="Bob", outcome="failure", any="true") == 2
    assert count(actor=["Bob", "Ann"]) == 2
    assert count(actor="Bob", outcome="failure", any="true", until="1990-01-01") == 0
    body = {"filters": {"actor": ["Bob"], "outcome": "failure"}, "any": True, "total": True, "limit": 1}
    assert api.post("/api/v1/events/search", auditor, body).json()["total"] == 2


def test_a_mistake_is_answered_with_the_term_its_place_and_what_was_meant(api: Api, auditor: str) -> None:
    problem = api.get("/api/v1/events", auditor, q="tenant:acme acton:login").json()
    assert problem["type"] == "urn:auditstream:problem:invalid-filter"
    told = {name: problem[name] for name in ("status", "parameter", "position", "term", "suggestion")}
    assert told == {
        "status": 400,
        "parameter": "q",
        "position": 12,
        "term": "acton:login",
        "suggestion": "action",
    }
    problem = api.get("/api/v1/events", auditor, ip="10.0.0.300").json()
    assert (problem["parameter"], problem["term"]) == ("ip", "ip:10.0.0.300")
    body = {"query": {"any": [{"actor": "x"}, {"not": {"outcome": ["success", "sucess"]}}]}}
    problem = api.post("/api/v1/events/search", auditor, body).json()
    assert (problem["pointer"], problem["suggestion"]) == ("/query/any/1/not/outcome/1", "success")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"lmit": "1"}, "lmit"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "\u0661"}, "limit"),
        ({"limit": ["1", "2"]}, "limit"),
        ({"sort": "date"}, "sort"),
        ({"order": "up"}, "order"),
        ({"any": "yes"}, "any"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"fields": "actor_nam"}, "fields"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"since": "soon"}, "since"),
        ({"q": "(actor:a"}, "q"),
        ({"not": "-"}, "not"),
        ({"q": "a " * 300}, "q"),
    ],
)
def test_a_parameter_that_is_not_understood_is_named(
    api: Api, auditor: str, parameters: dict[str, Any], named: str
) -> None:
    answer = api.get("/api/v1/events", auditor, **parameters)
    assert (answer.status_code, answer.json()["parameter"]) == (400, named)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"quary": "x"}, "/quary"),
        ({"limit": True}, "/limit"),
        ({"limit": 100000}, "/limit"),
        ({"fields": ["nope"]}, "/fields"),
        ({"fields": [1]}, "/fields"),
        ({"cursor": "x"}, "/cursor"),
        ({"not": 3}, "/not"),
        ({"not": ["a", "("]}, "/not/1"),
        ({"query": {"a": "b", "c": "d"}}, "/query"),
        ({"query": {"all": {}}}, "/query/all"),
        ({"query": {"actor": 7}}, "/query/actor"),
        ({"query": {"actor": []}}, "/query/actor"),
        ({"filters": {"a/b~c": "x"}}, "/filters/a~1b~0c"),
        ({"filters": []}, "/filters"),
        ({"filters": {"actor": ["x"] * 201}}, "/filters/actor/200"),
        ({"tz": "Nowhere"}, "/tz"),
        ({"any": "true"}, "/any"),
    ],
)
def test_a_member_of_a_body_that_is_not_understood_is_pointed_at(
    api: Api, auditor: str, body: dict[str, Any], pointer: str
) -> None:
    answer = api.post("/api/v1/events/search", auditor, body)
    assert (answer.status_code, answer.json()["pointer"]) == (400, pointer)


def test_a_question_with_too_many_terms_is_refused_in_every_form(api: Api, auditor: str) -> None:
    assert api.get("/api/v1/count", auditor, actor=[str(n) for n in range(100)], login=["x"] * 101).status_code == 400
    body = {"query": "actor:" + ",".join("x" * 150), "filters": {"actor": ["x"] * 60}}
    assert api.post("/api/v1/events/search", auditor, body).status_code == 400
    assert api.get("/api/v1/count", auditor, actor=[str(n) for n in range(200)]).json()["events"] == 0


def test_a_body_nested_without_end_is_refused(api: Api, auditor: str) -> None:
    deep: dict[str, Any] = {"actor": "x"}
    for _ in range(40):
        deep = {"not": deep}
    assert api.post("/api/v1/events/search", auditor, {"query": deep}).status_code == 400
    text = '{"query":' + '{"not":' * 5000 + "1" + "}" * 5001
    sent = api.ask("POST", "/api/v1/events/search", auditor, content=text, headers={"Content-Type": "application/json"})
    assert sent.status_code == 400


def test_bodies_that_are_large_or_of_another_form_are_refused(api: Api, auditor: str) -> None:
    path, kind = "/api/v1/events/search", {"Content-Type": "application/json"}
    large = api.ask("POST", path, auditor, content=b'{"query":"' + b"x" * (1 << 20) + b'"}', headers=kind)
    assert large.status_code == 413
    form = api.ask("POST", path, auditor, data={"query": "x"})
    assert form.status_code == 415
    broken = api.ask("POST", path, auditor, content=b'{"query":', headers=kind)
    assert (broken.status_code, broken.json()["position"]) == (400, 9)
    assert api.ask("POST", path, auditor, content=b"[]", headers=kind).status_code == 400


def test_one_event_comes_whole_with_its_bodies_the_card_of_its_actor_and_its_deliveries(api: Api, auditor: str) -> None:
    found = api.get(f"/api/v1/events/{EVENT_ID}", auditor).json()
    assert (found["deliveries"], found["conflict"]) == (2, False)
    first = found["data"][0]
    assert first["event"]["occurred_at"] == "2026-06-01T10:00:00.123456Z"
    assert first["event"]["ip"] == "203.0.113.7"
    assert first["payload"]["api_request_body"] == "body 0"
    assert (first["event"]["actor_name"], first["actor"]["name"]) == ("Ann", "Ann now")
    assert first["notice"] == "the actor is no longer part of the organisation"
    assert "title" not in first["event"]


def test_what_is_not_there_and_what_is_no_id_are_told_apart(api: Api, auditor: str) -> None:
    assert api.get(f"/api/v1/events/{UUID(int=1 << 90)}", auditor).status_code == 404
    assert api.get("/api/v1/events/none", auditor).status_code == 400
    assert api.get("/api/v1/actors/acme/nobody", auditor).status_code == 404
    assert api.get("/api/v1/facets/nothing", auditor).status_code == 404
    missing = api.get("/api/v1/nothing", auditor)
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_tasks_are_shown_in_their_latest_state(api: Api, auditor: str) -> None:
    rows = api.get("/api/v1/tasks", auditor, fields="task_id,task_status", sort="object").json()["data"]
    assert sorted((r["task_id"], r["task_status"]) for r in rows) == [("t-1", "failed"), ("t-2", "done")]
    assert api.get("/api/v1/tasks", auditor, task_status="enqueued").json()["data"] == []
    assert api.get("/api/v1/exports", auditor).json()["data"] == []
    assert api.get("/api/v1/webhooks", auditor).json()["data"] == []


def test_runs_are_entries_of_runs_only(api: Api, auditor: str) -> None:
    found = api.get("/api/v1/runs", auditor, fields="record_kind,run_object_id", total="1", any="true", actor="Ann")
    assert (found.json()["data"], found.json()["total"]) == ([], 0)
    found = api.get("/api/v1/runs", auditor, fields="record_kind,run_object_id")
    assert found.json()["data"] == [{"record_kind": "run_log", "run_object_id": "7"}]


def test_figures_count_what_the_scope_holds(api: Api, auditor: str) -> None:
    assert api.get("/api/v1/count", auditor).json() == {"events": 6, "is_exact": True}
    facet = api.get("/api/v1/facets/actor", auditor, kind="action", top=1).json()["data"]
    assert facet == [{"value": "u-1", "events": 1, "is_exact": True}]
    hours = api.get("/api/v1/histogram", auditor, interval="hour", kind="action", tz="Europe/Berlin").json()
    assert hours["data"] == [{"start": "2026-06-01T12:00:00+02:00", "events": 2, "is_exact": True}]


def test_the_card_of_an_actor_says_when_the_actor_has_left(api: Api, auditor: str) -> None:
    found = api.get("/api/v1/actors/acme/u-1", auditor).json()
    assert (found["actor"]["name"], found["notice"]) == ("Ann now", "the actor is no longer part of the organisation")


def test_dead_letters_and_batches_are_for_administrators_of_the_log(api: Api, auditor: str, administrator: str) -> None:
    letters = api.get("/api/v1/dead-letters", administrator, partition=1, stage="decode").json()["data"]
    assert [(r["kafka_offset"], r["reason_code"], r["raw"]) for r in letters] == [(1, "too_short", "AP8=")]
    assert api.get("/api/v1/dead-letters", administrator, stage="insert").json()["data"] == []
    batches = api.get("/api/v1/batches", administrator, limit=1).json()
    following = api.ask("GET", batches["links"]["next"], administrator).json()
    assert [b["kafka_partition"] for b in (*batches["data"], *following["data"])] == [1, 0]
    for path in ("/api/v1/dead-letters", "/api/v1/batches"):
        refused = api.get(path, auditor)
        assert (refused.status_code, refused.json()["right"]) == (403, "ledger")


def test_the_catalogue_the_filters_and_the_token_itself_can_be_asked_for(api: Api, auditor: str) -> None:
    codes = {entry["code"] for entry in api.get("/api/v1/catalogue", auditor).json()["data"]}
    assert "campaign.activate" in codes
    filters = api.get("/api/v1/filters", auditor).json()
    assert {"actor", "ip", "webhook_sent_since"} <= {f["name"] for f in filters["data"]}
    assert "actor" in filters["facets"]
    me = api.get("/api/v1/me", auditor).json()
    assert (me["role"], me["scope"]["tenants"]) == ("auditor", ["acme"])


def test_a_poll_goes_on_where_the_one_before_ended(api: Api, auditor: str) -> None:
    first = api.get("/api/v1/tail", auditor, start="oldest", fields="kafka_offset", limit=3, wait_s=0).json()
    assert [r["kafka_offset"] for r in first["data"]] == [0, 1, 2]
    assert not first["caught_up"]
    second = api.get("/api/v1/tail", auditor, position=first["position"], fields="kafka_offset", wait_s=0).json()
    assert [r["kafka_offset"] for r in second["data"]] == [3, 4, 5, 6]
    third = api.get("/api/v1/tail", auditor, position=second["position"], wait_s=0).json()
    assert (third["data"], third["caught_up"]) == ([], True)
    assert api.get("/api/v1/tail", auditor, position="x", wait_s=0).json()["parameter"] == "position"
    assert api.get("/api/v1/tail", auditor, fields="x", wait_s=0).json()["parameter"] == "fields"


def test_a_stream_sends_what_arrives_with_positions_to_go_on_at(api: Api, auditor: str) -> None:
    headers = {"Accept": "text/event-stream"}
    stream = api.get("/api/v1/tail", auditor, headers, start="oldest", fields="kafka_offset", outcome="success")
    assert stream.headers["content-type"].startswith("text/event-stream")
    messages = [dict(line.split(": ", 1) for line in m.splitlines()) for m in stream.text.strip().split("\n\n")]
    rows = [row for m in messages if m["event"] == "events" for row in json.loads(m["data"])["data"]]
    assert rows == [{"kafka_offset": 2}]
    again = api.get("/api/v1/tail", auditor, {**headers, "Last-Event-ID": messages[-1]["id"]}, outcome="success")
    assert "event: events" not in again.text
    wrong = api.get("/api/v1/tail", auditor, headers, fields="nothing")
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "fields")


def test_only_so_many_streams_run_at_once(api: Api, auditor: str) -> None:
    api.service.tails += api.service.settings.tails
    try:
        refused = api.get("/api/v1/tail", auditor, {"Accept": "text/event-stream"})
    finally:
        api.service.tails -= api.service.settings.tails
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert api.service.tails == 0


def test_every_answer_carries_a_request_id_and_is_kept_by_nobody(api: Api, auditor: str) -> None:
    given = api.get("/api/v1/me", auditor, {"X-Request-ID": "order-66"})
    assert given.headers["x-request-id"] == "order-66"
    odd = api.get("/api/v1/nothing", auditor, {"X-Request-ID": "a b\x7f"})
    assert odd.headers["x-request-id"] == odd.json()["request_id"] != "a b\x7f"
    assert (odd.headers["cache-control"], odd.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_methods_that_an_endpoint_does_not_have_are_refused_with_those_it_has(api: Api, auditor: str) -> None:
    refused = api.ask("DELETE", "/api/v1/events", auditor)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    options = api.ask("OPTIONS", "/api/v1/events/search")
    assert (options.status_code, options.headers["allow"], options.content) == (204, "OPTIONS, POST", b"")
    head = api.ask("HEAD", "/api/v1/events", auditor)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == "application/json"


def test_large_answers_are_compressed_for_those_who_take_it(api: Api, auditor: str) -> None:
    packed = api.get("/api/v1/catalogue", auditor, {"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = api.get("/api/v1/catalogue", auditor, {"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_twenty_readers_at_once_get_their_own_answers(api: Api) -> None:
    secrets = [api.secret("auditor", Scope((tenant,))) for tenant in ("acme", "globex")]

    async def ask() -> list[list[str]]:
        async with api.client() as client:

            async def one(number: int) -> list[str]:
                headers = {"Authorization": f"Bearer {secrets[number % 2]}"}
                answer = await client.get("/api/v1/events?fields=tenant_id&limit=100", headers=headers)
                assert answer.status_code == 200, answer.text
                return sorted({row["tenant_id"] for row in answer.json()["data"]})

            return await asyncio.gather(*(one(number) for number in range(40)))

    assert asyncio.run(ask()) == [["acme"], ["globex"]] * 20


def test_a_database_that_is_away_is_told_as_an_outage_without_its_inner_words(api: Api, auditor: str) -> None:
    connections = Connections(api.log.settings)
    connections.command(f"RENAME TABLE {api.log.settings.database}.audit_events TO {api.log.settings.database}.gone")
    try:
        answer = api.get("/api/v1/events", auditor)
    finally:
        connections.command(
            f"RENAME TABLE {api.log.settings.database}.gone TO {api.log.settings.database}.audit_events"
        )
        connections.close()
    assert (answer.status_code, answer.json()["title"]) == (503, "The log cannot be read now")
    assert "gone" not in answer.text
    assert "audit_events" not in answer.text
    assert api.get("/api/v1/events", auditor).status_code == 200


def test_a_read_that_takes_too_long_is_given_up(api: Api) -> None:
    secret = api.secret("auditor")
    with open_api(api.log, HttpSettings(timeout_s=0.0001)) as hurried:
        answer = hurried.get("/api/v1/events", secret)
    assert (answer.status_code, answer.json()["title"]) == (504, "The answer took too long")
