"""Re-sending by a topic, and its audit events, over a real Kafka: put together from the settings as `serve` does."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import pytest
from confluent_kafka import Consumer, Message

from auditstream.resending import opened_resender
from auditstream.settings import Settings
from infrastructure.clickhouse import fresh_database
from infrastructure.kafka import Topics
from producers.settings import ProducerSettings
from query.resend import Ask, Asker, NoRoute, NotRecorded, Sendout, find_sendout
from query.resend_settings import ResendSettings
from query_log import Log, open_log
from resend_log import SECRET, attempt, emitting_service
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.settings import KafkaSettings, RegistrySettings
from sinks.settings import ClickHouseSettings

SCHEMA = fastavro.parse_schema(avro_schema("audit_event", 1))
ANN = Asker("user", "u-1", "Ann", "203.0.113.7", "dashboard")
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        yield opened


def settings_of(log: Log, topics: Topics, tmp_path: Path, routes: dict[str, Any], events_topic: str = "") -> Settings:
    return Settings(
        kafka=KafkaSettings(
            bootstrap_servers=topics.bootstrap, events_topic=events_topic or topics.create(partitions=1)
        ),
        registry=RegistrySettings(url=f"mock://{uuid4().hex}", cache_dir=tmp_path / "cache"),
        clickhouse=log.settings,
        producer=ProducerSettings(auto_register=True, delivery_timeout_s=5),
        resend=ResendSettings.model_validate({"routes": routes, "spool_dir": tmp_path / "spool"}),
    )


def failed(log: Log, **more: Any) -> Sendout:
    sendout_id = f"so-{uuid4().hex[:8]}"
    log.store([attempt(sendout_id, 3, **more)])
    return find_sendout(log.reader, sendout_id)


def read_all(topics: Topics, topic: str, count: int) -> list[Message]:
    """Return the first messages of a topic with one partition."""
    consumer = Consumer(
        {"bootstrap.servers": topics.bootstrap, "group.id": uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found.append(message)
    consumer.close()
    return found


def events(topics: Topics, topic: str, count: int) -> list[dict[str, Any]]:
    """Return the audit events of a topic, decoded by another implementation than the worker's."""
    messages = read_all(topics, topic, count)
    return [dict(fastavro.schemaless_reader(io.BytesIO(m.value()[5:]), SCHEMA, None)) for m in messages]  # type: ignore[arg-type, index]


def test_a_command_is_on_the_topic_and_both_steps_are_audit_events_of_the_catalogue(
    log: Log, topics: Topics, tmp_path: Path
) -> None:
    commands = topics.create(partitions=1)
    settings = settings_of(log, topics, tmp_path, {"shop": {"topic": commands}})
    sendout = failed(log, project_id="prj-1")
    ask = Ask(ANN, "customer waits", "k-1", request_id="req-now", token_id="tok_aaaaaaaaaa")
    with opened_resender(settings) as resender:
        done = resender.resend(sendout, ask)
        again = resender.resend(sendout, ask)
    assert (done.outcome.state, done.outcome.detail) == ("accepted", f"the request is on the topic {commands}")
    assert again.repeated
    (message,) = read_all(topics, commands, 1)
    assert message.key() == f"acme/{sendout.sendout_id}".encode()
    assert dict(message.headers() or ()) == {
        "content-type": b"application/json",
        "idempotency-key": str(done.resend_id).encode(),
    }
    command = json.loads(message.value() or b"")
    assert (command["type"], command["sendout_id"], command["reason"]) == (
        "webhook.resend",
        sendout.sendout_id,
        "customer waits",
    )
    asked, taken = events(topics, settings.kafka.events_topic, 2)
    assert [asked["event_code"], taken["event_code"]] == ["webhook.resend_requested", "webhook.resend_accepted"]
    assert [asked["outcome"], taken["outcome"]] == ["pending", "success"]
    for event in (asked, taken):
        assert (event["record_kind"], event["event_category"], event["tenant_id"]) == ("action", "send", "acme")
        assert (event["target_type"], event["target_id"]) == ("webhook", sendout.sendout_id)
        assert (event["actor_id"], event["actor_name"], event["origin"]) == ("u-1", "Ann", "dashboard")
        assert (event["project_id"], event["request_id"], event["causation_id"]) == (
            "prj-1",
            "req-now",
            sendout.event_id,
        )
        assert event["details"]["resend_id"] == str(done.resend_id)
        assert event["details"]["route"] == "shop"
    title = Catalogue.load().title("webhook.resend_requested", {**asked, "target_name": ""})
    assert title == f"Ann asked for webhook sendout {sendout.sendout_id} to be sent again: customer waits"


def test_a_topic_that_does_not_exist_is_no_success_and_is_audited_as_a_failure(
    log: Log, topics: Topics, tmp_path: Path
) -> None:
    routes = {"shop": {"topic": f"never-{uuid4().hex[:8]}", "deadline_s": 2}}
    settings = settings_of(log, topics, tmp_path, routes)
    with opened_resender(settings) as resender:
        done = resender.resend(failed(log), Ask(ANN, "why", "k-2"))
    assert done.outcome.state in ("refused", "unanswered")
    assert "was not acknowledged" in done.outcome.detail
    _, told = events(topics, settings.kafka.events_topic, 2)
    assert (told["event_code"], told["severity"]) == ("webhook.resend_failed", "ERROR")
    assert told["outcome_reason"] == done.outcome.detail


def test_routes_by_topic_and_by_url_stand_side_by_side_and_the_event_holds_no_secret(
    log: Log, topics: Topics, tmp_path: Path
) -> None:
    with emitting_service() as service:
        routes = {
            "refunds": {"type": "refund.*", "topic": topics.create(partitions=1)},
            "shop": {"url": service.url, "secret": SECRET, "attempts": 1},
        }
        settings = settings_of(log, topics, tmp_path, routes)
        service.answers(422, b"no")
        with opened_resender(settings) as resender:
            assert resender.resend(failed(log), Ask(ANN, "why", "k-3")).outcome.state == "refused"
            assert (
                resender.resend(failed(log, hook_event_type="refund.done"), Ask(ANN, "why", "k-3")).route == "refunds"
            )
        assert len(service.calls) == 1
    found = events(topics, settings.kafka.events_topic, 4)
    by_route = [(event["details"]["route"], event["outcome"]) for event in found]
    assert sorted(by_route) == [("refunds", "pending"), ("refunds", "success"), ("shop", "denied"), ("shop", "pending")]
    assert SECRET not in str(found)


def test_a_request_waits_on_disk_while_kafka_is_away_and_is_refused_when_not_even_that_is_possible(
    log: Log, topics: Topics, tmp_path: Path
) -> None:
    with emitting_service() as service:
        routes = {"shop": {"url": service.url, "secret": SECRET}}
        plain = settings_of(log, topics, tmp_path, routes, "events")
        away = plain.model_copy(update={"kafka": KafkaSettings(bootstrap_servers="127.0.0.1:9")})
        with opened_resender(away) as resender:
            assert resender.resend(failed(log), Ask(ANN, "why", "k-4")).outcome.state == "accepted"
        assert list((tmp_path / "spool").rglob("*"))
        blocked = tmp_path / "no directory"
        blocked.write_text("a file", "utf-8")
        nowhere = away.model_copy(update={"resend": away.resend.model_copy(update={"spool_dir": blocked})})
        with opened_resender(nowhere) as resender, pytest.raises(NotRecorded, match="nothing was asked"):
            resender.resend(failed(log), Ask(ANN, "why", "k-5"))
        assert len(service.calls) == 1


def test_without_routes_only_the_missing_setting_is_told(log: Log, topics: Topics, tmp_path: Path) -> None:
    settings = settings_of(log, topics, tmp_path, {}, "events")
    with opened_resender(settings) as resender, pytest.raises(NoRoute, match=r"resend\.routes"):
        resender.resend(failed(log), Ask(ANN, "why", "k-6"))
    assert not (tmp_path / "spool").exists()
