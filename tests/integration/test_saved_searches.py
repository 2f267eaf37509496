"""Saved searches on the real engine: kept, shared, changed, deleted, within the rights of who asks, each on the record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api_log import Api, open_api
from infrastructure.clickhouse import fresh_database
from query.access import Scope
from query.saved import Draft, SearchStore
from query_log import at, open_log
from schemas.catalogue import Catalogue
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

PATH = "/api/v1/searches"


@pytest.fixture(scope="module")
def api(chdb_path: Path) -> Iterator[Api]:
    settings = fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))
    with open_log(settings) as log, open_api(log) as opened:
        times = [at("2026-06-01T10:00:00"), at("2026-06-02T10:00:00")]
        log.store(
            [{"tenant_id": "acme", "occurred_at": t, "outcome": o} for t in times for o in ("success", "failure")]
        )
        yield opened


@pytest.fixture
def secret(api: Api) -> str:
    return api.secret("auditor", Scope(("acme",)))


def saved(api: Api, secret: str, **body: Any) -> dict[str, Any]:
    answer = api.post(PATH, secret, {"name": "Failures", **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(api: Api, secret: str) -> list[str]:
    """Return the names of the own searches; other tests share theirs."""
    return [search["name"] for search in api.get(PATH, secret).json()["data"] if search["mine"]]


def test_a_search_is_kept_as_it_was_written_and_asks_the_same_again(api: Api, secret: str) -> None:
    asked = {"query": "outcome:failure  until:2026-06-02", "tz": "Europe/Berlin", "sort": "time", "order": "asc"}
    search = saved(api, secret, **asked, columns=["event_id", "outcome"])
    assert {name: search[name] for name in asked} == asked
    assert (search["mine"], search["shared"], search["problem"], search["version"]) == (True, False, None, 1)
    assert api.get(search["links"]["self"], secret).json() == search
    rows = api.ask("GET", search["links"]["events"], secret).json()["data"]
    same = {**asked, "fields": search["columns"]}
    assert rows == api.post("/api/v1/events/search", secret, same).json()["data"]
    assert [set(row) for row in rows] == [{"event_id", "outcome"}]


def test_other_forms_of_the_question_are_kept_as_text(api: Api, secret: str) -> None:
    body = {
        "query": {"any": [{"action": ["a", "b"]}, {"ip": "10.0.0.0/8"}]},
        "filters": {"since": "7d"},
        "not": "country:DE",
    }
    search = saved(api, secret, **body)
    both = [
        api.post("/api/v1/events/search", secret, asked).status_code for asked in (body, {"query": search["query"]})
    ]
    assert both == [200, 200]
    assert "since:7d" in search["query"]
    assert "-country:DE" in search["query"]


def test_changing_replaces_everything_and_raises_the_version(api: Api, secret: str) -> None:
    search = saved(api, secret, query="outcome:failure", columns=["ip"])
    answer = api.ask("PUT", search["links"]["self"], secret, json={"name": " Denied  ones ", "query": "outcome:denied"})
    changed = answer.json()
    assert (changed["id"], changed["name"], changed["query"]) == (search["id"], "Denied ones", "outcome:denied")
    assert (changed["columns"], changed["version"], changed["created_at"]) == ([], 2, search["created_at"])
    assert names(api, secret) == ["Denied ones"]


def test_a_deleted_search_is_gone_and_its_name_is_free_again(api: Api, secret: str) -> None:
    search = saved(api, secret)
    assert api.ask("DELETE", search["links"]["self"], secret).json()["name"] == "Failures"
    for method in ("GET", "DELETE"):
        assert api.ask(method, search["links"]["self"], secret).status_code == 404
    assert names(api, secret) == []
    assert saved(api, secret)["id"] != search["id"]


def test_a_name_is_taken_once_for_each_owner_whatever_its_case(api: Api, secret: str) -> None:
    saved(api, secret)
    other = saved(api, secret, name="Others")
    refused = [
        api.post(PATH, secret, {"name": "failures "}),
        api.ask("PUT", other["links"]["self"], secret, json={"name": "FAILURES"}),
    ]
    assert {(r.status_code, r.json()["pointer"]) for r in refused} == {(409, "/name")}
    assert 'you have a search "Failures" already' in refused[0].json()["detail"]
    assert api.ask("PUT", other["links"]["self"], secret, json={"name": "others"}).status_code == 200
    assert saved(api, api.secret("auditor", Scope(("acme",))))["name"] == "Failures"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": " "}, "/name"),
        ({"name": "x" * 121}, "/name"),
        ({"name": "a\u202eb"}, "/name"),
        ({"name": "a", "query": "acton:x"}, "/query"),
        ({"name": "a", "tz": "Mars"}, "/tz"),
        ({"name": "a", "limit": 5}, "/limit"),
        ({"name": "a", "shared": "yes"}, "/shared"),
        ({"name": "a", "columns": [""]}, "/columns"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(
    api: Api, secret: str, body: dict[str, Any], pointer: str
) -> None:
    answer = api.post(PATH, secret, body)
    assert (answer.status_code, answer.json()["pointer"]) == (400, pointer)
    assert names(api, secret) == []


def test_who_sees_a_search_that_is_shared(api: Api, secret: str) -> None:
    private, shared = saved(api, secret), saved(api, secret, name="Shared", shared=True)
    everything, here = Scope(), Scope(("acme", "globex"))
    readers = {
        "the same tenant": ("auditor", Scope(("acme",))),
        "more tenants": ("auditor", here),
        "all tenants": ("administrator", everything),
        "another tenant": ("auditor", Scope(("globex",))),
        "one project": ("auditor", Scope(("acme",), projects=("p",))),
        "own events": ("own_events", Scope(("acme",), actor_id="u-1")),
        "masked": ("exporter", Scope(("acme",))),
    }
    seen = {}
    for name, (role, scope) in readers.items():
        other = api.secret(role, scope)
        ids = {search["id"] for search in api.get(PATH, other).json()["data"]}
        assert private["id"] not in ids
        assert api.get(private["links"]["self"], other).status_code == 404
        seen[name] = shared["id"] in ids
        assert api.get(shared["links"]["self"], other).status_code == (200 if seen[name] else 404)
    assert [name for name, sees in seen.items() if sees] == ["the same tenant", "more tenants", "all tenants"]
    of_all = saved(api, api.secret("auditor"), name="Of all tenants", shared=True)
    assert api.get(of_all["links"]["self"], secret).status_code == 404


def test_only_its_owner_changes_a_search_and_administrators_delete_what_is_shared(api: Api, secret: str) -> None:
    shared = saved(api, secret, shared=True)["links"]["self"]
    reader, administrator = api.secret("auditor", Scope(("acme",))), api.secret("administrator")
    for other in (reader, administrator):
        assert api.ask("PUT", shared, other, json={"name": "Mine"}).status_code == 403
    assert api.ask("DELETE", shared, reader).status_code == 403
    assert api.ask("DELETE", shared, administrator).status_code == 200
    assert names(api, secret) == []


def test_every_change_is_recorded_with_what_was_changed(api: Api, secret: str) -> None:
    before = len(api.records.changes)
    search = saved(api, secret, query="outcome:failure")
    api.ask(
        "PUT", search["links"]["self"], secret, json={"name": "Failures", "query": "outcome:denied", "shared": True}
    )
    api.ask("DELETE", search["links"]["self"], secret)
    made, changed, deleted = api.records.changes[before:]
    assert [c.code for c in (made, changed, deleted)] == [
        "access.search_save",
        "access.search_change",
        "access.search_delete",
    ]
    assert {(c.target_type, c.target_id, c.target_name) for c in (made, changed, deleted)} == {
        ("saved_search", search["id"], "Failures")
    }
    assert made.values["query"] == (None, "outcome:failure")
    assert changed.values == {"query": ("outcome:failure", "outcome:denied"), "shared": (False, True)}
    assert deleted.values["query"] == ("outcome:denied", None)
    assert {c.code for c in (made, changed, deleted)} <= {entry.code for entry in Catalogue.load()}


def test_a_text_that_is_not_understood_any_more_is_kept_and_says_so(api: Api, secret: str) -> None:
    search = saved(api, secret, query="outcome:failure")
    connections = Connections(api.log.settings)
    store = SearchStore(connections)
    kept = store.find(search["id"])
    assert kept is not None
    store.write(replace(kept, draft=Draft("Failures", "outcome:failure oldname:x"), version=2))
    connections.close()
    found = api.get(search["links"]["self"], secret).json()
    assert found["query"] == "outcome:failure oldname:x"
    assert (found["problem"]["term"], found["problem"]["position"]) == ("oldname:x", 16)
    mended = api.ask("PUT", search["links"]["self"], secret, json={"name": "Failures", "query": "outcome:failure"})
    assert mended.json()["problem"] is None


def test_every_answer_has_the_form_that_the_document_gives_it(api: Api, secret: str) -> None:
    document = api.ask("GET", "/api/openapi.json").json()
    body = {"name": "Form", "query": "outcome:failure"}
    made = api.post(PATH, secret, body)
    own = made.json()["links"]["self"]
    answers = [
        (PATH, "post", made),
        (PATH, "get", api.get(PATH, secret)),
        (f"{PATH}/{{search_id}}", "get", api.get(own, secret)),
        (f"{PATH}/{{search_id}}", "put", api.ask("PUT", own, secret, json=body)),
        (PATH, "post", api.post(PATH, secret, body)),
        (f"{PATH}/{{search_id}}", "delete", api.ask("DELETE", own, secret)),
    ]
    for path, method, answer in answers:
        described = document["paths"][path][method]["responses"][str(answer.status_code)]["content"]
        schema = {**described[answer.headers["content-type"]]["schema"], "components": document["components"]}
        jsonschema_rs.validator_for(schema).validate(answer.json())
