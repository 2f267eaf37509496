"""The run-log call, as the page that it comes from has it: its examples byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_log import Api, open_api
from infrastructure.clickhouse import fresh_database
from query.access import Scope
from query.http.run_log_forms import BodyNotUnderstood, RunLogAnswer, read_request
from query.settings import HttpSettings
from query_log import at, open_log
from run_log_page import JSON_ANSWER, JSON_REQUEST, TOKEN, XML_ANSWER, XML_REQUEST
from sinks.settings import ClickHouseSettings

PATH = "/api/v1.1/campaigns/log_v2"


def entry(object_id: str, time: str, message: str, **values: Any) -> dict[str, Any]:
    run = {"run_object_type": "campaign", "run_object_id": object_id, "run_id": "run-1", "run_state": "none"}
    row = {"record_kind": "run_log", "event_code": "run.entry", "tenant_id": "acme", "severity": "INFO"}
    return {**row, **run, "occurred_at": at(time), "message": message, **values}


def run_of(object_id: str, steps: int, *, minute: str, end: str, spent: str, value: str) -> list[dict[str, Any]]:
    """A run of so many steps, and its last two entries."""
    entries = [entry(object_id, f"{minute}:00.{i:06}", f"step {i}", severity="DEBUG") for i in range(steps)]
    last = entry(object_id, end, "Campaign finished", run_state="end")
    return [*entries, last, entry(object_id, spent, "Total time spent", run_value=value)]


@pytest.fixture(scope="module")
def api(chdb_path: Path) -> Iterator[Api]:
    settings = fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))
    http = HttpSettings(run_logs={"campaigns": "campaign", "scenarios": "scenario"})
    with open_log(settings) as log, open_api(log, http) as opened:
        log.store(
            [
                *run_of(
                    "1",
                    138,
                    minute="2024-04-02T17:50",
                    end="2024-04-02T17:57:01.504321",
                    spent="2024-04-02T17:57:01.505999",
                    value="138.351985ms",
                ),
                *run_of(
                    "2",
                    7,
                    minute="2024-05-28T16:30",
                    end="2024-05-28T16:40:59.207",
                    spent="2024-05-28T16:40:59.208",
                    value="351.155547ms",
                ),
                entry("1", "2026-01-01T00:00:00", "another type", run_object_type="scenario"),
                entry("1", "2026-01-01T00:00:00", "another tenant", tenant_id="globex", run_object_id="3"),
                entry("4", "2026-01-01T00:00:00", 'odd <&> "x" \x00 \u202e', run_state="progress"),
                entry("5", "2026-01-01T00:00:00", "", event_code="run.start", run_state="start"),
            ]
        )
        opened.tokens.create("clients of the old call", "auditor", Scope(("acme",)), secret=TOKEN)
        yield opened


def ask(api: Api, body: str | dict[str, Any], path: str = PATH, **options: Any) -> httpx.Response:
    if isinstance(body, dict):
        return api.ask("POST", path, content=json.dumps({"token": TOKEN, **body}), **options)
    return api.ask("POST", path, content=body.encode(), **options)


def messages(api: Api, **members: Any) -> list[str]:
    return [e["message"] for e in ask(api, members).json()["data"]]


def test_the_example_request_in_json_has_the_example_answer(api: Api) -> None:
    answer = ask(api, JSON_REQUEST)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.text == JSON_ANSWER


def test_the_example_answer_in_xml_comes_with_its_quotes(api: Api) -> None:
    answer = ask(api, XML_REQUEST.replace("<id>1</id>", "<format>xml</format><id>2</id>"))
    assert answer.headers["content-type"].startswith("application/xml")
    assert answer.text == XML_ANSWER


def test_the_example_request_in_xml_is_understood_and_answered_in_json_unless_xml_is_asked_for(api: Api) -> None:
    assert ask(api, XML_REQUEST).text == JSON_ANSWER
    assert ask(api, XML_REQUEST, headers={"Accept": "application/xml"}).text.startswith("<xml>")
    assert ask(api, {"id": 1, "limit": 2, "format": "xml"}).text.startswith("<xml>")


def test_the_newest_are_shown_from_old_to_new_and_all_are_counted(api: Api) -> None:
    assert messages(api, id=1, limit=3) == ["step 137", "Campaign finished", "Total time spent"]
    whole = ask(api, {"id": 1}).json()
    assert len(whole["data"]) == whole["total_count"] == 140
    assert whole["data"][0]["message"] == "step 0"


def test_entries_from_a_time_on(api: Api) -> None:
    answer = ask(api, {"id": 1, "from_time": "2024-04-02T17:57:00.000Z"}).json()
    assert (len(answer["data"]), answer["total_count"]) == (2, 2)


def test_only_runs_of_the_object_type_of_the_path_are_read(api: Api) -> None:
    assert "another type" not in messages(api, id=1)
    assert [e["message"] for e in ask(api, {"id": 1}, "/api/v1.1/scenarios/log_v2").json()["data"]] == ["another type"]
    assert ask(api, {"id": 1}, "/api/v1.1/segments/log_v2").json()["error"] == 404


def test_an_entry_of_another_tenant_is_out_of_reach(api: Api) -> None:
    assert ask(api, {"id": 3}).json() == {
        "data": [],
        "error": 0,
        "error_text": "Successful operation",
        "total_count": 0,
    }


def test_texts_that_xml_cannot_hold_arrive_and_read_back(api: Api) -> None:
    text = ask(api, {"id": 4, "format": "xml"}).text
    assert '<message>"odd &lt;&amp;&gt; \\"x\\" \\u0000 \u202e"</message>' in text
    assert ask(api, {"id": 4}).json()["data"][0]["state"] == ""


def test_an_entry_without_a_text_has_the_title_of_its_code(api: Api) -> None:
    found = ask(api, {"id": 5}).json()["data"][0]
    assert found["message"]
    assert found["state"] == "start"


@pytest.mark.parametrize(
    ("members", "status", "text"),
    [
        ({"token": "wrong" * 8, "id": 1}, 401, "Invalid token"),
        ({"token": "", "id": 1}, 401, "token is missing"),
        ({"token": 7, "id": 1}, 401, "token is missing"),
        ({}, 400, "id is missing"),
        ({"id": True}, 400, "id must be a number or a text"),
        ({"id": [1]}, 400, "id must be a number or a text"),
        ({"id": 1, "limit": 0}, 400, "limit must be a whole number from 1 to 10000"),
        ({"id": 1, "limit": "many"}, 400, "limit must be a whole number from 1 to 10000"),
        ({"id": 1, "limit": 10001}, 400, "limit must be a whole number from 1 to 10000"),
        ({"id": 1, "from_time": "soon"}, 400, "from_time must be a time such as 2018-08-10T00:00:00.000Z"),
        ({"id": 1, "format": "csv"}, 400, "format must be json or xml"),
        ({"id": 1, "format": ["json"]}, 400, "format must be json or xml"),
        ({"id": 1, "\ud800": 1}, 400, "unknown parameter ?; expected token, format, from_time, id, limit"),
        ({"id": 1, "to_time": "now"}, 400, "unknown parameter to_time; expected token, format, from_time, id, limit"),
    ],
)
def test_every_refusal_has_the_members_of_an_answer(api: Api, members: dict[str, Any], status: int, text: str) -> None:
    answer = ask(api, members)
    assert answer.status_code == status
    assert answer.json() == {"data": [], "error": status, "error_text": text, "total_count": 0}


@pytest.mark.parametrize("body", ["", "[]", "nothing", "<a/>", "<xml><id>1</xml>", "<xml>", '{"id":', "\xff"])
def test_a_body_that_is_neither_form_is_refused(api: Api, body: str) -> None:
    answer = ask(api, body).json()
    assert (answer["error"], answer["data"]) == (400, [])


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE xml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xml><id>&b;</id></xml>',
        b'<!DOCTYPE xml SYSTEM "http://127.0.0.1/x"><xml><id>1</id></xml>',
        b"<xml><id>1</id><id>2</id></xml>",
        b"<xml><id><deep>1</deep></id></xml>",
        b"<xml>text<id>1</id></xml>",
    ],
)
def test_xml_with_more_than_parameters_is_refused(body: bytes) -> None:
    with pytest.raises(BodyNotUnderstood):
        read_request(body)


def test_an_answer_without_entries_is_whole_in_both_forms() -> None:
    empty = RunLogAnswer(error=401, error_text="Invalid token")
    assert empty.as_json() == b'{\n"data": [],\n"error": 401,\n"error_text": "Invalid token",\n"total_count": 0\n}'
    assert empty.as_xml() == (
        b"<xml>\n<error>401</error>\n<error_text>Invalid token</error_text>\n<total_count>0</total_count>\n</xml>"
    )


def test_the_read_is_recorded_with_names_of_filters(api: Api) -> None:
    api.records.reads.clear()
    ask(api, {"id": 1, "from_time": "2024-04-02T17:57:00.000Z"})
    (read,) = api.records.reads
    assert read.filter_fields == ("kind", "run_object", "run_object_type", "since")
    assert (read.window, read.rows) == (">= 2024-04-02T17:57:00Z", 2)
