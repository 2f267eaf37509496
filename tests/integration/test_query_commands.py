"""`auditstream query` and `auditstream tail` as people type them, on the real engine."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from auditstream.cli import cli
from auditstream.commands.tail import Follower
from infrastructure.ports import free_port
from query import START
from query.filters import all_filters
from query_log import Log, address, asked, at, open_log
from sinks.settings import ClickHouseSettings

pytest_plugins = ["infrastructure.log_fixtures"]

EVENT_ID = UUID("01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e")


@pytest.fixture
def log(tables: Log, monkeypatch: pytest.MonkeyPatch) -> Log:
    tables.clear()
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_INTERFACE", "chdb")
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_PATH", str(tables.settings.path))
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_DATABASE", tables.settings.database)
    return tables


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def rows(*arguments: str) -> list[dict[str, object]]:
    result = run(*arguments, "--format", "ndjson")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def store_some(log: Log) -> None:
    ann = {
        "event_id": EVENT_ID.bytes,
        "occurred_at": at("2026-01-31T23:30:00.123456"),
        "tenant_id": "acme",
        "actor_id": "u-1",
        "actor_name": "Ann\x1b[31m",
        "actor_login": "ann@x.com",
        "target_type": "campaign",
        "target_id": "7",
        "target_name": "Winter",
        "ip": address("203.0.113.7"),
        "geo_country": "DE",
        "outcome": "failure",
        "record_kind": "action",
    }
    bob = {"actor_id": "u-2", "actor_name": "Bob", "outcome": "success", "event_code": "made.up"}
    log.store([ann, bob, {**bob, "tenant_id": "acme"}], payloads=[0])


def test_the_table_says_who_did_what_from_where_in_the_chosen_zone(log: Log) -> None:
    store_some(log)
    result = run("query", "actor:ANN@x.com", "--tz", "Europe/Berlin", "--format", "table")
    assert result.exit_code == 0
    heading, _, line = [text for text in result.stdout.splitlines() if text.strip()]
    assert heading.split("  ")[0].strip() == "time (Europe/Berlin)"
    assert "2026-02-01 00:30:00.123456+01:00" in line
    assert "Ann\\x1b[31m activated campaign Winter" in line
    assert "203.0.113.7 DE" in line
    assert line.rstrip().endswith("failure")
    assert "\x1b" not in result.stdout


def test_a_code_that_the_catalogue_does_not_know_is_shown_itself(log: Log) -> None:
    store_some(log)
    assert [r["title"] for r in rows("query", "--actor", "Bob", "--columns", "title")] == ["made.up", "made.up"]


def test_options_and_expression_are_one_question(log: Log) -> None:
    store_some(log)

    def count(*arguments: str) -> object:
        return rows("query", "--count", *arguments)[0]["events"]

    assert count() == 3
    assert count("tenant:acme", "--outcome", "success") == 1
    assert count("tenant:acme", "--outcome", "success", "--outcome", "failure") == 2
    assert count("--any", "--tenant", "acme", "--actor", "Bob") == 3
    assert count("--any", "--tenant", "acme", "--actor", "Bob", "--until", "1990-01-01") == 0
    assert count("--not", "tenant:acme") == 1
    assert count("--ip", "203.0.113.0/24", "--since", "2026-02-01T00:00", "--tz", "Europe/Berlin") == 1
    assert count("--event-id", str(EVENT_ID)) == 1


def test_the_cursor_on_standard_error_leads_to_the_next_page(log: Log) -> None:
    store_some(log)
    first = run("query", "--limit", "2", "--columns", "kafka_offset", "--format", "csv")
    assert first.stdout.splitlines() == ["kafka_offset", "0", "2"]
    cursor = first.stderr.split("--cursor ")[1].strip()
    assert rows("query", "--limit", "2", "--columns", "kafka_offset", "--cursor", cursor) == [{"kafka_offset": 1}]
    wrong = run("query", "--cursor", cursor, "--sort", "ip")
    assert (wrong.exit_code, "another filter" in wrong.stderr) == (2, True)


def test_one_event_is_shown_whole(log: Log) -> None:
    store_some(log)
    text = run("query", "--event", str(EVENT_ID), "--format", "table").stdout
    assert text.startswith("Ann\\x1b[31m activated campaign Winter")
    assert "occurred_at" in text
    assert "2026-01-31T23:30:00.123456Z" in text
    assert "api_request_body  body 0" in text
    assert "task_state_seq" not in text
    found = rows("query", "--event", str(EVENT_ID))[0]
    assert isinstance(found["payload"], dict)
    assert found["payload"]["api_request_body"] == "body 0"
    missing = run("query", "--event", str(UUID(int=99)))
    assert (missing.exit_code, "there is no event" in missing.stderr) == (1, True)


def test_figures_and_states_have_the_same_formats(log: Log) -> None:
    store_some(log)
    outcomes = [("success", 2, True), ("failure", 1, True)]
    assert [tuple(row.values()) for row in rows("query", "--facet", "outcome")] == outcomes
    assert rows("query", "--histogram", "month")[0]["events"] == 3
    assert rows("query", "--states", "task") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acton:x"], 'at character 1: "acton:x": there is no filter "acton"'),
        (["--outcome", "sucess"], 'did you mean "success"'),
        (["--tz", "Mars/Olympus"], "there is no such time zone"),
        (["--columns", "nme"], "there is no such column"),
        (["a", "b"], "put it in quotes: 'a b'"),
        (["--event", "7"], "expected a UUID"),
        (["--cursor", "x"], "cursor"),
        (["--sort", "colour"], "Invalid value for '--sort'"),
    ],
)
def test_a_wrong_question_ends_with_2_and_says_what_is_wrong(log: Log, arguments: list[str], message: str) -> None:
    result = run("query", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_database_that_is_away_or_empty_ends_with_1_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_DATABASE", "test_none")
    empty = run("query")
    assert (empty.exit_code, "run `auditstream migrate`" in empty.stderr) == (1, True)
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_INTERFACE", "http")
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_PORT", str(free_port()))
    for command in (["query"], ["tail", "--once"]):
        away = run(*command)
        assert (away.exit_code, "Is the database running" in away.stderr) == (1, True)


def test_a_wrong_catalogue_file_ends_with_2_and_is_named(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "more.toml"
    file.write_text("no toml at all")
    configuration = tmp_path / "auditstream.toml"
    configuration.write_text(f"[catalogue]\nfiles = ['{file}']\n")
    monkeypatch.setenv("AUDITSTREAM_CONFIG", str(configuration))
    result = run("query")
    assert (result.exit_code, str(file) in result.stderr) == (2, True)


def test_all_filters_are_listed() -> None:
    text = run("query", "--filters").stdout
    for found in all_filters():
        assert f"{', '.join((found.name, *found.aliases))}\n    {found.doc} Takes {found.expected}." in text


def test_tail_goes_on_where_it_ended(log: Log) -> None:
    store_some(log)
    first = run("tail", "--once", "--from-start", "--columns", "kafka_offset", "--format", "json")
    assert json.loads(first.stdout) == [{"kafka_offset": 0}, {"kafka_offset": 1}, {"kafka_offset": 2}]
    position = first.stderr.split("--position ")[1].strip()
    log.store([{"outcome": "denied"}, {}])
    arguments = ["tail", "--once", "--position", position, "--columns", "kafka_offset"]
    assert rows(*arguments) == [{"kafka_offset": 3}, {"kafka_offset": 4}]
    assert rows(*arguments, "--outcome", "denied") == [{"kafka_offset": 3}]
    assert rows("tail", "--once") == []
    assert run("tail", "--position", "x").exit_code == 2


def test_a_follower_yields_what_arrives_while_it_waits(log: Log) -> None:
    store_some(log)
    follower = Follower(log.reader, asked(), ("kafka_offset",), log.reader.newest_position(), 0.05)
    events = follower.events()
    late = threading.Timer(0.2, lambda: log.store([{"occurred_at": at("1990-01-01T00:00:00")}]))
    late.start()
    assert next(events) == {"kafka_offset": 3}
    late.join()
    follower.stop.set()
    assert list(events) == []
    assert follower.position == log.reader.newest_position() != START


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tail_ends_in_order_on_a_signal(log: Log, number: int) -> None:
    store_some(log)
    timer = threading.Timer(2.0, lambda: os.kill(os.getpid(), number))
    timer.start()
    result = run("tail", "--from-start", "--columns", "kafka_offset", "--format", "json", "--interval", "0.1")
    timer.join()
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 3
    assert "--position" in result.stderr


def test_tail_as_a_table_prints_one_line_for_each_event(log: Log) -> None:
    store_some(log)
    result = run("tail", "--once", "--from-start", "--format", "table", "--tz", "Asia/Tokyo")
    heading, first, *rest = result.stdout.splitlines()
    assert heading.startswith("time (Asia/Tokyo)")
    assert first.startswith("2026-02-01 08:30:00.123456+09:00  Ann\\x1b[31m")
    assert len(rest) == 2


def test_the_same_answers_come_over_http(
    clickhouse_settings: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_log(clickhouse_settings) as served:
        store_some(served)
        odd = "'\\\n\t\0{p0:String}"
        served.store([{"actor_id": odd, "occurred_at": at("2200-01-01T00:00:00.000001"), "ip": address("2001:db8::1")}])
        row = served.reader.page(asked("ip:2001:db8::/32"), fields=["actor_id", "occurred_at", "ip"]).rows[0]
        assert (row["actor_id"], row["occurred_at"].microsecond, row["ip"]) == (odd, 1, "2001:db8::1")
        assert served.reader.count(asked("tenant:acme")) == 2
        assert len(served.reader.arrivals(asked(), START, limit=10).rows) == 4
        for name, value in (("HOST", clickhouse_settings.host), ("PORT", str(clickhouse_settings.port))):
            monkeypatch.setenv(f"AUDITSTREAM_CLICKHOUSE_{name}", value)
        monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_DATABASE", clickhouse_settings.database)
        assert rows("query", "--count") == [{"events": 4, "is_exact": True}]
