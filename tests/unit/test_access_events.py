"""Reads become events that the schema and the catalogue know; nothing of what was looked for is in them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest

from auditstream.access_events import AccessEvents, open_access_producer
from auditstream.settings import Settings
from producers import AuditProducer
from query.access import Caller, Change, Identity, Read, Scope, Token
from query.settings import AccessSettings, HttpSettings
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.settings import KafkaSettings, RegistrySettings

CALLER = Caller("req-1", "203.0.113.7", "curl/8", "complaint", "T-7")
NOW = datetime(2026, 6, 15, tzinfo=UTC)
SCHEMA = fastavro.parse_schema(avro_schema("audit_event", 1))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:9"),
        registry=RegistrySettings(url="mock://access-events", cache_dir=tmp_path / "cache"),
        http=HttpSettings(stop_s=0.1),
        access=AccessSettings(spool_dir=tmp_path / "spool", failures_per_minute=2),
    )


@pytest.fixture
def producer(settings: Settings) -> Iterator[AuditProducer]:
    with open_access_producer(settings) as opened:
        yield opened


def spooled(settings: Settings) -> list[dict[str, Any]]:
    """Return the events that wait on disk, found by their first field, the event id."""
    data = b"".join(p.read_bytes() for p in sorted(settings.access.spool_dir.rglob("*")) if p.is_file())
    found = []
    for match in re.finditer(rb"\x48[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", data):
        try:
            record = fastavro.schemaless_reader(io.BytesIO(data[match.start() :]), SCHEMA, None)
        except (EOFError, IndexError, ValueError, UnicodeDecodeError):
            continue  # another id: that of the producer
        if isinstance(record, dict) and record["source_service"] == "auditstream":
            found.append(record)
    return found


def token(scope: Scope, role: str = "auditor") -> Token:
    return Token("tok_aaaaaaaaaa", "desk", role, scope, NOW)


def test_a_read_is_an_event_of_the_catalogue_with_names_window_rows_and_purpose(
    settings: Settings, producer: AuditProducer
) -> None:
    recorder = AccessEvents(producer, Catalogue.load(), settings.access)
    read = Read("access.search", token(Scope(("acme",))), CALLER, "/api/v1/events", ("actor", "ip"), ">= x", "h", 3)
    recorder.read(read)
    (event,) = spooled(settings)
    assert (event["event_code"], event["record_kind"], event["tenant_id"]) == ("access.search", "access", "acme")
    assert event["access"]["filter_fields"] == ["actor", "ip"]
    block = {name: event["access"][name] for name in ("window", "rows_returned", "purpose", "ticket", "query_hash")}
    assert block == {"window": ">= x", "rows_returned": 3, "purpose": "complaint", "ticket": "T-7", "query_hash": "h"}
    assert (event["actor_type"], event["actor_id"], event["ip"]) == ("api_token", "tok_aaaaaaaaaa", "203.0.113.7")
    assert (event["request_id"], event["origin"], event["outcome"]) == ("req-1", "api", "success")


def test_a_reader_of_own_events_is_recorded_as_that_person_and_one_of_all_tenants_in_a_tenant_of_its_own(
    settings: Settings, producer: AuditProducer
) -> None:
    recorder = AccessEvents(producer, Catalogue.load(), settings.access)
    recorder.read(
        Read("access.view", token(Scope(("acme",), actor_id="u-1"), "own_events"), CALLER, "/x", target_id="e")
    )
    recorder.read(Read("access.denied", token(Scope()), CALLER, "/y", reason="no right"))
    own, denied = spooled(settings)
    assert (own["actor_type"], own["actor_id"], own["target_type"], own["target_id"]) == ("user", "u-1", "event", "e")
    assert (denied["tenant_id"], denied["outcome"], denied["outcome_reason"]) == ("auditstream", "denied", "no right")


def test_failed_sign_ins_are_recorded_up_to_a_rate_and_the_others_are_counted(
    settings: Settings, producer: AuditProducer
) -> None:
    now = [0.0]
    recorder = AccessEvents(producer, Catalogue.load(), settings.access, clock=lambda: now[0])
    for _ in range(5):
        recorder.sign_in_failed(CALLER, "unknown", "tok_bbbbbbbbbb")
    now[0] = 60.0
    recorder.sign_in_failed(CALLER, "revoked", "")
    events = spooled(settings)
    assert [e["event_code"] for e in events] == ["auth.login_failed"] * 3
    assert [e["details"] for e in events] == [{}, {}, {"not_recorded_before": "3"}]
    assert events[0]["auth"]["attempted_login"] == "tok_bbbbbbbbbb"
    assert (events[2]["outcome"], events[2]["outcome_reason"]) == ("failure", "the token is revoked")


def test_a_read_goes_on_when_its_record_cannot_be_kept(settings: Settings, producer: AuditProducer) -> None:
    recorder = AccessEvents(producer, Catalogue.load(), settings.access)
    producer.close()
    recorder.read(Read("access.search", token(Scope()), CALLER, "/api/v1/events"))
    assert spooled(settings) == []


def person(scope: Scope) -> Identity:
    return Identity(
        "oidc_0123456789abcdef",
        "Ann",
        "auditor",
        scope,
        NOW,
        issuer="https://id.example",
        subject="u-7",
        email="ann@example.com",
    )


def test_a_person_is_recorded_as_that_person_from_sign_in_to_sign_out(
    settings: Settings, producer: AuditProducer
) -> None:
    recorder = AccessEvents(producer, Catalogue.load(), settings.access)
    ann = person(Scope(("acme",)))
    recorder.signed_in(CALLER, ann, "oidc")
    recorder.read(Read("access.search", ann, CALLER, "/journal"))
    recorder.signed_out(CALLER, ann, "oidc")
    events = spooled(settings)
    assert [(e["event_code"], e["record_kind"]) for e in events] == [
        ("auth.login", "auth"),
        ("access.search", "access"),
        ("auth.logout", "auth"),
    ]
    assert {(e["actor_type"], e["actor_id"], e["actor_name"], e["actor_email"]) for e in events} == {
        ("user", "u-7", "Ann", "ann@example.com")
    }
    assert {e["tenant_id"] for e in events} == {"acme"}
    assert (events[0]["auth"]["method"], events[0]["outcome"], events[0]["origin"]) == ("oidc", "success", "dashboard")


def test_a_refused_person_is_recorded_with_the_reason(settings: Settings, producer: AuditProducer) -> None:
    recorder = AccessEvents(producer, Catalogue.load(), settings.access)
    recorder.sign_in_failed(CALLER, "no rule gives a role", "bob", "oidc")
    (event,) = spooled(settings)
    assert (event["auth"]["method"], event["auth"]["attempted_login"]) == ("oidc", "bob")
    assert (event["outcome"], event["outcome_reason"]) == ("failure", "no rule gives a role")


def test_a_change_of_tokens_says_who_made_it_and_what_from_the_command_line_and_over_http(
    settings: Settings, producer: AuditProducer
) -> None:
    recorder = AccessEvents(producer, Catalogue.load(), settings.access)
    made = {"role": (None, "auditor"), "tenants": (None, ["acme"])}
    typed = Change("access.token_create", Caller(""), "api_token", "tok_x", "desk", operator="root", values=made)
    recorder.changed(typed)
    admin = token(Scope(("acme",)), "administrator")
    recorder.changed(Change("access.token_revoke", CALLER, "api_token", "tok_x", "desk", by=admin, reason="no"))
    create, revoke = spooled(settings)
    assert (create["record_kind"], create["actor_type"], create["actor_id"]) == ("access", "user", "root")
    assert (create["origin"], create["origin_name"]) == ("other", "command line")
    assert [(c["field"], c["before"], c["after"]) for c in create["changes"]] == [
        ("role", None, "auditor"),
        ("tenants", None, '["acme"]'),
    ]
    assert (revoke["actor_id"], revoke["target_id"], revoke["outcome"]) == ("tok_aaaaaaaaaa", "tok_x", "denied")
    assert (revoke["tenant_id"], revoke["request_id"]) == ("acme", "req-1")


def test_a_full_spool_is_told_until_something_was_sent(settings: Settings, tmp_path: Path) -> None:
    small = settings.producer.model_copy(update={"spool_bytes": 16_384, "spool_segment_bytes": 8_192})
    with open_access_producer(settings.model_copy(update={"producer": small})) as producer:
        recorder = AccessEvents(producer, Catalogue.load(), settings.access)
        assert recorder.obstacle() == ""
        for _ in range(100):
            recorder.signed_in(CALLER, token(Scope()), "token")
        assert "events wait" in recorder.obstacle()
        kept = producer.counts().spooled
    assert 0 < kept < 100
    # Room again: the next process finds an empty spool.
    for path in settings.access.spool_dir.glob("*.spool"):
        path.unlink()
    with open_access_producer(settings) as producer:
        recorder = AccessEvents(producer, Catalogue.load(), settings.access)
        recorder.signed_in(CALLER, token(Scope()), "token")
        assert recorder.obstacle() == ""
