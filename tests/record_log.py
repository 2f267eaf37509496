"""A log for tests of pages about single records: one event that has everything, and texts that try to be more than text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup

from query.fields import event_fields
from query.period import micros
from query.web.static_files import StaticFiles
from query.web.texts import visible
from query_log import TOPIC, Log, address
from schemas.columns import event_columns
from sinks.connection import Connections
from sinks.rows import DEAD_LETTERS, PAYLOADS
from sinks.sink import OffsetRange
from sinks.testing import batch, event, origin, rows

#: Must be shown as text wherever it stands: a script, an entity, a template, an attribute's end, an escape sequence, an
#: override of the direction, an invisible character.
HOSTILE = "<script>document.title='hit'</script>&lt;{{7*7}}'\" onclick=hit \x1b[31m\u202eabc\u202c\u200b <b>שלום"
#: What of it a page shows in one piece.
HOSTILE_START = "<script>document.title='hit'</script>&lt;{{7*7}}'\" onclick=hit "
#: The rest of it, with what cannot be seen made visible.
SHOWN = Markup(str(visible(HOSTILE)).rpartition("hit ")[2]).striptags()
FULL_ID = UUID("01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e")
HOSTILE_ID = UUID(int=0xB0001)
TWICE_ID = UUID(int=0xB0002)
CONFLICT_ID = UUID(int=0xB0003)
PLAIN_ID = UUID(int=0xB0004)
RECORDS_PARTITION = 2
LETTERS_PARTITION = 3
OCCURRED_AT = datetime(2026, 6, 1, 10, 0, 0, 123456, tzinfo=UTC)

#: The columns that hold text which a service wrote.
_TEXTS = ("String", "LowCardinality(String)")
#: Values that are fixed by the storage, or by what a reader must be able to choose.
_FIXED = ("kafka_topic", "tenant_id", "record_kind")

FULL: dict[str, Any] = {
    "event_id": FULL_ID.bytes,
    "occurred_at": micros(OCCURRED_AT),
    "tenant_id": "acme",
    "project_id": "p-1",
    "project_slug": "winter-shop",
    "product": "vouchers",
    "record_kind": "api_call",
    "event_code": "campaign.activate",
    "event_category": "activate",
    "crud": "u",
    "severity": "WARNING",
    "message": "Sent to ann@acme.example and bo@acme.example",
    "details": [("addresses", "ann@acme.example, bo@acme.example")],
    "labels": [("team", "growth")],
    "outcome": "failure",
    "outcome_code": "quota",
    "outcome_reason": "the quota of the project is used up",
    "duration_ms": 1234,
    "actor_type": "user",
    "actor_id": "u/1",
    "actor_name": "Ann Before",
    "actor_login": "ann@acme.example",
    "actor_email": "ann.before@acme.example",
    "actor_department": "Marketing",
    "actor_avatar_url": "https://pictures.example/old.png",
    "actor_status": "active",
    "actor_roles": ["editor", "approver"],
    "actor_permissions": ["campaigns:write"],
    "auth_provider": "google",
    "access_key_id": "key-77",
    "access_group_id": "group-5",
    "ip": address("203.0.113.7"),
    "ip_kind": "public",
    "geo_country": "DE",
    "geo_region": "BE",
    "geo_city": "Berlin",
    "as_number": 64500,
    "as_org": "Example Net",
    "origin": "dashboard",
    "platform": "web",
    "ua_name": "Firefox",
    "ua_version": "140",
    "ua_os": "Linux",
    "user_agent": "Mozilla/5.0",
    "target_type": "campaign",
    "target_id": "7",
    "target_name": "Winter sale",
    "parent_type": "program",
    "parent_id": "pr-1",
    "targets.type": ["segment"],
    "targets.id": ["s-9"],
    "targets.name": ["Buyers"],
    "targets.role": ["affected"],
    "resource_query": "age > 18",
    "resource_ref": "https://files.example/filter.json",
    "resource_snapshot": '{"state":"draft","budget":10.50}',
    "status_before": "draft",
    "status_after": "running",
    "changes.field": ["title", "limits", "note", "code"],
    "changes.before": ["Dear customer, buy now", json.dumps({"daily": 10, "tags": ["a"]}), "", None],
    "changes.after": ["Dear friend, buy now", json.dumps({"daily": 0, "tags": ["a", None]}), None, "0"],
    "changes.masked": [False, False, False, False],
    "api_method": "POST",
    "api_route": "/v1/campaigns/{id}/activate",
    "api_status_code": 429,
    "api_request_bytes": 23,
    "api_response_bytes": 90_000,
    "api_truncated": True,
    "api_capture_level": "request_response",
    "api_customer_id": "cust-4",
    "api_campaign_id": "7",
    "api_incentive_id": "inc-2",
    "request_id": "req-1",
    "session_id": "ses-1",
    "correlation_id": "cor-1",
    "redactions.field": ["api.request_body"],
    "redactions.rule": ["secret_name"],
    "redactions.count": [2],
}
PAYLOAD = {
    "api_query_params": "dry=1&name=%C3%84nne+B",
    "api_request_body": '{"password":"***","n":1}',
    "api_response_body": '{"error":"quota","items":[',
}


def hostile_event() -> dict[str, Any]:
    """Return an event that has the hostile text in every field that a service can fill with text."""
    plain = {c.name: HOSTILE for c in event_columns() if c.clickhouse_type in _TEXTS and c.name not in _FIXED}
    lists = {c.name: [HOSTILE] for c in event_columns() if _is_text_list(c.clickhouse_type)}
    return {
        **plain,
        **lists,
        "event_id": HOSTILE_ID.bytes,
        "occurred_at": micros(OCCURRED_AT),
        "tenant_id": "acme",
        "record_kind": "api_call",
        "targets.role": [HOSTILE],
        "changes.field": [HOSTILE, "json"],
        "changes.before": [HOSTILE, json.dumps({HOSTILE: HOSTILE, "x": 1})],
        "changes.after": [HOSTILE + "!", json.dumps({HOSTILE: HOSTILE + "!", "x": HOSTILE})],
        "changes.masked": [False, False],
        "redactions.count": [1],
        "details": [(HOSTILE, HOSTILE)],
        "labels": [(HOSTILE, HOSTILE)],
        "api_truncated": True,
    }


def hostile_fields() -> list[str]:
    """Return the fields of the hostile event that hold the hostile text."""
    found = hostile_event()
    columns = {name for name, value in found.items() if value in (HOSTILE, [HOSTILE])}
    return [field for field, parts in event_fields().items() if columns & set(parts)]


def _is_text_list(kind: str) -> bool:
    return kind in ("Array(String)", "Array(LowCardinality(String))", "Array(Nullable(String))")


def _related(number: int, **values: Any) -> dict[str, Any]:
    return {"event_id": UUID(int=0xC0000 + number).bytes, "tenant_id": "acme", "actor_id": f"u-r{number}", **values}


def _run(minute: int, **values: Any) -> dict[str, Any]:
    run = {"run_object_type": "campaign", "run_object_id": "c-7", "run_id": "r-1", "run_state": "none"}
    moment = OCCURRED_AT.replace(hour=8, minute=minute)
    kind = {"record_kind": "run_log", "event_code": "run.entry", "tenant_id": "acme", "outcome": "success"}
    return {**kind, **run, "event_id": UUID(int=0xD0000 + minute).bytes, "occurred_at": micros(moment), **values}


def run_entries() -> list[dict[str, Any]]:
    """Return the log of two runs of a campaign, the second of which has not ended."""
    return [
        _run(0, run_state="start", severity="INFO", message="Campaign started"),
        _run(1, severity="DEBUG", message="4 segments read"),
        _run(2, severity="WARNING", message=HOSTILE),
        _run(3, run_state="end", severity="INFO", message="Campaign finished"),
        _run(4, severity="INFO", message="Total time spent", run_value="138.351985ms"),
        _run(30, run_id="r-2", run_state="start", severity="INFO", message="Campaign started again"),
    ]


def fill_records(log: Log) -> None:
    """Store the events, what surrounds them, dead letters and cards."""
    within = {"occurred_at": micros(OCCURRED_AT) + 1_000_000}
    others = [
        _related(1, request_id="req-1", **within),
        _related(2, session_id="ses-1", **within),
        _related(3, target_type="campaign", target_id="7", **within),
        _related(4, target_type="program", target_id="pr-1", **within),
        _related(5, actor_id="u/1", record_kind="auth", event_code="auth.login", outcome="success", **within),
        _related(6, actor_id="u/1", event_code="campaign.update", outcome="success", **within),
    ]
    _store(log, [FULL, hostile_event()], {0: PAYLOAD, 1: dict.fromkeys(PAYLOAD, HOSTILE)})
    of_plain = {"tenant_id": "acme", "actor_id": "u-plain", "occurred_at": micros(OCCURRED_AT)}
    plain = {"event_id": PLAIN_ID.bytes, **of_plain}
    twice = {**plain, "event_id": TWICE_ID.bytes, "message": "sent twice"}
    conflict = {**plain, "event_id": CONFLICT_ID.bytes, "message": "first", "outcome": "success"}
    log.store([*others, *run_entries(), plain, twice, conflict])
    log.store([twice, {**conflict, "message": "second"}], partition=1)
    store_letters(log)
    store_cards(log)


def _store(log: Log, events: Sequence[Mapping[str, Any]], payloads: Mapping[int, Mapping[str, str]]) -> None:
    range_ = OffsetRange("audit.events", TOPIC, RECORDS_PARTITION, 0, len(events) - 1)
    made = batch(range_, values=dict(enumerate(events)))
    bodies = [{**event(range_, offset, **events[offset]), **texts} for offset, texts in payloads.items()]
    log.sink.write(replace(made, payloads=rows(PAYLOADS, bodies)), bytes(32))


def store_letters(log: Log) -> None:
    """Store three dead letters: one plain, one hostile in all its texts, one of a tenant."""
    range_ = OffsetRange("audit.events", TOPIC, LETTERS_PARTITION, 0, 2)
    made = batch(range_, dead=[0, 1, 2])
    raw = HOSTILE.encode()
    common = {"expires_at": 4_102_444_800_000, "raw_bytes": len(raw), "raw_sha256": bytes(32), "raw": raw}
    texts = {"reason": HOSTILE, "event_code": HOSTILE, "event_id": HOSTILE, "worker_version": HOSTILE, "key": raw}
    header = {"headers.name": [HOSTILE], "headers.value": [raw]}
    named = {"reason_code": HOSTILE, "tenant_id": HOSTILE, "stage": "validate"}
    short = {"stage": "decode", "reason_code": "too_short", "reason": "2 bytes", "raw": b"\0\xff"}
    bad = {"stage": "validate", "reason_code": "bad_ip", "reason": "no address", "tenant_id": "acme"}
    contents: Sequence[Mapping[str, Any]] = (short, {**texts, **header, **named}, bad)
    letters = [{**origin(range_, offset), **common, **content} for offset, content in enumerate(contents)]
    log.sink.write(replace(made, dead_letters=rows(DEAD_LETTERS, letters)), bytes(32))


def store_cards(log: Log) -> None:
    """Store the cards of three actors: one who left, one with a picture of our own host, one hostile."""
    connections = Connections(log.settings)
    columns = "tenant_id, actor_id, actor_type, login, name, email, department, avatar_url, status, roles, kafka_offset"
    hostile = "'" + HOSTILE.replace("\\", "\\\\").replace("'", "\\'") + "'"
    values = [
        "('acme', 'u/1', 'user', 'ann@acme.example', 'Ann Now', 'ann.now@acme.example', 'Sales', "
        "'https://pictures.example/ann.png', 'deactivated', ['editor'], 1)",
        f"('acme', {', '.join([hostile] * 7)}, 'active', [{hostile}], 1)",
        f"('acme', 'u-picture', 'user', '', 'Pia', '', '', '{StaticFiles().url('icon.svg')}', 'active', [], 1)",
    ]
    connections.command(f"INSERT INTO {log.settings.database}.actors ({columns}) VALUES {', '.join(values)}")
    connections.close()
