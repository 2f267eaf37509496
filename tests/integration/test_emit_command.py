"""``auditstream emit`` and ``auditstream generate`` as a user runs them, on a real broker and registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from infrastructure.kafka import Topics
from schemas.columns import avro_schema
from schemas.registry import open_registry, value_subject
from schemas.settings import RegistrySettings
from schemas.wire import EventCodec, unframe

Environment = dict[str, str]


@pytest.fixture
def environment(kafka_bootstrap: str, schema_registry_url: str, topics: Topics, tmp_path: Path) -> Environment:
    """Settings of a fresh topic whose schema is registered."""
    topic, actors = topics.create(partitions=2), topics.create("audit.actors", partitions=2)
    registry = open_registry(RegistrySettings(url=schema_registry_url, cache_dir=tmp_path / "cache"))
    registry.register(value_subject(topic), avro_schema("audit_event", 1))
    registry.register(value_subject(actors), avro_schema("actor", 1))
    registry.close()
    return {
        **os.environ,
        "AUDITSTREAM_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "AUDITSTREAM_KAFKA_EVENTS_TOPIC": topic,
        "AUDITSTREAM_KAFKA_ACTORS_TOPIC": actors,
        "AUDITSTREAM_REGISTRY_URL": schema_registry_url,
        "AUDITSTREAM_REGISTRY_CACHE_DIR": str(tmp_path / "cache"),
    }


def _run(environment: Environment, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from auditstream.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, input=given, capture_output=True, timeout=90, check=False)


def _values(environment: Environment, topic: str) -> list[bytes]:
    address = environment["AUDITSTREAM_KAFKA_BOOTSTRAP_SERVERS"]
    consumer = Consumer({"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    values: list[bytes] = []
    for partition in range(2):
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), 20)
        consumer.assign([TopicPartition(topic, partition, 0)])
        position = 0
        while position < end:
            for message in consumer.consume(500, 1.0):
                position = (message.offset() or 0) + 1
                values.append(message.value() or b"")
    consumer.close()
    return values


def test_good_lines_arrive_and_bad_ones_are_reported_with_number_and_reason(
    environment: Environment, tmp_path: Path
) -> None:
    def line(n: int, **more: object) -> bytes:
        return json.dumps(
            {"event_code": "a.b", "tenant_id": "t", "message": f"m{n}", **more}, ensure_ascii=False
        ).encode()

    bad = {
        4: b'{"event_code": "a.b"',
        5: line(5).replace(b"m5", b"\xff\xfe"),
        6: b"[1]",
        7: line(7, tennant_id="x"),
        8: line(8, occurred_at="2026-01-01T00:00:00"),
        9: line(9).replace(b"m9", b"\0"),
    }
    lines = [
        b"\xef\xbb\xbf" + line(1) + b"\r",
        b"   ",
        line(3, api={"request_body": "x" * 900_000, "response_body": "سلام \u0000"}),
        *(bad[n] for n in range(4, 10)),
        line(10, details={"password": "hunter2hunter2"}),
    ]
    kept = tmp_path / "bad.ndjson"
    done = _run(environment, "emit", "--errors", str(kept), given=b"\n".join(lines))
    told = done.stderr.decode()
    assert done.returncode == 1, told
    assert "3 acknowledged, 6 failed" in told
    for number, reason in (
        (4, "not JSON"),
        (5, "not JSON"),
        (6, "a JSON object"),
        (7, "did you mean tenant_id"),
        (8, "offset"),
        (9, "not JSON"),
    ):
        assert any(t.startswith(f"line {number}: ") and reason in t for t in told.splitlines()), (number, told)
    assert kept.read_bytes().splitlines() == list(bad.values())
    values = _values(environment, environment["AUDITSTREAM_KAFKA_EVENTS_TOPIC"])
    codec = EventCodec(avro_schema("audit_event", 1), unframe(values[0])[0])
    events = {e["message"]: e for e in map(codec.decode, values)}
    assert events.keys() == {"m1", "m3", "m10"}
    assert events["m3"]["api"]["response_body"] == "سلام \0"
    assert len(events["m3"]["api"]["request_body"]) == 900_000
    assert events["m10"]["details"] == {"password": "***"}


def test_a_file_of_good_lines_ends_with_exit_code_0(environment: Environment, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'{"event_code":"a.b","tenant_id":"t"}\n' * 500)
    done = _run(environment, "emit", str(file))
    assert done.returncode == 0, done.stderr
    assert b"500 acknowledged, 0 failed" in done.stderr
    assert len(_values(environment, environment["AUDITSTREAM_KAFKA_EVENTS_TOPIC"])) == 500


def test_wrong_settings_end_with_exit_code_2(environment: Environment) -> None:
    assert _run({**environment, "AUDITSTREAM_PRODUCER_MODE": "sometimes"}, "emit").returncode == 2
    done = _run({**environment, "AUDITSTREAM_PRODUCER_MODE": "best_effort"}, "emit")
    assert done.returncode == 2
    assert b"spool_dir" in done.stderr


def test_undelivered_lines_end_with_exit_code_1(environment: Environment, tmp_path: Path) -> None:
    away = {
        **environment,
        "AUDITSTREAM_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "AUDITSTREAM_PRODUCER_DELIVERY_TIMEOUT_S": "2",
    }
    done = _run(away, "emit", "--errors", str(tmp_path / "bad"), given=b'{"event_code":"a.b","tenant_id":"t"}\n')
    assert done.returncode == 1
    assert b"line 1: event" in done.stderr
    assert (tmp_path / "bad").read_bytes() == b'{"event_code":"a.b","tenant_id":"t"}\n'


def test_a_generated_load_arrives_whole_and_its_summary_accounts_for_each_message(environment: Environment) -> None:
    done = _run(
        environment, "generate", "--count", "2000", "--seed", "3", "--bad-share", "0.05", "--actors", "--tenants", "4"
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["produced"] == summary["stored"] + summary["dead_letter"] == sum(summary["reasons"].values()) == 2000
    assert summary["dead_letter"] > 50
    assert len(_values(environment, environment["AUDITSTREAM_KAFKA_EVENTS_TOPIC"])) == 2000
    assert len(_values(environment, environment["AUDITSTREAM_KAFKA_ACTORS_TOPIC"])) == summary["cards"] == 200


def test_a_kind_that_does_not_exist_is_wrong_usage(environment: Environment) -> None:
    done = _run(environment, "generate", "--count", "1", "--kinds", "taks")
    assert done.returncode == 2
    assert b"run_log" in done.stderr
