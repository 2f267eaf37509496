"""A rule's filter selects of arriving events what the database selects of stored ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditstream.notify.events import rows_of
from auditstream.notify.matching import REFUSED, event_filter
from auditstream.notify.predicates import FILTERS
from infrastructure.clickhouse import fresh_database
from query import All, AnyOf, Expression, Not, Question, Term, parse, to_text
from query.condition import condition
from query.database import Database, Limits, open_client
from query.fields import event_fields
from query.filters import all_filters, enum_values
from query.parameters import Parameters
from query.period import micros
from query_log import NOW, Log, address, open_log
from schemas.columns import event_columns
from sinks.settings import ClickHouseSettings
from sinks.testing import rows

IDS = ["1", "a/b", "", "1' OR '1'='1", "2", "/", "%"]
TYPES = ["campaign", "a", ""]
NAMES = ["Ann", "ÄRGER", "ΑΣ", "İx", "ann", "ärger", "Bob O'Neil", "ας", "", "Straße"]
CODES = ["campaign.activate", "campaign.delete", "campaigns", "c*", ""]
WORDS = ["limit", "Über", "x", "ΣΑ", "K"]  # the last is the sign of kelvin
ADDRESSES = ["10.0.0.1", "10.0.0.255", "10.1.0.0", "2001:db8::1", "::1", "203.0.113.7", "::", "::ffff:0:1"]
BASE = datetime(2026, 6, 10, tzinfo=UTC)
MOMENTS = [BASE + timedelta(microseconds=i) for i in range(3)] + [BASE + timedelta(days=i) for i in range(3)]
EVENT_IDS = [UUID(int=(i << 96) + i) for i in range(1, 301)]
TIMES = [m.replace(tzinfo=None).isoformat() for m in MOMENTS]

#: Field -> the values that it takes in the events, as a sink batch holds them.
COLUMNS: dict[str, Sequence[Any]] = {
    "ip": [address(a) for a in ADDRESSES],
    "occurred_at": [micros(m) for m in MOMENTS],
    "hook_sent_at": [None, *(micros(m) for m in MOMENTS)],
    "hook_event_created_at": [None, *(micros(m) for m in MOMENTS)],
    "details": [[], [("limit", "1")], [("x", "a/b"), ("Über", "%")], [("limit", ""), ("", "x")]],
    "labels": [[], [("team", "a")], [("team", "b"), ("x", "")]],
    "actor_roles": [[], ["admin"], ["admin", "Ann"], [""]],
    "subject_ids": [[], ["1"], ["2", "a/b"]],
    "validation_flags": ["", "clock_skew", "clock_skew,unknown_event_code", "unknown_event_code"],
    "geo_country": ["", "DE", "FR"],
    "ip_kind": ["", "public", "private"],
    "severity": enum_values("severity"),
    "message": [" ".join(w) for w in [[], ["limit"], ["Über", "x"], ["ΣΑ"], ["K"], ["LIMITED", "ΑΣ"]]],
}
CHOICES = ["event_category", "crud", "record_kind", "outcome", "actor_type", "origin", "scope_level", "run_state"]
CHOICES += ["task_status", "export_state", "hook_status"]
COLUMNS |= {name: ["", *enum_values(name)[:3]] for name in CHOICES}
COLUMNS |= dict.fromkeys(("event_code", "task_type", "hook_event_type"), CODES)
for name in [
    "actor_login",
    "actor_email",
    "actor_name",
    "auth_attempted_login",
    "actor_department",
    "origin_name",
    "platform",
]:
    COLUMNS[name] = NAMES
for name in ["target_name", "outcome_reason", "run_value", "task_error", "hook_error", "outcome_code"]:
    COLUMNS[name] = [*NAMES, *WORDS]
for name in ["target_type", "parent_type", "run_object_type", "product", "source_service"]:
    COLUMNS[name] = TYPES
for name in [
    "actor_id",
    "access_key_id",
    "on_behalf_of_id",
    "target_id",
    "parent_id",
    "tenant_id",
    "project_id",
    "project_slug",
    "request_id",
    "session_id",
    "correlation_id",
    "trace_id",
    "run_id",
    "run_object_id",
    "task_id",
    "export_id",
    "hook_sendout_id",
    "hook_source_id",
    "hook_resend_of",
]:
    COLUMNS[name] = IDS

#: Filter -> values to ask for; those of the other filters come from the columns that they look at.
ASKED: dict[str, Sequence[str]] = {
    "ip": [
        "10.0.0.1", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1", "::", "none",
        "::ffff:0:0/96", "::ffff:10.0.0.0/104", "::/64", "::ffff:0:0/97",
    ],
    "object": [*IDS, "campaign/1", "a/b", "a/a/b", "//", "campaign/"],
    "target": ["campaign/1", "a/a/b", "/", "a/"],
    "parent": ["campaign/2", "a/a/b", "/1"],
    "text": [*WORDS, "ann", "LIMIT über", "1", "\u03b1\u03c3", "ς", "i", "ß", "neil x", "field", "ÄR", "b"],
    "detail": ["limit", "limit=1", "limit=", "x=a/b", "Über=%", "", "=x"],
    "label": ["team", "team=a", "team=", "x="],
    "changed": ["field", "Ann", "", "x"],
    "role": ["admin", "Ann", "ann", ""],
    "subject": ["1", "a/b", ""],
    "flag": ["clock_skew", "unknown_event_code", "", "clock"],
    "action": [*CODES, "campaign.*", "*", "c*"],
    "task_type": ["campaign.*", "campaigns", ""],
    "webhook_type": ["campaign.d*", ""],
    "country": ["de", "FR", ""],
    "event": [str(EVENT_IDS[0]), str(EVENT_IDS[1]).upper(), EVENT_IDS[2].hex],
    "min_severity": ["debug", "WARNING", "critical"],
    "project": IDS,
    "actor": [*IDS, "ANN", "ÄRGER", "\u03b1\u03c3", "ΑΣ", "i̇x", "straße"],
}  # fmt: skip


def make_event(rng: random.Random, event_id: UUID) -> dict[str, Any]:
    event = {name: rng.choice(values) for name, values in COLUMNS.items()} | {"event_id": event_id.bytes}
    targets = [(rng.choice(TYPES), rng.choice(IDS), rng.choice(NAMES)) for _ in range(rng.randrange(3))]
    for part, place in (("type", 0), ("id", 1), ("name", 2)):
        event[f"targets.{part}"] = [t[place] for t in targets]
    event["targets.role"] = [""] * len(targets)
    changes = [(rng.choice(["field", "Ann", "x", ""]), rng.choice([None, *NAMES])) for _ in range(rng.randrange(3))]
    event["changes.field"] = [c for c, _ in changes]
    event["changes.before"] = [b for _, b in changes]
    event["changes.after"] = [rng.choice([None, *WORDS]) for _ in changes]
    event["changes.masked"] = [False] * len(changes)
    return event


EVENTS = [make_event(rng, i) for rng in [random.Random(20261122)] for i in EVENT_IDS]
ROWS = rows_of(rows("audit_events", EVENTS), event_fields())


def values_of(name: str) -> Sequence[str]:
    if name in ASKED:
        return ASKED[name]
    (column, *_) = FILTERS[name].fields
    if column == "occurred_at" or name.endswith(("since", "until")):
        return TIMES
    values = [str(v) for v in COLUMNS[column]]
    # A choice is one of the known values, in either case.
    return [v for v in values if v] if column in CHOICES or column == "severity" else [*values, values[-1].upper()]


TERMS = [Term(name, value) for name in FILTERS for value in values_of(name)]
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    st.sampled_from(TERMS),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        opened.store(EVENTS)
        yield opened


def stored(log: Log, expression: Expression) -> list[int]:
    page = log.reader.page(Question(expression, now=NOW), limit=1000, fields=["kafka_offset"])
    return sorted(row["kafka_offset"] for row in page.rows)


def arriving(expression: Expression) -> list[int]:
    found = event_filter(to_text(expression))
    seen: list[Mapping[str, Any]] = [{name: row[name] for name in found.fields} for row in ROWS]
    return [place for place, row in enumerate(seen) if found.matches(dict(row))]


def stored_of_each(log: Log, terms: Sequence[Term]) -> dict[str, list[int]]:
    """Return the places that each term selects by value, all in one statement."""
    parameters, database = Parameters(), Database(open_client(log.settings), Limits())
    columns = [f"{condition(term, parameters, Question(now=NOW).clock)} AS c{i}" for i, term in enumerate(terms)]
    found = database.rows(f"SELECT kafka_offset, {', '.join(columns)} FROM audit_events", parameters)
    database.close()
    return {t.value: sorted(row["kafka_offset"] for row in found if row[f"c{i}"]) for i, t in enumerate(terms)}


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_selects_what_the_database_selects(log: Log, name: str) -> None:
    selected = {value: arriving(Term(name, value)) for value in values_of(name)}
    assert selected == stored_of_each(log, [Term(name, value) for value in selected])
    assert any(0 < len(places) < len(EVENTS) for places in selected.values()), "the values tell events apart"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expression=EXPRESSIONS)
def test_combined_filters_select_what_the_database_selects(log: Log, expression: Expression) -> None:
    assert arriving(expression) == stored(log, expression)


def test_an_arriving_event_has_the_fields_and_values_of_the_stored_one(log: Log) -> None:
    server = {"ingested_at", "kafka_topic", "kafka_topic_id", "kafka_partition", "kafka_offset", "received_at"}
    server |= {"expires_at", "retention_days", "schema_id"}  # filled in by the helper that stores
    same = [name for name in event_fields() if name not in server]
    page = log.reader.page(Question(parse(""), now=NOW), limit=1000, fields=[*same, "kafka_offset"])
    for row in page.rows:
        offset = row.pop("kafka_offset")
        assert row == {name: ROWS[offset][name] for name in same}


def test_no_field_of_a_filter_may_be_unknown_but_the_times_of_webhooks() -> None:
    nullable = {c.name for c in event_columns() if c.clickhouse_type.startswith("Nullable(")}
    assert nullable & {f for term in FILTERS.values() for f in term.fields} == {"hook_sent_at", "hook_event_created_at"}


def test_every_filter_of_the_language_is_answered_or_refused_with_a_reason() -> None:
    assert FILTERS.keys() | REFUSED.keys() == {f.name for f in all_filters()}
    assert not FILTERS.keys() & REFUSED.keys()
