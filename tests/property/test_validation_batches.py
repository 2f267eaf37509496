"""Whole columns at a time decides as one event at a time would, and loses nothing."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit_batches import NOW_MS, batch, decode, encode, event, new_decoder
from consumers.enrich import ActorCard, ActorDirectory
from consumers.processing import Processor
from consumers.settings import EnrichSettings, ValidateSettings, WorkerSettings
from consumers.validation import Validator
from consumers.validation.limits import BODIES, TEXTS
from schemas.columns import avro_schema
from sinks.settings import RetentionSettings

CODES = ("campaign.activate", "api.call")
LIMITS = ValidateSettings(
    catalogue="strict",
    block="strict",
    json_bodies="strict",
    max_key_bytes=40,
    max_text_bytes=50,
    max_body_bytes=60,
    max_items=3,
)
BLOCKS = {"api_call": "api", "auth": "auth", "task": "task"}
END_US = 10_413_792_000_000_000
DECODER = new_decoder()

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.one_of(
    st.just(""),
    st.text(max_size=8),
    st.sampled_from(["x" * 40, "x" * 41, "é" * 25, "é" * 26, "x" * 51, "\0", "\u202e"]),
)
ids = st.one_of(
    st.uuids().map(str), st.uuids().map(lambda u: str(u).upper()), st.sampled_from(["", "x" * 36, "0" * 32])
)
times = st.one_of(
    st.just(NOW_MS * 1000),
    st.sampled_from([-(2**63), -1, 0, END_US - 1, END_US, 2**63 - 1]),
    st.integers(NOW_MS * 1000 + 86_399_999_999, NOW_MS * 1000 + 86_400_000_002),
)
addresses = st.one_of(
    st.just(""),
    st.ip_addresses().map(str),
    st.sampled_from(["1.2.3.4:1", "01.1.1.1", "fe80::1%a", "x", "::ffff:1.2.3.4", " ::1"]),
)
bodies = st.sampled_from(["", "plain", "{}", "[1]", "{", "[1,]", '{"a":1} ', " {", "x" * 60, "x" * 61])
apis = st.none() | st.fixed_dictionaries({"request_body": bodies, "truncated": st.booleans(), "method": texts})
tasks = st.none() | st.fixed_dictionaries({"started_at": st.none() | times, "type": texts})
changes = st.lists(st.fixed_dictionaries({"field": texts, "before": st.none() | texts}), max_size=4)
events = st.fixed_dictionaries(
    {
        "event_id": ids,
        "event_code": st.sampled_from([*CODES, "", " ", "unknown"]),
        "tenant_id": st.sampled_from(["acme", "other", "", "t" * 41]),
        "occurred_at": times,
        "record_kind": st.sampled_from(["action", "api_call", "auth", "task"]),
        "ip": addresses,
        "message": texts,
        "request_id": texts,
        "actor_id": st.sampled_from(["", "u1", "u2"]),
        "details": st.dictionaries(texts, texts, max_size=4),
        "subject_ids": st.lists(texts, max_size=4),
        "changes": changes,
        "api": apis,
        "task": tasks,
        "auth": st.sampled_from([None, {}]),
    }
).map(lambda fields: event(**fields))
#: Most events are sound, so that every batch has good neighbours.
mixed = st.lists(st.one_of(st.just(event()), events), max_size=12)


def strings(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every string of an event with the path its limit goes by."""
    for path, value in record.items():
        if isinstance(value, str):
            yield path, value
        elif path == "details":
            yield from (("key", key) for key in value)
            yield from (("details.*", text) for text in value.values())
        elif path == "changes":
            yield from ((f"changes.{k}", v) for change in value for k, v in change.items() if isinstance(v, str))
        elif isinstance(value, list):
            yield from ((path, text) for text in value)
        elif isinstance(value, dict):
            yield from ((f"{path}.{k}", v) for k, v in value.items() if isinstance(v, str))


def is_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def sizes(record: Mapping[str, Any], wanted: Callable[[str], bool]) -> int:
    """Return the bytes of the longest string among the wanted paths."""
    return max((len(text.encode()) for path, text in strings(record) if path != "event_id" and wanted(path)), default=0)


def out_of_range(record: Mapping[str, Any]) -> bool:
    started = (record.get("task") or {}).get("started_at")
    return not 0 <= record["occurred_at"] < END_US or (started is not None and not 0 <= started < END_US)


def misses_block(record: Mapping[str, Any]) -> bool:
    block = BLOCKS.get(record["record_kind"])
    return block is not None and record.get(block) is None


def has_bad_body(record: Mapping[str, Any]) -> bool:
    api = record.get("api") or {}
    body = api.get("request_body", "")
    return body[:1] in {"{", "["} and not api.get("truncated") and not is_json(body)


#: The rules again, as slow and plain as can be, in documented order.
RULES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "tenant_id_missing": lambda e: not e["tenant_id"].strip(),
    "event_code_missing": lambda e: not e["event_code"].strip(),
    "event_id_invalid": lambda e: (
        not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", e["event_id"])
    ),
    "time_out_of_range": out_of_range,
    "time_in_future": lambda e: NOW_MS * 1000 + 86_400_000_000 < e["occurred_at"] < END_US,
    "key_too_long": lambda e: sizes(e, lambda path: path not in TEXTS | BODIES) > 40,
    "text_too_long": lambda e: sizes(e, lambda path: path in TEXTS) > 50,
    "body_too_long": lambda e: sizes(e, lambda path: path in BODIES) > 60,
    "too_many_items": lambda e: any(len(e.get(path, ())) > 3 for path in ("details", "subject_ids", "changes")),
    "unknown_event_code": lambda e: bool(e["event_code"].strip()) and e["event_code"] not in CODES,
    "block_missing": misses_block,
    "ip_invalid": lambda e: bool(e.get("ip")) and not is_address(e["ip"]),
    "body_not_json": has_bad_body,
}


def judged_alone(record: Mapping[str, Any]) -> list[str]:
    """Return the reasons to refuse one event."""
    return [reason for reason, broken in RULES.items() if broken(record)]


@QUICK
@given(mixed)
def test_a_batch_is_judged_as_its_events_are_one_by_one(records: list[dict[str, Any]]) -> None:
    verdict = Validator(LIMITS, CODES).validate(decode(records, DECODER), np.full(len(records), NOW_MS, np.int64))
    expected = [judged_alone(record) for record in records]
    assert verdict.accepted.tolist() == [i for i, reasons in enumerate(expected) if not reasons]
    assert [(r.position, r.reason_code) for r in verdict.rejections] == [
        (i, reasons[0]) for i, reasons in enumerate(expected) if reasons
    ]
    for i in verdict.accepted.tolist():
        assert verdict.event_ids[i].tobytes() == uuid.UUID(records[i]["event_id"]).bytes


class Entry:
    category, crud, object_type, retention_class = "activate", "u", "campaign", "security"


def processor() -> Processor:
    directory = ActorDirectory(10)
    directory.state = "ready"
    directory.apply("acme", "u1", ActorCard(name="Ann", roles=("admin",)), 0, 0)
    return Processor(
        lambda _: avro_schema("audit_event", 1),
        dict.fromkeys(CODES, Entry()),
        validate=LIMITS,
        enrich=EnrichSettings(),
        retention=RetentionSettings(),
        worker=WorkerSettings(drop_event_codes=("api.*",)),
        directory=directory,
        worker_version="1",
    )


PROCESSOR = processor()
# The binary ones carry no schema id of their own: each new one would compile a reader.
messages = st.one_of(
    st.none(),
    st.binary(max_size=4),
    st.binary(min_size=1).map(lambda body: b"\0\0\0\0\7" + body),
    st.one_of(st.just(event()), events).map(encode),
)


@QUICK
@given(st.lists(messages, max_size=12), st.sets(st.integers(100, 115), max_size=5))
def test_every_offset_ends_in_exactly_one_place(values: list[bytes | None], gaps: set[int]) -> None:
    consumed = batch(values, gaps=gaps)
    processed = PROCESSOR.process(consumed)
    result = processed.sink_batch
    events_at, dead_at = (table["kafka_offset"].to_pylist() for table in (result.events, result.dead_letters))
    assert events_at == sorted(events_at)
    assert dead_at == sorted(dead_at)
    assert len({*events_at, *dead_at}) == len(events_at) + len(dead_at)
    assert {*events_at, *dead_at} <= set(consumed.offsets.tolist())
    assert len(events_at) + len(dead_at) + result.filtered + result.skipped == consumed.range.span
    assert set(result.payloads["kafka_offset"].to_pylist()) <= set(events_at)


@settings(QUICK, max_examples=20)
@given(st.lists(st.one_of(st.just(event()), events), max_size=4))
def test_an_event_becomes_the_same_row_alone_and_among_others(records: list[dict[str, Any]]) -> None:
    together = PROCESSOR.process(batch([encode(record) for record in records])).sink_batch.events.to_pylist()
    alone = [
        row
        for i, record in enumerate(records)
        for row in PROCESSOR.process(batch([encode(record)], first=100 + i)).sink_batch.events.to_pylist()
    ]
    assert together == alone
