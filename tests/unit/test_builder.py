from __future__ import annotations

import copy
import os
import pickle
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest

import producers
from producers import (
    Access,
    Actor,
    ApiCall,
    AuditEvent,
    Auth,
    Change,
    Export,
    InvalidEvent,
    Origin,
    Run,
    Target,
    TargetRef,
    Task,
    Webhook,
    changes_between,
    new_event_id,
)
from producers.identity import EventIds
from producers.records import SCHEMA, to_record

_FIELDS = {f["name"]: f for f in SCHEMA["fields"]}
_MINIMAL = {"event_code": "a.b", "tenant_id": "t"}


def _record(**more: Any) -> dict[str, Any]:
    return to_record({**_MINIMAL, **more})


def _inner(name: str) -> set[str]:
    kind = _FIELDS[name]["type"]
    record = kind["items"] if isinstance(kind, dict) else next(k for k in kind if k != "null")
    return {f["name"] for f in record["fields"]}


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (ApiCall, "api"),
        (Auth, "auth"),
        (Run, "run"),
        (Task, "task"),
        (Export, "export"),
        (Webhook, "hook"),
        (Access, "access"),
        (TargetRef, "targets"),
        (Change, "changes"),
    ],
)
def test_a_typed_block_has_exactly_the_fields_of_the_schema(of: type[Any], name: str) -> None:
    assert {f.name for f in fields(of)} == _inner(name)


def test_every_field_of_the_schema_can_be_reached_from_the_typed_event() -> None:
    stamped = {"schema_version", "producer_id", "producer_seq", "redactions"}
    grouped = {f"actor_{f.name}" for f in fields(Actor)} | {f"target_{f.name}" for f in fields(Target)}
    grouped |= {f.name for f in fields(Actor)} | {f.name for f in fields(Origin)} | {f.name for f in fields(Target)}
    reachable = {f.name for f in fields(AuditEvent)} | grouped | {"origin_name"}
    assert set(_FIELDS) - stamped <= reachable


def test_a_typed_event_and_its_dict_give_the_same_record() -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=2)))
    typed = AuditEvent(
        event_code="a.b",
        tenant_id="t",
        event_id="0190a5c2-5b7e-7c3a-9d2e-3f4a5b6c7d8e",
        occurred_at=at,
        actor=Actor(id="u", type="user", roles=["x"], on_behalf_of_id="v"),
        origin=Origin(kind="api", name="Shopify", ip="::1"),
        target=Target(type="campaign", id="c", parent_id="p"),
        task=Task(task_id="1", finished_at=at),
    )
    flat = {
        "event_code": "a.b",
        "tenant_id": "t",
        "event_id": UUID("0190a5c2-5b7e-7c3a-9d2e-3f4a5b6c7d8e"),
        "occurred_at": "2026-03-01T12:00:00.000001+02:00",
        "actor_id": "u",
        "actor_type": "USER",
        "actor_roles": ("x",),
        "on_behalf_of_id": "v",
        "origin": "Api",
        "origin_name": "Shopify",
        "ip": "::1",
        "target": {"type": "campaign", "id": "c", "parent_id": "p"},
        "task": {"task_id": "1", "finished_at": 1772359200000001},
    }
    assert to_record(typed) == to_record(flat)
    assert to_record(flat)["occurred_at"] == 1772359200000001
    assert to_record(flat)["record_kind"] == "task"


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"occurred_at": datetime(2026, 1, 1)}, "occurred_at", "offset"),  # noqa: DTZ001 - the mistake under test
        ({"occurred_at": "2026-01-01T00:00:00"}, "occurred_at", "offset"),
        ({"occurred_at": "yesterday"}, "occurred_at", "ISO 8601"),
        ({"occurred_at": 1.5}, "occurred_at", "whole number"),
        ({"occurred_at": True}, "occurred_at", "whole number"),
        ({"event_id": "x"}, "event_id", "UUID"),
        ({"event_id": 7}, "event_id", "UUID"),
        ({"actor_idd": "u"}, "actor_idd", "did you mean actor_id?"),
        ({"actor": {"nmae": "u"}}, "actor.nmae", "did you mean name?"),
        ({"api": {"metod": "GET"}}, "api.metod", "did you mean method?"),
        ({"actor": "u"}, "actor", "an object"),
        ({"severity": "WARN"}, "severity", "did you mean WARNING?"),
        ({"severity": 3}, "severity", "INFO"),
        ({"message": 3}, "message", "text"),
        ({"duration_ms": "3"}, "duration_ms", "whole number"),
        ({"duration_ms": 2**63}, "duration_ms", "whole number"),
        ({"tz_offset_min": 2**31}, "tz_offset_min", "whole number"),
        ({"details": [1]}, "details", "an object"),
        ({"details": {1: "x"}}, "details", "text key"),
        ({"actor_roles": "admin"}, "actor_roles", "a list"),
        ({"task": {"progress_pct": float("nan")}}, "task.progress_pct", "finite"),
        ({"changes": [{"field": "a", "masked": 1}]}, "changes.masked", "true or false"),
        ({"changes": ["a"]}, "changes", "an object"),
        ({"api": {}, "auth": {}}, "auth", "one typed block"),
        ({"api": {}, "hook": {}, "task": {}}, "hook", "one typed block"),
        ({"record_kind": "api_call", "api": {}, "hook": {}}, "record_kind", "without the block api"),
        ({"record_kind": "task"}, "record_kind", "task"),
        ({"record_kind": "auth", "api": {}}, "record_kind", "auth"),
        ({"actor_id": "a", "actor": {"id": "b"}}, "actor_id", "given before"),
        ({"tenant_id": ""}, "tenant_id", "required"),
    ],
)
def test_a_wrong_field_is_refused_by_name_with_the_value_and_what_was_expected(
    given: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidEvent, match=said.replace("?", r"\?")) as caught:
        _record(**given)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")


def test_a_webhook_may_tell_the_call_by_which_it_was_sent() -> None:
    call = ApiCall(method="POST", request_body={"order": 7})
    record = to_record(AuditEvent(event_code="webhook.sent", tenant_id="t", hook=Webhook(sendout_id="s"), api=call))
    assert (record["record_kind"], record["hook"]["sendout_id"]) == ("webhook", "s")
    assert (record["api"]["method"], record["api"]["request_body"]) == ("POST", '{"order":7}')


def test_something_that_is_no_event_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="AuditEvent or an object"):
        to_record(["event"])  # type: ignore[arg-type]


def test_nothing_to_say_is_the_default_of_the_schema() -> None:
    record = _record(message=None, api=None, duration_ms=None, details=None)
    assert record.keys() == {"schema_version", "event_code", "tenant_id", "record_kind", "event_id", "occurred_at"}
    assert record["record_kind"] == "action"


def test_values_that_are_not_text_become_json_where_json_belongs() -> None:
    record = _record(
        details={"n": 1, "ok": True, "none": None}, api={"request_body": {"b": [1]}, "query_params": "x=1"}
    )
    assert record["details"] == {"n": "1", "ok": "true", "none": ""}
    assert record["api"]["request_body"] == '{"b":[1]}'


@pytest.mark.parametrize(
    "at",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2200, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1901, 1, 1, tzinfo=UTC),
    ],
)
def test_times_keep_their_microseconds_in_every_century(at: datetime) -> None:
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=_record(occurred_at=at)["occurred_at"]) == at


def test_changes_between_two_states_are_listed_field_by_field() -> None:
    before = {"name": "a", "limit": 1, "rules": {"x": 1, "y": [1]}, "gone": None, "flag": True, "same": 1}
    after = {"name": "b", "limit": 1, "rules": {"x": 2, "y": [1]}, "new": {"k": "v"}, "flag": 1, "same": 1}
    assert changes_between(before, after) == (
        Change(field="name", before="a", after="b"),
        Change(field="rules.x", before="1", after="2"),
        Change(field="gone", before=None, after=None),
        Change(field="flag", before="true", after="1"),
        Change(field="new.k", before=None, after="v"),
    )


def test_equal_states_have_no_changes_and_an_empty_object_is_a_change() -> None:
    assert changes_between({"a": {"b": 1}}, {"a": {"b": 1}}) == ()
    assert changes_between({}, {"a": {}}) == (Change(field="a", before=None, after="{}"),)


def test_event_ids_are_version_7_and_rise_even_when_the_clock_goes_back() -> None:
    clock = iter([5_000_000, 5_000_000, 9_000_000, 1_000_000, 1_000_000, 9_500_000, 10_000_000])
    ids = EventIds(clock_ns=lambda: next(clock))
    made = [ids.next() for _ in range(7)]
    assert made == sorted(set(made))
    assert {UUID(i).version for i in made} == {7}
    assert {UUID(i).variant for i in made} == {uuid4().variant}
    assert UUID(made[0]).int >> 80 == 5
    assert UUID(made[3]).int >> 80 == 9


def test_an_exhausted_millisecond_borrows_the_next_one() -> None:
    ids = EventIds(clock_ns=lambda: 7_000_000, random=lambda n: b"\xff" * n)
    ids._tail, ids._ms = (1 << 74) - 1, 7
    assert UUID(ids.next()).int >> 80 == 8


def test_new_event_ids_never_repeat() -> None:
    made = [new_event_id() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_the_public_names_are_these() -> None:
    assert sorted(producers.__all__) == producers.__all__
    assert all(hasattr(producers, name) for name in producers.__all__)
    errors = [getattr(producers, n) for n in producers.__all__ if isinstance(getattr(producers, n), type)]
    assert all(issubclass(e, producers.ProducerError) for e in errors if issubclass(e, Exception))


def test_a_typed_object_refuses_unknown_and_missing_fields_at_once() -> None:
    with pytest.raises(TypeError, match=r"AuditEvent needs tenant_id and has no tenant"):
        AuditEvent(event_code="a.b", tenant="t")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Actor has no nmae"):
        Actor(nmae="x")  # type: ignore[call-arg]


def test_a_misspelt_attribute_set_later_is_refused_when_the_event_is_emitted() -> None:
    event = AuditEvent(event_code="a.b", tenant_id="t", actor=Actor(id="u"))
    event.mesage = "x"  # type: ignore[attr-defined]
    with pytest.raises(InvalidEvent, match=r"did you mean message\?"):
        to_record(event)


def test_typed_objects_remain_dataclasses() -> None:
    one, other = Actor(id="u"), Actor(id="u", name=None)
    assert one == other
    assert one.name is None
    assert replace(one, name="x") == Actor(id="u", name="x")
    assert repr(one) == repr(other)
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_child_process_makes_other_ids_than_its_parent() -> None:
    new_event_id()
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, "".join(new_event_id() for _ in range(50)).encode())
        os._exit(0)
    of_parent = {new_event_id() for _ in range(50)}
    os.waitpid(child, 0)
    text = os.read(readable, 50 * 36).decode()
    os.close(readable)
    os.close(writable)
    assert len(text) == 50 * 36
    assert not of_parent & {text[i : i + 36] for i in range(0, len(text), 36)}
