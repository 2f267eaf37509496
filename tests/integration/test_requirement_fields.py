"""What the sources' pages show of an entry survives the whole way: emitted, stored, answered by API, command and export."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from infrastructure.demo import Demo
from infrastructure.ports import wait_until

pytest_plugins = ["infrastructure.demo_fixtures"]

#: Requests of a run of these tests have an id of their own, so that a demo can be asked for nothing else.
REQUEST = f"req-{uuid4()}"
AT = "2026-03-29T00:30:00.123456Z"
BASE = {
    "tenant_id": "fields",
    "project_id": "p-9",
    "project_slug": "spring",
    "request_id": REQUEST,
    "occurred_at": AT,
    "actor": {"id": "u-9", "type": "user", "login": "eve@fields.example", "name": "Eve", "roles": ["editor"]},
    "origin": {"kind": "dashboard", "ip": "192.0.2.9", "platform": "iOS"},
    "outcome": "success",
}
KEY = {
    "id": "key-9",
    "type": "api_token",
    "auth_provider": "google",
    "access_key_id": "AK-9",
    "access_group_id": "group-9",
    "permissions": ["customers.read", "customers.delete"],
}
TASK = {
    "task_id": "t-9",
    "type": "customers.csv_import",
    "status": "in_progress",
    "state_seq": 2,
    "progress_pct": 62.5,
    "done_items": 5,
    "total_items": 8,
    "started_at": "2026-03-29T00:29:00Z",
    "updated_at": "2026-03-29T00:30:00Z",
    "processing_ms": 60000,
}
HOOK = {
    "sendout_id": "wh-9",
    "event_type": "order.paid",
    "source_id": "o-9",
    "url": "https://hooks.fields.example/in",
    "status": "error",
    "attempt": 3,
    "http_status": 503,
    "event_created_at": "2026-03-29T00:28:00Z",
    "sent_at": "2026-03-29T00:30:00Z",
    "payload_ref": "https://files.fields.example/payloads/wh-9.json",
}
CALL = {
    "method": "POST",
    "route": "/v1/redemptions",
    "status_code": 201,
    "customer_id": "cust-9",
    "campaign_id": "camp-9",
    "incentive_id": "V-9",
}
#: Name -> event; each has its own id by its details.
EVENTS: dict[str, dict[str, Any]] = {
    "bulk": {
        "event_code": "customer.delete",
        "actor": KEY,
        "target": {"type": "customer", "id": "bulk-9", "name": "Inactive"},
        "resource_query": "last_seen < 2023-01-01",
        "resource_ref": "https://files.fields.example/filters/9.json",
        "resource_snapshot": {"status": "running", "size": 312},
        "status_before": "running",
        "status_after": "stopped",
        "affected_count": 312,
    },
    "login": {
        "event_code": "auth.login",
        "auth": {"event": "login", "method": "password", "mfa": True},
        "tz_name": "Asia/Kolkata",
        "tz_offset_min": 330,
    },
    "call": {"event_code": "api.call", "api": CALL, "duration_ms": 93},
    "task": {"event_code": "task.customers.csv_import", "task": TASK, "outcome": "pending"},
    "webhook": {"event_code": "webhook.error", "hook": HOOK, "outcome": "failure"},
    "run": {
        "event_code": "run.entry",
        "message": "Total time spent",
        "run": {
            "run_id": "r-9",
            "object_type": "campaign",
            "object_id": "9",
            "state": "end",
            "value": "138.351985ms",
            "value_num": 138.351985,
            "value_unit": "ms",
        },
    },
}
#: Requirement -> event and what its row must hold.
FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "AJ-13 date, user, address, object": (
        "bulk",
        {
            "occurred_at": "2026-03-29T00:30:00.123456Z",
            "ip": "192.0.2.9",
            "target_type": "customer",
            "target_name": "Inactive",
        },
    ),
    "AT-09 member, time, platform, address": (
        "login",
        {"actor_name": "Eve", "occurred_at": "2026-03-29T00:30:00.123456Z", "platform": "iOS", "ip": "192.0.2.9"},
    ),
    "BR-08 kind of subject": ("bulk", {"actor_type": "api_token"}),
    "BR-09 login": ("login", {"actor_login": "eve@fields.example"}),
    "BR-11 provider": ("bulk", {"auth_provider": "google"}),
    "BR-12 to BR-14 project and account": (
        "login",
        {"tenant_id": "fields", "project_id": "p-9", "project_slug": "spring"},
    ),
    "BR-15 identifier": ("bulk", {"target_id": "bulk-9"}),
    "BR-16 query": ("bulk", {"resource_query": "last_seen < 2023-01-01"}),
    "BR-17 snapshot": ("bulk", {"resource_snapshot": '{"size":312,"status":"running"}'}),
    "BR-18 status before and after": ("bulk", {"status_before": "running", "status_after": "stopped"}),
    "BR-19 user": ("login", {"actor_id": "u-9"}),
    "BR-20 access group": ("bulk", {"access_group_id": "group-9"}),
    "BR-21 access key": ("bulk", {"access_key_id": "AK-9"}),
    "BR-22 permissions": ("bulk", {"actor_permissions": ["customers.read", "customers.delete"]}),
    "BR-25 link to the filter": ("bulk", {"resource_ref": "https://files.fields.example/filters/9.json"}),
    "CL-13 value": ("run", {"run_value": "138.351985ms", "run_value_num": 138.351985, "run_value_unit": "ms"}),
    "VO-07 duration and result": ("call", {"duration_ms": 93, "outcome": "success", "api_status_code": 201}),
    "VO-08 customer": ("call", {"api_customer_id": "cust-9"}),
    "VO-09 campaign and incentive": ("call", {"api_campaign_id": "camp-9", "api_incentive_id": "V-9"}),
    "VO-18 zone of the service, beside the moment": (
        "login",
        {"tz_name": "Asia/Kolkata", "tz_offset_min": 330, "occurred_at": "2026-03-29T00:30:00.123456Z"},
    ),
    "VO-21 progress": (
        "task",
        {
            "task_progress_pct": 62.5,
            "task_done_items": 5,
            "task_updated_at": "2026-03-29T00:30:00.000000Z",
            "task_processing_ms": 60000,
        },
    ),
    "VO-28 webhook": (
        "webhook",
        {
            "hook_sendout_id": "wh-9",
            "hook_status": "error",
            "hook_url": "https://hooks.fields.example/in",
            "request_id": REQUEST,
            "hook_event_created_at": "2026-03-29T00:28:00.000000Z",
            "hook_sent_at": "2026-03-29T00:30:00.000000Z",
        },
    ),
    "VO-29 what was sent": ("webhook", {"hook_payload_ref": "https://files.fields.example/payloads/wh-9.json"}),
}
CODES = {event["event_code"]: name for name, event in EVENTS.items()}
Rows = dict[str, dict[str, Any]]


def by_name(rows: list[dict[str, Any]]) -> Rows:
    return {CODES[row["event_code"]]: row for row in rows}


@pytest.fixture(scope="module")
def answers(demo: Demo) -> dict[str, Rows]:
    """The events as API, command and export answer them."""
    lines = [json.dumps(BASE | event) for event in EVENTS.values()]
    demo.command("emit", standard_input="\n".join(lines) + "\n")

    def stored() -> bool:
        return len(demo.rows(request=REQUEST)) == len(EVENTS)

    wait_until(stored, timeout_s=60.0, what="the events to be stored", every_s=0.25)
    every = f"request:{REQUEST}"
    printed = demo.command("query", every, "--format", "ndjson", "--limit", "0")
    exported = demo.command("export", every, "--format", "ndjson", "--output", "-")
    return {
        "API": by_name(demo.rows(request=REQUEST)),
        "command": by_name([json.loads(line) for line in printed.splitlines()]),
        "export": by_name([json.loads(line) for line in exported.splitlines()]),
    }


@pytest.mark.parametrize("answered_by", ["API", "command", "export"])
@pytest.mark.parametrize("requirement", FIELDS)
def test_a_field_survives_from_emitting_to_the_answer(
    answers: dict[str, Rows], requirement: str, answered_by: str
) -> None:
    name, expected = FIELDS[requirement]
    row = answers[answered_by][name]
    shown = {field: _moment(row[field]) for field in expected}
    assert shown == expected


def _moment(value: Any) -> Any:
    """Return a moment in one spelling; others are written with blanks, with Z, without zeros, where that is usual."""
    if not isinstance(value, str) or not value.startswith("2026-"):
        return value
    return datetime.fromisoformat(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_a_line_of_the_command_shows_date_user_address_and_object(demo: Demo, answers: dict[str, Rows]) -> None:
    shown = demo.command("query", f"request:{REQUEST} action:customer.delete", "--format", "table")
    assert all(text in shown for text in ("2026-03-29 00:30:00.123456", "key-9", "192.0.2.9", "customer Inactive"))


def test_the_zone_that_is_given_counts_for_the_filter_and_for_what_is_shown_and_is_said(
    demo: Demo, answers: dict[str, Rows]
) -> None:
    # In the night in which Berlin changes to summer time, 00:30 UTC is 01:30 there, and in Los Angeles the day before.
    day = ["query", f"request:{REQUEST}", "--action=auth.login", "--format=table"]
    berlin = demo.command(*day, "--tz=Europe/Berlin", "--since=2026-03-29", "--until=2026-03-29T03:00")
    assert "time (Europe/Berlin)" in berlin
    assert "2026-03-29 01:30:00.123456" in berlin
    angeles = demo.command(*day, "--tz=America/Los_Angeles", "--since=2026-03-28", "--until=2026-03-29")
    assert "time (America/Los_Angeles)" in angeles
    assert "2026-03-28 17:30:00.123456" in angeles
    assert not demo.rows(request=REQUEST, tz="Europe/Berlin", since="2026-03-29T01:31")
    assert len(demo.rows(request=REQUEST, tz="Europe/Berlin", since="2026-03-29T01:30")) == len(EVENTS)
