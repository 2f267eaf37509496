"""Changes made on the command line reach Kafka, those of an outage with the next command; real Kafka, real registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditstream.change_trail import change_trail
from auditstream.settings import Settings
from infrastructure.kafka import Topics
from infrastructure.sent_events import sent_events
from query.access.administration import TOKEN_CREATE, TOKEN_REVOKE
from query.settings import AccessSettings
from schemas.columns import avro_schema
from schemas.registry import open_registry, value_subject
from schemas.settings import KafkaSettings, RegistrySettings


def test_a_change_of_an_outage_arrives_with_the_next_command(
    tmp_path: Path, kafka_bootstrap: str, schema_registry_url: str, topics: Topics
) -> None:
    topic = topics.create(partitions=1)
    registry = RegistrySettings(url=schema_registry_url, cache_dir=tmp_path / "cache")
    opened = open_registry(registry)
    opened.register(value_subject(topic), avro_schema("audit_event", 1))
    opened.close()
    there = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka_bootstrap, events_topic=topic),
        registry=registry,
        access=AccessSettings(spool_dir=tmp_path / "spool"),
    )
    away = there.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:9", events_topic=topic)})
    told: list[str] = []
    with change_trail(away, told.append) as trail:
        assert trail
        trail.changed(TOKEN_CREATE, ("api_token", "tok_a", "desk"), {"role": (None, "auditor")})
    assert told == [
        f"1 records of changes wait for Kafka in {tmp_path / 'spool' / 'commands'}; the next command sends them"
    ]
    slow = there.producer.model_copy(update={"close_timeout_s": 60.0})
    with change_trail(there.model_copy(update={"producer": slow}), told.append) as trail:
        assert trail
        trail.changed(TOKEN_REVOKE, ("api_token", "tok_a", "desk"), {"revoked_at": (None, "2026-06-15T00:00:00Z")})
    create, revoke = sent_events(there, 2, timeout_s=60)
    assert [(e["event_code"], e["record_kind"], e["target_id"]) for e in (create, revoke)] == [
        ("access.token_create", "access", "tok_a"),
        ("access.token_revoke", "access", "tok_a"),
    ]
    assert [(c["field"], c["after"]) for c in create["changes"]] == [("role", "auditor")]


def test_switched_off_it_leaves_nothing(tmp_path: Path) -> None:
    off = Settings(access=AccessSettings(spool_dir=tmp_path / "spool", record=False))
    with change_trail(off, pytest.fail) as trail:
        assert trail is None
    assert not (tmp_path / "spool").exists()
