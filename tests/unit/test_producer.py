from __future__ import annotations

import io
import os
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers import (
    AuditProducer,
    InvalidEvent,
    ProducerClosed,
    ProducerForked,
    ProducerMisconfigured,
    ProducerSettings,
)
from producers.delivery import client_properties
from producers.encoding import RecordEncoder
from producers.keys import key_function
from producers.records import SCHEMA, to_record
from schemas.settings import KafkaSettings, RegistrySettings

_encode = RecordEncoder(SCHEMA["fields"]).encode
_parsed = fastavro.parse_schema(dict(SCHEMA))
_NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:9")
_REGISTRY = RegistrySettings(url="mock://unit")


def _producer(**more: Any) -> AuditProducer:
    return AuditProducer(_NOWHERE, _REGISTRY, ProducerSettings(auto_register=True, close_timeout_s=0.1, **more))


def test_what_the_promise_rests_on_wins_over_the_users_properties() -> None:
    extra = {
        "acks": "0",
        "request.required.acks": "0",
        "enable.idempotence": "false",
        "retries": "0",
        "max.in.flight": "1000",
        "transactional.id": "x",
    }
    kafka = KafkaSettings(extra=extra | {"linger.ms": "50"})
    properties = client_properties(kafka, ProducerSettings(), give_up=True)
    assert properties["acks"] == "all"
    assert properties["enable.idempotence"] is True
    assert not {"request.required.acks", "retries", "max.in.flight", "transactional.id"} & properties.keys()
    assert properties["linger.ms"] == "50"
    assert client_properties(kafka, ProducerSettings(), give_up=False)["message.timeout.ms"] == 0


def test_keys_follow_the_setting() -> None:
    record = to_record({"event_code": "a.b", "tenant_id": "t", "actor_id": "a", "target_type": "c", "target_id": "1"})
    task = to_record(
        {"event_code": "a.b", "tenant_id": "t", "actor_id": "a", "target_id": "1", "task": {"task_id": "9"}}
    )
    bare = to_record({"event_code": "a.b", "tenant_id": "t"})
    assert [key_function("object")(r) for r in (record, task, bare)] == [b"t/c/1", b"t/task/9", b"t"]
    assert [key_function("actor")(r) for r in (record, bare)] == [b"t/a", b"t"]
    assert key_function("tenant")(record) == b"t"
    assert key_function("none")(record) == b""


def test_a_wrong_event_is_refused_before_anything_is_counted() -> None:
    with _producer() as producer:
        with pytest.raises(InvalidEvent):
            producer.emit({"tenant_id": "t"})
        with pytest.raises(InvalidEvent, match="surrogate"):
            producer.emit({"event_code": "a.b", "tenant_id": "t", "product": "\ud800"})
        assert producer.counts().emitted == 0


def test_a_closed_producer_says_so_and_closing_twice_is_harmless() -> None:
    producer = _producer()
    assert producer.close() == 0
    assert producer.close() == 0
    with pytest.raises(ProducerClosed):
        producer.submit({"event_code": "a.b", "tenant_id": "t"})


def test_a_producer_of_the_parent_refuses_to_work_in_a_child() -> None:
    with _producer() as producer:
        producer._pid = os.getppid()
        with pytest.raises(ProducerForked, match="after the fork"):
            producer.submit({"event_code": "a.b", "tenant_id": "t"})


@pytest.mark.parametrize("wrong", [{}, {"spool_dir": "s", "spool_bytes": 5000, "spool_segment_bytes": 6000}])
def test_best_effort_without_a_usable_spool_is_a_mistake_in_the_settings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProducerMisconfigured, match="spool"):
        _producer(mode="best_effort", **wrong)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, list):
        return st.none() | _values(next(k for k in kind if k != "null"))
    name = kind if isinstance(kind, str) else kind["type"]
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "string": st.text(max_size=20),
        "int": st.integers(-(1 << 31), (1 << 31) - 1),
        "long": st.integers(-(1 << 63), (1 << 63) - 1),
        "boolean": st.booleans(),
        "double": st.floats(allow_nan=False),
    }
    if name in scalars:
        return scalars[name]
    if name == "enum":
        return st.sampled_from(kind["symbols"])
    if name == "array":
        return st.lists(_values(kind["items"]), max_size=3)
    if name == "map":
        return st.dictionaries(st.text(max_size=5), _values(kind["values"]), max_size=3)
    return _records(kind["fields"])


def _records(fields: list[dict[str, Any]]) -> st.SearchStrategy[Any]:
    required = {f["name"]: _values(f["type"]) for f in fields if "default" not in f}
    return st.fixed_dictionaries(required, optional={f["name"]: _values(f["type"]) for f in fields if "default" in f})


_PLAIN = [{k: v for k, v in f.items() if k != "logicalType"} for f in SCHEMA["fields"]]
_PLAIN[0] = {**_PLAIN[0], "type": "string"}


@pytest.mark.parametrize("part", range(0, len(_PLAIN), 12))
@given(data=st.data())
def test_the_encoder_writes_the_same_bytes_as_fastavro(part: int, data: st.DataObject) -> None:
    # A slice of the optional fields at a time: hypothesis limits how much one example may draw.
    chosen = [f for i, f in enumerate(_PLAIN) if "default" not in f or part <= i < part + 12]
    record = data.draw(_records(chosen))
    record["event_id"] = "0190a5c2-5b7e-7c3a-9d2e-3f4a5b6c7d8e"
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, _parsed, record)
    assert _encode(record) == stream.getvalue()
