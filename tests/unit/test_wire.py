"""The wire format and the codec of producers."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from schemas.errors import PayloadInvalid, RecordInvalid, SchemaInvalid
from schemas.published import newest
from schemas.wire import HEADER_BYTES, EventCodec, frame, unframe

EVENT_ID = "01934f3e-0000-7000-8000-000000000001"


def event(**fields: Any) -> dict[str, Any]:
    minimal = {
        "event_id": EVENT_ID,
        "event_code": "campaign.create",
        "tenant_id": "acme",
        "occurred_at": datetime(2026, 11, 1, 12, 0, 0, 123456, UTC),
    }
    return {**minimal, **fields}


@pytest.fixture(scope="module")
def codec() -> EventCodec:
    return EventCodec(newest("audit_event").schema, 7)


def problems_of(codec: EventCodec, record: Any) -> list[str]:
    with pytest.raises(RecordInvalid) as caught:
        codec.encode(record)
    return caught.value.problems


@pytest.mark.parametrize("schema_id", [0, 1, 258, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_frame_is_a_zero_the_id_in_four_bytes_and_the_body(schema_id: int) -> None:
    framed = frame(schema_id, b"body")
    assert framed == b"\0" + schema_id.to_bytes(4, "big") + b"body"
    assert unframe(framed) == (schema_id, b"body")


@pytest.mark.parametrize("schema_id", [-1, 2**32])
def test_an_id_that_needs_more_than_four_bytes_is_refused(schema_id: int) -> None:
    with pytest.raises(struct.error):
        frame(schema_id, b"")


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0\0\1", b"\1\0\0\0\1x", b'{"a":1}'])
def test_what_is_not_framed_is_refused(payload: bytes) -> None:
    with pytest.raises(PayloadInvalid):
        unframe(payload)


def test_an_event_comes_back_as_it_was_with_defaults_filled(codec: EventCodec) -> None:
    message = codec.encode(event(api={"method": "POST", "status_code": 404}, details={"ключ": "\0"}))
    assert message[:HEADER_BYTES] == b"\0\0\0\0\7"
    record = codec.decode(message)
    assert record["event_id"] == UUID(EVENT_ID)
    assert record["occurred_at"] == event()["occurred_at"]
    assert (record["api"]["status_code"], record["api"]["route"], record["task"]) == (404, "", None)
    assert record["details"] == {"ключ": "\0"}


def test_a_time_may_be_microseconds_or_in_any_zone(codec: EventCodec) -> None:
    moment = event()["occurred_at"]
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert (
        codec.encode(event(occurred_at=micros)) == codec.encode(event()) == codec.encode(event(occurred_at=elsewhere))
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"severity": "LOUD"}, "severity: 'LOUD' is a str, expected one of INFO, DEBUG"),
        ({"tenant_id": 5}, "tenant_id: 5 is a int, expected text"),
        ({"tenant_id": None}, "tenant_id: None, expected text"),
        ({"bogus": 1}, "bogus: 1 is a int, expected no such field"),
        ({"api": {"status_code": "x"}}, "api.status_code: 'x' is a str, expected a whole number from -2147483648"),
        ({"api": {"statuscode": 1}}, "api.statuscode: 1 is a int, expected no such field"),
        ({"api": [1]}, "api: [1] is a list, expected a mapping"),
        ({"changes": [{"field": "a"}, {"before": 3}]}, "changes[1].before: 3 is a int, expected text"),
        ({"ip_trusted_hops": 2**31}, "ip_trusted_hops: 2147483648 is a int, expected a whole number"),
        ({"hook": {"attempt": 2**40}}, "hook.attempt: 1099511627776 is a int, expected a whole number"),
        ({"producer_seq": 1.0}, "producer_seq: 1.0 is a float, expected a whole number"),
        ({"producer_seq": True}, "producer_seq: True is a bool, expected a whole number"),
        ({"producer_seq": 2**63}, "producer_seq: 9223372036854775808 is a int, expected a whole number"),
        ({"api": {"truncated": "false"}}, "api.truncated: 'false' is a str, expected true or false"),
        ({"run": {"value_num": "1"}}, "run.value_num: '1' is a str, expected a number"),
        ({"occurred_at": datetime(2026, 1, 1)}, "occurred_at: datetime.datetime(2026, 1, 1, 0, 0) is a datetime, exp"),  # noqa: DTZ001
        ({"occurred_at": "2026-01-01"}, "occurred_at: '2026-01-01' is a str, expected a time with its zone"),
        ({"task": {"started_at": datetime(2026, 1, 1)}}, "task.started_at: datetime.datetime(2026"),  # noqa: DTZ001
        ({"details": {"a": 1}}, "details.a: 1 is a int, expected text"),
        ({"details": {1: "a"}}, "details: the key 1 is a int, expected text"),
        ({"details": [("a", "b")]}, "details: [('a', 'b')] is a list, expected a mapping"),
        ({"ip_chain": "10.0.0.1"}, "ip_chain: '10.0.0.1' is a str, expected a list"),
        ({"message": "\ud800"}, "message: '\\ud800' is a str, expected text that can be written as UTF-8"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_field_value_and_expectation(
    codec: EventCodec, fields: dict[str, Any], problem: str
) -> None:
    found = problems_of(codec, event(**fields))
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_all_problems_of_a_record_are_told_at_once(codec: EventCodec) -> None:
    record = event(severity=1, bogus=2, producer_seq=1.5)
    del record["tenant_id"]
    found = problems_of(codec, record)
    assert sorted(p.partition(":")[0] for p in found) == ["bogus", "producer_seq", "severity", "tenant_id"]


def test_a_long_value_is_cut_in_the_message(codec: EventCodec) -> None:
    (problem,) = problems_of(codec, event(api=["x" * 1_000_000]))
    assert len(problem) < 200


@pytest.mark.parametrize("record", [None, [], "x", ("auditstream.AuditEvent", {})])
def test_what_is_not_a_record_is_refused(codec: EventCodec, record: Any) -> None:
    assert problems_of(codec, record)


def test_every_broken_message_is_refused_and_none_is_read_in_part(codec: EventCodec) -> None:
    message = codec.encode(event())
    for end in range(len(message)):
        with pytest.raises(PayloadInvalid):
            codec.decode(message[:end])
    with pytest.raises(PayloadInvalid, match="1 bytes behind the end"):
        codec.decode(message + b"\0")


def test_a_message_of_another_schema_is_refused(codec: EventCodec) -> None:
    with pytest.raises(PayloadInvalid, match="schema id 8, expected 7"):
        codec.decode(frame(8, codec.encode(event())[HEADER_BYTES:]))


def test_a_codec_needs_a_schema() -> None:
    with pytest.raises(SchemaInvalid, match="schema id 3"):
        EventCodec({"type": "record", "name": "R", "fields": [{"name": "a", "type": "nonsense"}]}, 3)


def test_a_union_of_several_types_takes_each_of_them_and_nothing_else() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": ["null", "string", "long"]}]}
    codec = EventCodec(schema, 1)
    for value in (None, "x", 5):
        assert codec.decode(codec.encode({"a": value})) == {"a": value}
    assert problems_of(codec, {"a": 1.5})[0].startswith("a: 1.5 is a float, expected nothing or text")
