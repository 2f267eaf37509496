"""Both ways of delivering against a real broker, its outages, and a killed process."""

from __future__ import annotations

import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from infrastructure.kafka import Broker, Topics
from infrastructure.processes import Processes
from producers import (
    AuditEvent,
    AuditProducer,
    Counts,
    DeliveryFailed,
    ProducerSettings,
    SpoolFull,
    SpoolLocked,
    Target,
)
from producers.records import SCHEMA
from schemas.errors import RegistryUnavailable, SchemaNotFound
from schemas.registry import Registry, open_registry
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.wire import EventCodec

_SMALL = 64 * 1024


def _registry() -> Registry:
    return open_registry(RegistrySettings(url=f"mock://{uuid.uuid4().hex}"))


def _event(n: int, target: str = "c1") -> AuditEvent:
    return AuditEvent(
        event_code="campaign.update", tenant_id="acme", target=Target(type="campaign", id=target), message=str(n)
    )


def _stored(bootstrap: str, topic: str, schema_id: int = 1) -> list[dict[str, Any]]:
    """Read a whole topic, partition by partition, decoded by the reference."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    codec = EventCodec(dict(SCHEMA), schema_id)
    events: list[dict[str, Any]] = []
    partitions = consumer.list_topics(topic, 20).topics[topic].partitions
    for partition in partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), 20)
        consumer.assign([TopicPartition(topic, partition, 0)])
        position = 0
        while position < end:
            for message in consumer.consume(500, 1.0):
                position = (message.offset() or 0) + 1
                event = codec.decode(message.value() or b"")
                events.append(event | {"event_id": str(event["event_id"])})
    consumer.close()
    return events


def _best_effort(directory: Path, **more: Any) -> ProducerSettings:
    return ProducerSettings(mode="best_effort", spool_dir=directory, auto_register=True, **more)


def test_five_lines_emit_an_event_that_kafka_has_when_emit_returns(kafka_bootstrap: str, topics: Topics) -> None:
    topic = topics.create(partitions=2)
    with AuditProducer(
        KafkaSettings(bootstrap_servers=kafka_bootstrap, events_topic=topic),
        _registry(),
        ProducerSettings(auto_register=True, source_service="shop"),
    ) as producer:
        event_id = producer.emit(_event(1))
        assert sum(topics.end_offsets(topic).values()) == 1
        assert producer.counts() == Counts(emitted=1, acknowledged=1, failed=0, spooled=0)
    stored = _stored(kafka_bootstrap, topic)
    assert [(e["event_id"], e["source_service"], e["producer_seq"]) for e in stored] == [(event_id, "shop", 1)]


def test_many_threads_emit_and_the_sequence_has_neither_gap_nor_repetition(
    kafka_bootstrap: str, topics: Topics
) -> None:
    topic = topics.create(partitions=4)
    kafka = KafkaSettings(bootstrap_servers=kafka_bootstrap, events_topic=topic)
    with AuditProducer(kafka, _registry(), ProducerSettings(auto_register=True)) as producer:

        def work(thread: int) -> None:
            for n in range(250):
                producer.submit(_event(n, f"c{thread}"))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert producer.flush(30) == 0
    stored = _stored(kafka_bootstrap, topic)
    assert sorted(e["producer_seq"] for e in stored) == list(range(1, 2001))
    for thread in range(8):
        of_one = [int(e["message"]) for e in stored if e["target_id"] == f"c{thread}"]
        assert of_one == sorted(of_one), "events of one object keep their order"


def test_strict_mode_says_when_an_event_was_not_acknowledged_and_that_it_may_arrive(controlled_broker: Broker) -> None:
    topic = Topics(controlled_broker.bootstrap).create(partitions=1)
    kafka = KafkaSettings(bootstrap_servers=controlled_broker.bootstrap, events_topic=topic)
    with AuditProducer(kafka, _registry(), ProducerSettings(auto_register=True)) as producer:
        producer.emit(_event(1))
        controlled_broker.pause()
        try:
            with pytest.raises(DeliveryFailed, match="may still arrive") as caught:
                producer.emit(_event(2), timeout_s=0.5)
            assert caught.value.may_arrive
        finally:
            controlled_broker.resume()
        assert producer.flush(30) == 0
    stored = _stored(controlled_broker.bootstrap, topic)
    assert stored[1]["event_id"] == caught.value.event_id
    assert len(stored) == 2


def test_best_effort_outlives_an_outage_and_sends_everything_once_in_order(
    controlled_broker: Broker, tmp_path: Path
) -> None:
    topic = Topics(controlled_broker.bootstrap).create(partitions=1)
    kafka = KafkaSettings(bootstrap_servers=controlled_broker.bootstrap, events_topic=topic)
    settings = _best_effort(tmp_path / "spool", queue_events=50, spool_segment_bytes=_SMALL)
    with AuditProducer(kafka, _registry(), settings) as producer:
        ids = [producer.emit(_event(n)) for n in range(100)]
        assert producer.flush(30) == 0
        controlled_broker.stop()
        ids += [producer.emit(_event(n)) for n in range(100, 1000)]
        assert producer.counts().spooled == 900
        controlled_broker.start()
        assert producer.flush(60) == 0
        assert producer.counts() == Counts(emitted=1000, acknowledged=1000, failed=0, spooled=0)
    assert [e["event_id"] for e in _stored(controlled_broker.bootstrap, topic)] == ids
    assert not list((tmp_path / "spool").glob("*.spool"))


_EMITTER = """
import sys
from pathlib import Path
from producers import AuditEvent, AuditProducer, ProducerSettings
from schemas.registry import open_registry
from schemas.settings import KafkaSettings, RegistrySettings
address, topic, spool, accepted = sys.argv[1:]
settings = ProducerSettings(mode="best_effort", spool_dir=Path(spool), auto_register=True, spool_segment_bytes=65536)
kafka = KafkaSettings(bootstrap_servers=address, events_topic=topic)
producer = AuditProducer(kafka, RegistrySettings(url="mock://killed"), settings)
with open(accepted, "a", buffering=1) as out:
    while True:
        out.write(producer.emit(AuditEvent(event_code="a.b", tenant_id="t")) + chr(10))
"""


def test_every_event_accepted_before_a_kill_is_sent_by_the_next_process(
    controlled_broker: Broker, tmp_path: Path, processes: Processes
) -> None:
    topic = Topics(controlled_broker.bootstrap).create(partitions=2)
    accepted, spool = tmp_path / "accepted", tmp_path / "spool"
    accepted.touch()
    controlled_broker.pause()
    arguments = [controlled_broker.bootstrap, topic, str(spool), str(accepted)]
    emitter = processes.start("emitter", [sys.executable, "-c", _EMITTER, *arguments])
    deadline = time.monotonic() + 60
    while accepted.read_bytes().count(b"\n") < 2000 and time.monotonic() < deadline:
        time.sleep(0.05)
    emitter.kill()
    controlled_broker.resume()
    kafka = KafkaSettings(bootstrap_servers=controlled_broker.bootstrap, events_topic=topic)
    with AuditProducer(kafka, _registry(), _best_effort(spool)) as producer:
        assert producer.flush(60) == 0
    ids = [line for line in accepted.read_text().splitlines() if len(line) == 36]
    stored = [e["event_id"] for e in _stored(controlled_broker.bootstrap, topic)]
    assert len(ids) >= 2000
    assert set(ids) <= set(stored)
    # The kill may fall between accepting an event and noting its id: one more, never one less.
    assert len(set(stored)) <= len(ids) + 1


def _emit_until_refused(producer: AuditProducer, accepted: list[str]) -> None:
    while len(accepted) < 10_000:
        accepted.append(producer.emit(_event(len(accepted))))


def test_a_full_spool_refuses_events_and_takes_them_again_after_the_outage(
    tmp_path: Path, controlled_broker: Broker
) -> None:
    topic = Topics(controlled_broker.bootstrap).create(partitions=1)
    kafka = KafkaSettings(bootstrap_servers=controlled_broker.bootstrap, events_topic=topic)
    settings = _best_effort(tmp_path / "spool", spool_bytes=2 * _SMALL, spool_segment_bytes=_SMALL)
    with AuditProducer(kafka, _registry(), settings) as producer:
        controlled_broker.pause()
        accepted: list[str] = []
        with pytest.raises(SpoolFull, match="was not accepted"):
            _emit_until_refused(producer, accepted)
        controlled_broker.resume()
        assert producer.flush(60) == 0
        accepted.append(producer.emit(_event(0)))
        assert producer.flush(60) == 0
        assert producer.counts().emitted == len(accepted)
    stored = _stored(controlled_broker.bootstrap, topic)
    assert [e["event_id"] for e in stored] == accepted
    assert [e["producer_seq"] for e in stored] == list(range(1, len(accepted) + 1)), "a refused event leaves no gap"


def test_an_event_that_the_broker_never_takes_is_reported_and_kept_and_its_neighbours_arrive(
    kafka_bootstrap: str, topics: Topics, tmp_path: Path
) -> None:
    topic = topics.create(partitions=1, **{"max.message.bytes": "5000"})
    kafka = KafkaSettings(bootstrap_servers=kafka_bootstrap, events_topic=topic)
    fates: list[tuple[str, DeliveryFailed | None]] = []
    with AuditProducer(
        kafka, _registry(), _best_effort(tmp_path / "spool", linger_ms=0, compression="none")
    ) as producer:
        first = producer.submit(_event(1))
        assert producer.flush(30) == 0
        noise = "".join(chr(0x4E00 + n) for n in range(5000))
        refused = producer.submit(
            AuditEvent(event_code="a.b", tenant_id="t", message=noise), lambda *fate: fates.append(fate)
        )
        assert producer.flush(30) == 0
        last = producer.submit(_event(2))
        assert producer.flush(30) == 0
        assert producer.counts() == Counts(emitted=3, acknowledged=2, failed=1, spooled=0)
    assert [e["event_id"] for e in _stored(kafka_bootstrap, topic)] == [first, last]
    assert [(event_id, error is not None and error.may_arrive) for event_id, error in fates] == [(refused, False)]
    assert refused.encode() in b"".join(p.read_bytes() for p in (tmp_path / "spool").glob("*.rejected"))


def test_a_registry_outage_stops_strict_mode_and_fills_the_spool_in_best_effort(
    kafka_bootstrap: str, topics: Topics, tmp_path: Path
) -> None:
    topic = topics.create(partitions=1)
    kafka = KafkaSettings(bootstrap_servers=kafka_bootstrap, events_topic=topic)
    away = RegistrySettings(url="http://127.0.0.1:9", retries=0, timeout_s=0.2, cache_dir=tmp_path / "cache")
    with pytest.raises(RegistryUnavailable):
        AuditProducer(kafka, away, ProducerSettings())
    with AuditProducer(kafka, away, _best_effort(tmp_path / "spool", close_timeout_s=0.1)) as producer:
        event_id = producer.emit(_event(1))
        assert producer.counts().spooled == 1
    with AuditProducer(kafka, _registry(), _best_effort(tmp_path / "spool")) as producer:
        assert producer.flush(30) == 0
    assert [e["event_id"] for e in _stored(kafka_bootstrap, topic)] == [event_id]


def test_a_schema_that_is_not_registered_is_not_registered_in_passing(kafka_bootstrap: str) -> None:
    with pytest.raises(SchemaNotFound):
        AuditProducer(KafkaSettings(bootstrap_servers=kafka_bootstrap), _registry(), ProducerSettings())


def test_a_second_producer_cannot_take_a_spool_that_is_in_use(tmp_path: Path) -> None:
    kafka = KafkaSettings(bootstrap_servers="127.0.0.1:9")
    settings = _best_effort(tmp_path / "spool", close_timeout_s=0.1)
    with AuditProducer(kafka, _registry(), settings), pytest.raises(SpoolLocked):
        AuditProducer(kafka, _registry(), settings)
