"""The views for analysts on the real engine: their columns, their rows, every example of their page, their account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from infrastructure.clickhouse import fresh_database
from query.database import Database, Limits, open_client
from query.parameters import Parameters
from query.period import micros
from query_log import Log, address, open_log
from sinks.connection import Connections
from sinks.migrate import shipped, split
from sinks.settings import ClickHouseSettings

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "views.md").read_text(encoding="utf-8")
ACCOUNT = (ROOT / "deploy" / "clickhouse" / "analysts.sql").read_text(encoding="utf-8")
MIGRATION = next(m.sql for m in shipped() if m.name == "views")
VIEWS = re.findall(r"CREATE OR REPLACE VIEW \$\{database\}\.(\w+) AS", MIGRATION)
EXAMPLES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
NOW = datetime.now(UTC).replace(microsecond=0)
CAMPAIGN = {"run_object_type": "campaign", "run_object_id": "7", "record_kind": "run_log"}


def sent(kind: str, number: int, **values: Any) -> dict[str, Any]:
    """One event of a second of its own; the same number is the same event."""
    return {
        "tenant_id": "acme",
        "record_kind": kind,
        "event_id": UUID(int=number).bytes,
        "occurred_at": micros(NOW) - (100 - number) * 1_000_000,
        "actor_id": "u-1",
        "actor_name": "Ann",
        "actor_login": "ann@x.com",
        "ip": address("203.0.113.7"),
        "outcome": "success",
        **values,
    }


ACTION = {"target_type": "campaign", "target_id": "7", "event_category": "activate", "product": "contacts"}
BULK = {"target_type": "customer", "event_category": "delete", "resource_ref": "s3://filter", "scope_level": "account"}
EVENTS = [
    sent("action", 1, **ACTION),
    sent("action", 1, **ACTION),
    sent("action", 2, **BULK, affected_count=12, actor_id="u-2"),
    sent("run_log", 3, **CAMPAIGN, run_id="r-1", severity="INFO", message="Campaign finished", run_state="end"),
    sent("run_log", 4, **CAMPAIGN, run_id="r-1", run_state="none", run_value="138.3ms", run_value_num=138.3),
    sent("api_call", 5, api_route="/v1/x", outcome="failure", duration_ms=40, api_status_code=500),
    sent("task", 6, task_id="t", task_status="enqueued", task_state_seq=1),
    sent("task", 7, task_id="t", task_status="failed", task_state_seq=3, task_error="disk full"),
    sent("task", 8, task_id="t", task_status="in_progress", task_state_seq=2),
    sent("export", 9, export_id="e", export_origin="api", export_state="pending", export_state_seq=1),
    sent(
        "export", 10, export_id="e", export_origin="api", export_state="ready", export_state_seq=2, export_row_count=3
    ),
    sent("webhook", 11, hook_sendout_id="w", hook_status="retry", hook_attempt=1, hook_url="https://x"),
    sent("webhook", 12, hook_sendout_id="w", hook_status="error", hook_attempt=2, hook_url="https://x"),
    sent("auth", 13, auth_event="login", geo_country="DE", platform="web", event_code="auth.login"),
    sent("auth", 14, auth_event="login", geo_country="US", event_code="auth.login"),
    sent("auth", 15, auth_event="login_failed", outcome="failure", auth_attempted_login="eve", actor_login=""),
    sent("auth", 16, auth_event="logout", event_code="auth.logout", ip=bytes(16)),
    sent("auth", 17, auth_event="mfa"),
    sent("action", 18, expires_at=1),
]


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        opened.store(EVENTS)
        cards = Connections(opened.settings)
        cards.command(
            f"INSERT INTO {opened.settings.database}.actors (tenant_id, actor_id, name, status, deleted, kafka_offset) "
            "VALUES ('acme', 'u-1', 'Ann Lee', 'active', 0, 1), ('acme', 'u-2', 'Bob', 'active', 1, 2)"
        )
        cards.close()
        yield opened


@pytest.fixture(scope="module")
def database(log: Log) -> Iterator[Database]:
    opened = Database(open_client(log.settings), Limits())
    yield opened
    opened.close()


def rows(database: Database, sql: str) -> list[dict[str, Any]]:
    return database.rows(sql, Parameters())


@pytest.mark.parametrize("example", EXAMPLES, ids=[e.split("FROM ")[1].split()[0] for e in EXAMPLES])
def test_every_example_of_the_page_runs_and_finds_something(database: Database, example: str) -> None:
    assert rows(database, example)


def test_the_page_has_a_chapter_for_every_view_and_for_no_other() -> None:
    assert re.findall(r"^## `(\w+)`$", PAGE, re.MULTILINE) == VIEWS
    assert len(VIEWS) == 10


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_has_every_column_of_a_view_with_its_type_in_order(database: Database, view: str) -> None:
    chapter = PAGE.partition(f"## `{view}`")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", chapter, re.MULTILINE)
    found = rows(
        database, f"SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '{view}'"
    )
    assert told == [(c["name"], c["type"].replace("LowCardinality(String)", "String")) for c in found]


def one(database: Database, view: str, condition: str = "1") -> Mapping[str, Any]:
    found = rows(database, f"SELECT * FROM {view} WHERE {condition}")
    assert len(found) == 1
    return found[0]


def test_a_view_of_states_has_one_row_with_the_latest_state(database: Database) -> None:
    task = one(database, "background_tasks")
    assert (task["status"], task["error"], task["states"]) == ("failed", "disk full", 3)
    assert (task["last_at"] - task["first_at"]).total_seconds() == 2
    assert one(database, "exports")["row_count"] == 3
    sendout = one(database, "webhook_sendouts", "tenant_id = 'acme'")
    assert (sendout["status"], sendout["attempt"]) == ("error", 2)
    assert rows(database, "SELECT * FROM background_tasks WHERE status = 'in_progress'") == []


def test_sign_ins_and_sign_outs_are_told_with_success_and_address(database: Database) -> None:
    found = rows(database, "SELECT * FROM access_log ORDER BY occurred_at")
    assert [(r["action_type"], r["action_success"]) for r in found] == [
        ("login", 1),
        ("login", 1),
        ("login", 0),
        ("logout", 1),
    ]
    assert [r["subject_remote_addr"] for r in found] == ["203.0.113.7"] * 3 + [""]
    history = rows(database, "SELECT login, country, success FROM login_history ORDER BY occurred_at")
    assert [tuple(r.values()) for r in history] == [("ann@x.com", "DE", 1), ("ann@x.com", "US", 1), ("eve", "", 0)]


def test_entries_of_runs_have_state_and_value_as_their_page_has_them(database: Database) -> None:
    found = rows(database, "SELECT level, message, state, value, value_number FROM campaign_log ORDER BY occurred_at")
    assert tuple(found[0].values()) == ("INFO", "Campaign finished", "end", "", None)
    assert (found[1]["state"], found[1]["value"], found[1]["value_number"]) == ("", "138.3ms", 138.3)


def test_an_operator_is_shown_as_then_and_as_now(database: Database) -> None:
    found = rows(database, "SELECT operator_name, operator_name_now, operator_status_now FROM operation_log")
    assert {tuple(r.values()) for r in found} == {("Ann", "Ann Lee", "active"), ("Ann", "Bob", "deleted")}


def test_a_view_of_events_has_a_row_for_each_delivery_of_a_living_event(database: Database) -> None:
    found = rows(
        database, "SELECT count() AS n, uniqExact(event_id) AS events FROM journal WHERE record_kind = 'action'"
    )
    assert found == [{"n": 3, "events": 2}]
    assert one(database, "account_log", "resource_type = 'customer'")["affected_count"] == 12


@pytest.mark.parametrize("view", VIEWS)
def test_a_condition_on_the_tenant_reaches_the_key_of_the_table(database: Database, view: str) -> None:
    plan = rows(database, f"EXPLAIN indexes = 1 SELECT * FROM {view} WHERE tenant_id = 'acme'")
    assert any("tenant_id in ['acme', 'acme']" in str(row.values()) for row in plan)


def test_the_account_may_read_the_views_and_what_they_are_made_of_and_nothing_else() -> None:
    granted = set(re.findall(r"^GRANT SELECT ON auditstream\.(\w+) TO auditstream_analyst;$", ACCOUNT, re.MULTILINE))
    made_of = set(re.findall(r"FROM \$\{database\}\.(\w+)", MIGRATION)) | {"actors"}
    assert granted == {*VIEWS, *made_of}


def test_every_statement_of_the_account_is_one_that_the_engine_understands(database: Database) -> None:
    # The engine inside a process has no users; it has their grammar.
    statements = [re.sub(r"--[^\n]*", "", s).strip() for s in split(ACCOUNT)]
    assert len([s for s in statements if s]) > 20
    for statement in filter(None, statements):
        assert rows(database, f"EXPLAIN AST {statement}")
