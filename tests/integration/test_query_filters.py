"""Every filter finds the event that it describes, and no other, in the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from infrastructure.clickhouse import fresh_database
from query import AnyOf, InvalidFilter, Question, to_text
from query.condition import check
from query.expression import Term
from query.filters import all_filters
from query_log import NOW, Log, address, asked, at, open_log
from sinks.settings import ClickHouseSettings

PLAIN = {"tenant_id": "acme", "occurred_at": at("2026-06-01T00:00:00"), "event_code": "other.thing", "crud": "r"}

#: Offset 1: every filter of CASES matches it. Offset 0 matches none, offset 2 is nearly the same and matches none either.
RICH = {
    "tenant_id": "globex",
    "event_id": UUID("01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e").bytes,
    "occurred_at": at("2026-06-15T11:30:00.123456"),
    "event_code": "campaign.activate",
    "event_category": "activate",
    "crud": "u",
    "record_kind": "action",
    "outcome": "denied",
    "outcome_code": "E42",
    "severity": "ERROR",
    "message": "Reached the Ümlaut limit",
    "details": [("reason", "quota"), ("empty", "")],
    "labels": [("env", "prod")],
    "changes.field": ["status", "note"],
    "changes.before": ["draft", None],
    "changes.after": ["Running", None],
    "changes.masked": [False, False],
    "validation_flags": "body_not_json,clock_skew",
    "actor_id": "u-1",
    "actor_login": "ann@x.com",
    "actor_email": "Ann.Ärger@x.com",
    "actor_name": "Ann Ärger",
    "auth_attempted_login": "Root",
    "actor_department": "Sales",
    "actor_type": "api_token",
    "actor_roles": ["admin", "auditor"],
    "access_key_id": "key-9",
    "on_behalf_of_id": "u-2",
    "ip": address("203.0.113.7"),
    "ip_kind": "public",
    "geo_country": "DE",
    "origin": "integration",
    "origin_name": "Shopify",
    "platform": "iOS",
    "source_service": "campaigns",
    "target_type": "campaign",
    "target_id": "c/7",
    "target_name": "Winter Sale",
    "targets.type": ["segment", "user"],
    "targets.id": ["s-1", "u-9"],
    "targets.name": ["VIPs", "Bob"],
    "targets.role": ["member", "member"],
    "parent_type": "program",
    "parent_id": "p-1",
    "project_id": "prj-1",
    "project_slug": "winter",
    "product": "marketing",
    "scope_level": "project",
    "request_id": "req-1",
    "session_id": "ses-1",
    "correlation_id": "cor-1",
    "trace_id": "tr-1",
    "subject_ids": ["sub-1"],
    "run_id": "run-1",
    "run_state": "end",
    "run_object_id": "obj-1",
    "run_object_type": "campaign",
    "task_id": "t-1",
    "task_type": "vouchers.import",
    "task_status": "failed",
    "export_id": "e-1",
    "export_state": "ready",
    "hook_sendout_id": "w-1",
    "hook_event_type": "voucher.created",
    "hook_status": "retry",
    "hook_source_id": "src-1",
    "hook_resend_of": "w-0",
    "hook_event_created_at": at("2026-06-14T00:00:00"),
    "hook_sent_at": at("2026-06-14T00:00:05"),
}
NEAR = {
    "tenant_id": "GLOBEX",
    "occurred_at": at("2026-05-15T11:30:00.123455"),
    "event_code": "campaigns.activate",
    "severity": "INFO",
    "message": "Reached",
    "details": [("quota", "reason")],
    "labels": [("prod", "env")],
    "changes.field": ["Status"],
    "changes.before": [None],
    "changes.after": [None],
    "changes.masked": [False],
    "validation_flags": "clock_skewed",
    "actor_id": "U-1",
    "actor_login": "ann@x.co",
    "ip": address("203.0.114.7"),
    "geo_country": "DK",
    "target_type": "campaigns",
    "target_id": "7",
    "targets.type": ["user", "segment"],
    "targets.id": ["s-1", "u-9"],
    "targets.name": ["", ""],
    "targets.role": ["", ""],
    "parent_type": "p-1",
    "parent_id": "program",
    "request_id": "REQ-1",
    "subject_ids": ["sub-11"],
    "actor_roles": ["Admin"],
    "task_type": "vouchers",
    "hook_event_type": "voucher",
}

CASES = {
    "since": [
        "1h",
        "2026-06-15T11:30:00.123456",
        "today",
        "2026-06-15T13:00:00+02:00",
        "2026-06-15T13:00[Europe/Berlin]",
    ],
    "stored_since": [],
    "stored_until": [],
    "until": [],
    "action": ["campaign.activate", "campaign.*", "campaign.act*"],
    "category": ["activate", "ACTIVATE"],
    "crud": ["u"],
    "kind": ["action"],
    "outcome": ["denied"],
    "outcome_code": ["E42"],
    "severity": ["ERROR", "error"],
    "min_severity": ["WARNING", "error"],
    "text": ["limit", "reached LIMIT", "ümlaut", "draft running", "vips", "winter quota", "status note"],
    "detail": ["reason=quota", "reason", "empty=", "empty"],
    "label": ["env=prod", "env"],
    "changed": ["status", "note"],
    "flag": ["clock_skew", "body_not_json"],
    "actor": ["u-1", "ANN@x.com", "ann.ärger@X.com", "ann ärger"],
    "actor_id": ["u-1"],
    "login": ["ann@X.com"],
    "name": ["ANN ÄRGER"],
    "email": ["ann.ärger@x.com"],
    "attempted_login": ["root"],
    "department": ["sales"],
    "actor_type": ["api_token"],
    "role": ["auditor", "admin"],
    "access_key": ["key-9"],
    "on_behalf_of": ["u-2"],
    "ip": ["203.0.113.7", "203.0.113.0/24", "203.0.113.6/31", "::ffff:203.0.113.7", "::ffff:203.0.113.0/120"],
    "ip_kind": ["public"],
    "country": ["DE", "de"],
    "origin": ["integration"],
    "origin_name": ["shopify"],
    "platform": ["ios"],
    "service": ["campaigns"],
    "object": ["campaign/c/7", "c/7", "segment/s-1", "user/u-9", "program/p-1", "p-1"],
    "target": ["campaign/c/7"],
    "object_type": ["campaign"],
    "object_id": ["c/7"],
    "object_name": ["winter sale"],
    "parent": ["program/p-1"],
    "parent_type": ["program"],
    "parent_id": ["p-1"],
    "tenant": ["globex"],
    "project": ["prj-1", "winter"],
    "product": ["marketing"],
    "scope": ["project"],
    "event": ["01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e", "01983F2E6C1B7A549D0E0D5B8A1C2F3E"],
    "request": ["req-1"],
    "session": ["ses-1"],
    "correlation": ["cor-1"],
    "trace": ["tr-1"],
    "subject": ["sub-1"],
    "run": ["run-1"],
    "run_state": ["end"],
    "run_object": ["obj-1"],
    "run_object_type": ["campaign"],
    "task": ["t-1"],
    "task_type": ["vouchers.import", "vouchers.*"],
    "task_status": ["failed"],
    "export": ["e-1"],
    "export_state": ["ready"],
    "webhook": ["w-1"],
    "webhook_type": ["voucher.created", "voucher.*"],
    "webhook_status": ["retry"],
    "webhook_source": ["src-1"],
    "webhook_resend_of": ["w-0"],
    "webhook_created_since": ["2026-06-14"],
    "webhook_created_until": ["2026-06-15"],
    "webhook_sent_since": ["2026-06-14T00:00:05"],
    "webhook_sent_until": ["2026-06-14T00:00:05.000001"],
}
PAIRS = [(name, value) for name, values in CASES.items() for value in values]

ODD_VALUES = [
    "'",
    "\\'",
    "' OR 1=1 --",
    "') OR 1=1 OR ('",
    "{p0:String}",
    "%(p0)s",
    "`",
    '"',
    "\\",
    "\0",
    "\n",
    "\t",
    "\\N",
    "NULL",
    "; DROP TABLE audit_events",
    "/* */",
    "1' UNION SELECT 1",
    "\u202e",
]


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        opened.store([PLAIN, RICH, NEAR])
        yield opened


def test_every_filter_has_cases() -> None:
    assert set(CASES) == {f.name for f in all_filters()}


@pytest.mark.parametrize(("name", "value"), PAIRS)
def test_a_filter_finds_what_it_describes_and_its_negation_finds_the_rest(log: Log, name: str, value: str) -> None:
    text = to_text(Term(name, value))
    assert log.offsets(text) == [1]
    assert log.offsets(f"-{text}") == [0, 2]


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        ("until:2026-06-15T11:30:00.123456", [0, 2]),
        ("until:2026-06-15T11:30:00.123457", [0, 1, 2]),
        ("since:2026-05-15T11:30:00.123456 until:2026-06-02", [0]),
        ("stored_since:2000-01-01 stored_until:2200-01-01", [0, 1, 2]),
        ("stored_until:2000-01-01", []),
        ("after:1h", [1]),
        ("ip:none", [0]),
        ("ip:0.0.0.0/0", [1, 2]),
        ("ip:::/0", []),
        ("ip:203.0.112.0/21", [1, 2]),
        ('actor_name:""', [0, 2]),
        ("tenant:acme,globex", [0, 1]),
        ("tenant:acme OR outcome:denied", [0, 1]),
        ("-(tenant:acme OR outcome:denied)", [2]),
        ("tenant:globex -outcome:denied", []),
        ("NOT NOT tenant:globex", [1]),
        ("()", [0, 1, 2]),
        ("-()", []),
        ("Winter", [1]),
        ('"winter sale" limit', [1]),
        ('text:"sale winter" nothing', []),
    ],
)
def test_filters_combine(log: Log, text: str, offsets: list[int]) -> None:
    assert log.offsets(text) == offsets


@pytest.mark.parametrize("name", [f.name for f in all_filters()])
def test_a_value_stays_a_value_whatever_it_looks_like(log: Log, name: str) -> None:
    terms = [Term(name, v) for v in ODD_VALUES if _is_understood(Term(name, v))]
    # A backtick or a quote inside would show as an error, an escape that worked as rows.
    assert log.reader.page(Question(AnyOf(tuple(terms)), now=NOW)).rows == []


def _is_understood(term: Term) -> bool:
    try:
        check(term, asked().clock)
    except InvalidFilter:
        return False
    return True


def test_an_odd_value_that_is_stored_is_found_by_itself_only(chdb_settings: ClickHouseSettings) -> None:
    values = ODD_VALUES
    with open_log(chdb_settings) as own:
        own.store([{"actor_id": v, "details": [(v, v)], "target_type": "t", "target_id": v} for v in values])
        for offset, value in enumerate(values):
            for term in (Term("actor_id", value), Term("detail", f"{value}={value}"), Term("target", f"t/{value}")):
                if term.name == "detail" and "=" in value:
                    continue
                assert own.offsets(to_text(term)) == [offset]


def test_version_6_addresses_and_networks(chdb_settings: ClickHouseSettings) -> None:
    texts = ["2001:db8::1", "2001:db8:ffff::1", "2001:db9::1", "10.1.2.3", "10.255.255.255", "11.0.0.0", "::1"]
    with open_log(chdb_settings) as own:
        own.store([{"ip": address(t)} for t in texts] + [{"ip": bytes(16)}])
        assert own.offsets("ip:2001:db8::/32") == [0, 1]
        assert own.offsets("ip:2001:db8::1") == [0]
        assert own.offsets("ip:10.0.0.0/8") == [3, 4]
        assert own.offsets("ip:::/0") == [0, 1, 2, 6]
        assert own.offsets("ip:::1") == [6]
        assert own.offsets("ip:none") == [7]
        shown = own.reader.page(asked(), fields=["kafka_offset", "ip"]).rows
        assert {r["kafka_offset"]: r["ip"] for r in shown} == dict(enumerate([*texts, None]))
