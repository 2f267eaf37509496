"""Odd values from a real Kafka to a real ClickHouse: stored as sent, or dead-lettered with the reason."""

from __future__ import annotations

import copy
import hashlib
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from infrastructure.bench import Bench
from infrastructure.kafka import Topics
from infrastructure.running import RunningWorker, Warehouse, joined
from schemas.settings import RegistrySettings
from schemas.wire import EventCodec, frame

pytest_plugins = ["infrastructure.running_fixtures"]

MIB = 1 << 20


@pytest.fixture
def bench(decoder: None, topics: Topics, registry_settings: RegistrySettings) -> Iterator[Bench]:
    made = Bench(topics, registry_settings, topics.create(partitions=1, max_message_bytes=str(8 * MIB)))
    yield made
    made.close()


def brought_in(bench: Bench, warehouse: Warehouse, count: int, **sections: Any) -> RunningWorker:
    """Run a worker until it has brought ``count`` messages to their end; the manifest then covers the topic."""
    worker = bench.worker(warehouse.sink, **sections)
    worker.wait_stored(count)
    worker.stop()
    assert joined(warehouse.oracle.manifests(bench.topic, 0)) == (0, bench.end() - 1)
    return worker


def by_offset(warehouse: Warehouse, table: str = "audit_events") -> dict[int, dict[str, Any]]:
    rows = warehouse.rows(table)
    found = {row["kafka_offset"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_an_event_of_nothing_but_required_values_is_stored_with_defaults(bench: Bench, warehouse: Warehouse) -> None:
    bench.send(bench.event(7, message=""))
    brought_in(bench, warehouse, 1)
    (row,) = warehouse.rows("audit_events")
    assert (row["tenant_id"], row["event_code"], row["record_kind"]) == ("acme", "campaign.update", "other")
    assert row["duration_ms"] is None
    assert row["api_status_code"] is None
    assert row["auth_new_device"] is None
    assert (row["details"], row["changes.before"], row["message"]) == ([], [], "")
    assert warehouse.rows("audit_payloads") == []


def test_every_optional_value_may_be_null_inside_its_block(bench: Bench, warehouse: Warehouse) -> None:
    names = ("api", "auth", "run", "task", "export", "hook", "access")
    blocks: dict[str, Any] = {name: {} for name in names}
    bench.send(bench.event(1, changes=[{"field": "f"}], **blocks))
    brought_in(bench, warehouse, 1)
    (row,) = warehouse.rows("audit_events")
    nullable = ["api_status_code", "run_value_num", "task_progress_pct", "export_row_count", "hook_next_retry_at"]
    assert [row[name] for name in nullable] == [None] * len(nullable)
    assert (row["changes.field"], row["changes.before"], row["changes.after"]) == (["f"], [None], [None])


def test_a_body_of_one_megabyte_arrives_byte_for_byte(bench: Bench, warehouse: Warehouse) -> None:
    body = '{"text": "' + "é" * (MIB // 2) + '"}'
    bench.send(bench.event(1), bench.event(2, record_kind="api_call", api={"request_body": body}), bench.event(3))
    brought_in(bench, warehouse, 3)
    (payload,) = warehouse.rows("audit_payloads")
    assert payload["kafka_offset"] == 1
    assert payload["api_request_body"] == body
    assert payload["api_response_body"] == ""


def test_right_to_left_text_and_nul_bytes_are_stored_unchanged(bench: Bench, warehouse: Warehouse) -> None:
    message, name, login = "قائمة \u202eحملة\u202c עברית", "a\x00b\x00", "\ud7ff\ue000\U0010ffff\ufeff"
    details = {"\x00key": "\x00", "": "empty key"}
    bench.send(bench.event(1, message=message, target_name=name, actor_login=login, details=details))
    brought_in(bench, warehouse, 1)
    (row,) = warehouse.rows("audit_events")
    assert (row["message"], row["target_name"], row["actor_login"]) == (message, name, login)
    assert dict(row["details"]) == details


def test_the_year_1970_is_stored_and_the_year_2200_is_a_dead_letter(bench: Bench, warehouse: Warehouse) -> None:
    moments = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC), datetime.now(UTC)]
    bench.send(*(bench.event(n, occurred_at=moment) for n, moment in enumerate(moments)))
    brought_in(bench, warehouse, 3)
    events = by_offset(warehouse)
    assert sorted(events) == [0, 2]
    assert events[0]["occurred_at"].replace(tzinfo=UTC) == moments[0]
    (letter,) = warehouse.letters()
    assert (letter["kafka_offset"], letter["stage"]) == (1, "validate")
    assert "2200" in letter["reason"]
    assert (letter["tenant_id"], letter["event_code"]) == ("acme", "campaign.update")


def test_a_code_that_the_catalogue_does_not_know_is_stored_and_flagged(bench: Bench, warehouse: Warehouse) -> None:
    bench.send(bench.event(1, event_code="never.heard_of"), bench.event(2))
    worker = brought_in(bench, warehouse, 2)
    flags = {offset: row["validation_flags"] for offset, row in by_offset(warehouse).items()}
    assert flags == {0: "unknown_event_code", 1: ""}
    assert worker.value("auditstream_flags_total", flag="unknown_event_code") == 1


#: Record kind -> the block that it asks for, with a value, the column and what must stand there.
KINDS: dict[str, tuple[dict[str, Any], str, object]] = {
    "other": ({}, "message", "event 0"),
    "action": ({"target_type": "campaign"}, "target_type", "campaign"),
    "api_call": ({"api": {"method": "GET", "status_code": 200}}, "api_status_code", 200),
    "auth": ({"auth": {"event": "login_failed", "new_device": True}}, "auth_new_device", True),
    "run_log": ({"run": {"run_id": "r", "state": "progress", "value_num": 0.5}}, "run_value_num", 0.5),
    "task": ({"task": {"task_id": "t", "status": "failed", "state_seq": 3}}, "task_status", "failed"),
    "export": ({"export": {"export_id": "e", "row_count": 5}}, "export_row_count", 5),
    "webhook": ({"hook": {"sendout_id": "s", "http_status": 503}}, "hook_http_status", 503),
    "access": ({"access": {"query_hash": "q", "rows_returned": 9}}, "access_rows_returned", 9),
    "system": ({"severity": "CRITICAL"}, "severity", "CRITICAL"),
}


def test_each_record_kind_is_stored_with_its_block(bench: Bench, warehouse: Warehouse) -> None:
    assert set(KINDS) == set(next(f for f in bench.schema["fields"] if f["name"] == "record_kind")["type"]["symbols"])
    for kind, (fields, _, _) in KINDS.items():
        bench.send(bench.event(0, record_kind=kind, **fields))
    brought_in(bench, warehouse, len(KINDS))
    rows = by_offset(warehouse)
    found = [(rows[n]["record_kind"], rows[n][column]) for n, (_, column, _) in enumerate(KINDS.values())]
    assert found == [(kind, value) for kind, (_, _, value) in KINDS.items()]


def newer(schema: Any) -> dict[str, Any]:
    """Return a version that a later service may write with: more fields of every shape, one more symbol."""
    later = copy.deepcopy(dict(schema))
    place = {"type": "record", "name": "Place", "fields": [{"name": "shelf", "type": ["null", "string"]}]}
    extra = [
        {"name": "place", "type": ["null", place], "default": None},
        {"name": "weights", "type": {"type": "map", "values": {"type": "array", "items": "double"}}, "default": {}},
        {"name": "mood", "type": {"type": "enum", "name": "Mood", "symbols": ["good", "bad"]}, "default": "good"},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
    ]
    later["fields"] = [*extra[:2], *later["fields"], *extra[2:]]
    kinds = next(f for f in later["fields"] if f["name"] == "record_kind")["type"]
    kinds["symbols"] = [*kinds["symbols"], "telepathy"]
    return later


def test_old_and_newer_writers_are_read_in_one_batch(bench: Bench, warehouse: Warehouse) -> None:
    later = bench.writer(newer(bench.schema))
    more = {
        "place": {"shelf": "top"},
        "weights": {"a": [1.0, 2.0], "b": []},
        "mood": "bad",
        "digest": b"\x00\xff\x01\x02",
    }
    bench.send(
        bench.event(0),
        bench.event(1, later, **more),
        bench.event(2),
        bench.event(3, later, record_kind="telepathy", digest=bytes(4)),
    )
    brought_in(bench, warehouse, 4)
    rows = by_offset(warehouse)
    assert [rows[n]["message"] for n in range(4)] == [f"event {n}" for n in range(4)]
    assert [rows[n]["schema_id"] for n in range(4)] == [bench.codec.schema_id, later.schema_id] * 2
    assert rows[3]["record_kind"] == "other"
    schema_ids = {i for m in warehouse.oracle.manifests(bench.topic, 0) for i in m.schema_ids}
    assert schema_ids == {bench.codec.schema_id, later.schema_id}


#: What no worker can read -> stage and reason code.
UNKNOWN_SCHEMA = 2_000_000_000


def bad_messages(bench: Bench) -> dict[str, bytes | None]:
    good = bench.event(1)
    return {
        "empty": None,
        "frame_short": b"\x00\x00",
        "frame_magic": b"\x07" + good[1:],
        "schema_unknown": frame(UNKNOWN_SCHEMA, good[5:]),
        "eof": good[:-1],
        "trailing_bytes": good + b"\x00",
    }


def test_what_cannot_be_read_is_a_dead_letter_with_its_reason_and_its_neighbours_are_stored(
    bench: Bench, warehouse: Warehouse
) -> None:
    bad = bad_messages(bench)
    for value in bad.values():
        bench.send(bench.event(1))
        bench.send(value, key=b"k\x00\xff", headers=[("trace", b"\x00\xfe"), ("trace", None), ("", b"")])
    bench.send(bench.event(1))
    brought_in(bench, warehouse, 2 * len(bad) + 1)
    assert sorted(by_offset(warehouse)) == list(range(0, 2 * len(bad) + 1, 2))
    letters = warehouse.letters()
    assert [(r["kafka_offset"], r["reason_code"]) for r in letters] == [(2 * n + 1, c) for n, c in enumerate(bad)]
    for letter, value in zip(letters, bad.values(), strict=True):
        raw = value or b""
        assert (letter["stage"], letter["key"], letter["headers.name"]) == (
            "decode",
            b"k\x00\xff",
            ["trace", "trace", ""],
        )
        assert letter["headers.value"] == [b"\x00\xfe", b"", b""]
        assert (letter["raw"], letter["raw_bytes"]) == (raw, len(raw))
        assert letter["raw_sha256"] == hashlib.sha256(raw).digest()
        assert letter["reason"]
    assert str(UNKNOWN_SCHEMA) in letters[3]["reason"]
    assert letters[3]["schema_id"] == UNKNOWN_SCHEMA


def test_a_message_above_the_limit_is_a_dead_letter_with_its_size(bench: Bench, warehouse: Warehouse) -> None:
    large = bench.event(1, message="x" * 300_000)
    bench.send(bench.event(0), large, bench.event(2))
    brought_in(bench, warehouse, 3, worker={"message_bytes": 200_000, "dead_letter_raw_bytes": 1000})
    assert sorted(by_offset(warehouse)) == [0, 2]
    (letter,) = warehouse.letters()
    assert (letter["kafka_offset"], letter["reason_code"]) == (1, "too_large")
    assert (letter["raw_bytes"], letter["raw_truncated"], letter["raw"]) == (len(large), True, large[:1000])
    assert letter["raw_sha256"] == hashlib.sha256(large).digest()


def test_text_that_is_not_utf8_harms_nobody_else(bench: Bench, warehouse: Warehouse) -> None:
    good = bench.event(1, message="fine text")
    broken = good.replace(b"fine text", b"\xff\xfe\xc0\x80 text")
    bench.send(good, broken, good)
    brought_in(bench, warehouse, 3)
    assert sorted(by_offset(warehouse)) == [0, 2]
    assert [r["reason_code"] for r in warehouse.letters()] == ["utf8"]


def test_a_schema_that_is_no_event_makes_dead_letters_of_its_messages_only(bench: Bench, warehouse: Warehouse) -> None:
    alien = {"type": "record", "name": "Order", "namespace": "shop", "fields": [{"name": "total", "type": "long"}]}
    alien_id = bench.registry.register(f"{bench.topic}-alien", alien)
    bench.send(bench.event(0), EventCodec(alien, alien_id).encode({"total": 5}), bench.event(2))
    brought_in(bench, warehouse, 3)
    assert sorted(by_offset(warehouse)) == [0, 2]
    (letter,) = warehouse.letters()
    assert (letter["reason_code"], struct.unpack(">I", struct.pack(">i", letter["schema_id"]))[0]) == (
        "schema_incompatible",
        alien_id,
    )
