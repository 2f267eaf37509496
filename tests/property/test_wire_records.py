"""An event arrives exactly as it was meant, or is refused: never changed on the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.errors import PayloadInvalid, RecordInvalid
from schemas.parsing import parse
from schemas.published import newest
from schemas.wire import HEADER_BYTES, EventCodec, frame, unframe

SCHEMA = newest("audit_event").schema
CODEC = EventCodec(SCHEMA, 7)
TEXT = st.text(max_size=12)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIMES = st.integers(0, 10**16).map(lambda micros: EPOCH + timedelta(microseconds=micros))
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.binary(max_size=3), st.lists(TEXT, max_size=2),
    st.dictionaries(TEXT, TEXT, max_size=2), st.just("\ud800"), st.just(datetime(2026, 1, 1)), st.tuples(TEXT, TEXT),  # noqa: DTZ001
)  # fmt: skip


PARSED = parse(SCHEMA, "audit_event")
SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "timestamp-micros": TIMES,
    "uuid": st.uuids(),
    "null": st.none(),
    "string": TEXT,
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
}


def values(node: Any) -> st.SearchStrategy[Any]:
    kind = PARSED.resolve(node)
    if isinstance(kind, list):
        return st.one_of(*map(values, kind))
    match kind:
        case {"type": "enum", "symbols": symbols}:
            return st.sampled_from(symbols)
        case {"type": "array", "items": items}:
            return st.lists(values(items), max_size=3)
        case {"type": "map", "values": inner}:
            return st.dictionaries(TEXT, values(inner), max_size=3)
        case {"type": "record", "fields": fields}:
            return record(fields)
    return SIMPLE[kind.get("logicalType", kind["type"])]


def record(fields: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    parts = {f["name"]: values(f["type"]) for f in fields}
    needed = {f["name"]: parts[f["name"]] for f in fields if "default" not in f}
    names = st.sets(st.sampled_from(sorted(parts)), max_size=6)
    return names.flatmap(lambda chosen: st.fixed_dictionaries(needed | {n: parts[n] for n in chosen}))


EVENTS = values(PARSED.root)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_what_was_given_comes_back(event: dict[str, Any]) -> None:
    read = CODEC.decode(CODEC.encode(event))
    assert set(read) == {f["name"] for f in SCHEMA["fields"]}
    assert_kept(event, read)


def encoded(event: dict[str, Any]) -> tuple[bytes | None, list[str]]:
    try:
        return CODEC.encode(event), []
    except RecordInvalid as error:
        return None, error.problems


def assert_kept(given_value: Any, read_value: Any) -> None:
    match given_value:
        case dict():
            for key, value in given_value.items():
                assert_kept(value, read_value[key])
        case list() | tuple():
            assert len(given_value) == len(read_value)
            for value, read in zip(given_value, read_value, strict=True):
                assert_kept(value, read)
        case _:
            assert given_value == read_value
            assert isinstance(given_value, bool) == isinstance(read_value, bool)


@settings(max_examples=400, deadline=None)
@example("severity", "LOUD")
@example("producer_seq", 1.5)
@example("producer_seq", True)
@given(st.sampled_from([f["name"] for f in SCHEMA["fields"] if f["name"] not in {"event_id", "occurred_at"}]), ODD)
def test_any_value_in_any_field_is_kept_or_refused(name: str, value: Any) -> None:
    event = {"event_id": str(UUID(int=1)), "event_code": "a", "tenant_id": "t", "occurred_at": 1, name: value}
    message, problems = encoded(event)
    assert [p for p in problems if p.startswith(name)] == problems
    if message is not None:
        assert_kept(value, CODEC.decode(message)[name])


@given(st.integers(0, 2**32 - 1), st.binary(max_size=50))
def test_frames_come_apart_as_they_were_put_together(schema_id: int, body: bytes) -> None:
    assert unframe(frame(schema_id, body)) == (schema_id, body)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_in_full_or_refused(body: bytes) -> None:
    try:
        read = CODEC.decode(frame(7, body))
    except PayloadInvalid:
        return
    assert set(read) == {f["name"] for f in SCHEMA["fields"]}


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.binary(min_size=1, max_size=4))
def test_bytes_behind_a_record_are_always_noticed(event: dict[str, Any], tail: bytes) -> None:
    message = CODEC.encode(event)
    assert message[:HEADER_BYTES] == b"\0\0\0\0\7"
    with pytest.raises(PayloadInvalid):
        CODEC.decode(message + tail)
