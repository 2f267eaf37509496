"""The outbox on SQLite against a real broker."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from infrastructure.kafka import Broker, Topics
from infrastructure.processes import Processes
from producers import AuditEvent, AuditProducer, InvalidEvent, ProducerSettings
from producers.outbox import DDL, Outbox, Relay
from schemas.settings import KafkaSettings, RegistrySettings


def _database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute(DDL["sqlite"])
    connection.commit()
    return connection


def _producer(bootstrap: str, topic: str) -> AuditProducer:
    kafka = KafkaSettings(bootstrap_servers=bootstrap, events_topic=topic)
    return AuditProducer(kafka, RegistrySettings(url="mock://outbox"), ProducerSettings(auto_register=True))


def _add(connection: sqlite3.Connection, count: int) -> list[str]:
    outbox, cursor = Outbox("sqlite"), connection.cursor()
    ids = [outbox.add(cursor, AuditEvent(event_code="a.b", tenant_id="t", message=str(n))) for n in range(count)]
    connection.commit()
    return ids


def _waiting(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM audit_outbox").fetchone()[0])


def _stored(bootstrap: str, topic: str) -> list[str]:
    """Return the ids of a topic of one partition: behind the header of 5 bytes and one byte of length."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), 20)
    consumer.assign([TopicPartition(topic, 0, 0)])
    ids: list[str] = []
    while len(ids) < end:
        ids += [(m.value() or b"")[6:42].decode() for m in consumer.consume(500, 1.0)]
    consumer.close()
    return ids


def test_an_event_exists_if_and_only_if_its_transaction_was_committed(
    kafka_bootstrap: str, topics: Topics, tmp_path: Path
) -> None:
    topic, connection = topics.create(partitions=1), _database(tmp_path / "db")
    outbox = Outbox("sqlite")
    outbox.add(connection.cursor(), AuditEvent(event_code="a.b", tenant_id="t"))
    connection.rollback()
    kept = _add(connection, 3)
    with _producer(kafka_bootstrap, topic) as producer:
        relay = Relay(connection, "sqlite", producer, batch_events=2)
        assert [relay.send(), relay.send(), relay.send()] == [2, 1, 0]
    assert _stored(kafka_bootstrap, topic) == kept
    connection.close()


def test_a_secret_does_not_enter_the_table_and_a_wrong_event_neither(tmp_path: Path) -> None:
    connection = _database(tmp_path / "db")
    outbox, cursor = Outbox("sqlite"), connection.cursor()
    outbox.add(cursor, {"event_code": "a.b", "tenant_id": "t", "message": "password=hunter22"})
    for wrong in ({"event_code": "a.b"}, {"event_code": "a.b", "tenant_id": "t", "message": "\ud800"}):
        with pytest.raises(InvalidEvent):
            outbox.add(cursor, wrong)
    rows = cursor.execute("SELECT event FROM audit_outbox").fetchall()
    assert len(rows) == 1
    assert "hunter22" not in rows[0][0]
    assert '"redactions"' in rows[0][0]
    connection.close()


def test_what_kafka_does_not_acknowledge_stays_and_is_sent_after_the_outage(
    controlled_broker: Broker, tmp_path: Path
) -> None:
    topic, connection = Topics(controlled_broker.bootstrap).create(partitions=1), _database(tmp_path / "db")
    with _producer(controlled_broker.bootstrap, topic) as producer:
        relay = Relay(connection, "sqlite", producer)
        first = _add(connection, 1)
        assert relay.send() == 1
        controlled_broker.pause()
        ids = _add(connection, 5)
        assert relay.send(timeout_s=0.5) == 0
        assert _waiting(connection) == 5
        controlled_broker.resume()
        assert relay.send() == 5
        assert _waiting(connection) == 0
    stored = _stored(controlled_broker.bootstrap, topic)
    # The first try may arrive too: again, but under the same ids.
    assert set(stored) == {*first, *ids}
    assert stored[-5:] == ids
    connection.close()


_RELAY = """
import sqlite3, sys, threading
from producers import AuditProducer, ProducerSettings
from producers.outbox import Relay
from schemas.settings import KafkaSettings, RegistrySettings
bootstrap, topic, path = sys.argv[1:]
kafka = KafkaSettings(bootstrap_servers=bootstrap, events_topic=topic)
producer = AuditProducer(kafka, RegistrySettings(url="mock://outbox"), ProducerSettings(auto_register=True))
Relay(sqlite3.connect(path), "sqlite", producer, batch_events=5).run(threading.Event())
"""


def test_a_killed_relay_loses_nothing_and_its_successor_repeats_one_batch_at_most(
    kafka_bootstrap: str, topics: Topics, tmp_path: Path, processes: Processes
) -> None:
    topic, connection = topics.create(partitions=1), _database(tmp_path / "db")
    ids = _add(connection, 1000)
    killed = processes.start("relay", [sys.executable, "-c", _RELAY, kafka_bootstrap, topic, str(tmp_path / "db")])
    deadline = time.monotonic() + 60
    while _waiting(connection) > 900 and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    left = _waiting(connection)
    assert 0 < left <= 900
    stop = threading.Event()
    with _producer(kafka_bootstrap, topic) as producer:
        relay = Relay(connection, "sqlite", producer)
        while relay.send():
            pass
        stop.set()
        relay.run(stop)
    stored = _stored(kafka_bootstrap, topic)
    assert list(dict.fromkeys(stored)) == ids
    assert len(stored) <= len(ids) + 5
    connection.close()
