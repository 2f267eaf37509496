"""The servers that the other tests rely on are real, controllable, and gone afterwards."""

from __future__ import annotations

import os
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, Producer

from infrastructure import clickhouse
from infrastructure.kafka import Broker, Topics
from infrastructure.kafka import answers as kafka_answers
from infrastructure.processes import Processes
from infrastructure.registry import Registry
from infrastructure.registry import answers as registry_answers
from sinks.settings import ClickHouseSettings


def _produce(bootstrap: str, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for number in range(count):
        producer.produce(topic, value=str(number).encode(), partition=number % 2)
    assert producer.flush(30) == 0


def _read(bootstrap: str, topic: str, count: int) -> list[int]:
    config = {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    consumer = Consumer(config)
    consumer.subscribe([topic])
    values: list[int] = []
    deadline = time.monotonic() + 30
    while len(values) < count and time.monotonic() < deadline:
        values += [int(m.value() or b"-1") for m in consumer.consume(count, timeout=0.5) if m.error() is None]
    consumer.close()
    return sorted(values)


def test_what_is_produced_to_a_fresh_topic_is_read_from_it(kafka_bootstrap: str, topics: Topics) -> None:
    topic = topics.create(partitions=2)
    _produce(kafka_bootstrap, topic, 10)
    assert topics.end_offsets(topic) == {0: 5, 1: 5}
    assert _read(kafka_bootstrap, topic, 10) == list(range(10))


def test_a_registry_gives_back_the_schema_it_was_given(schema_registry_url: str) -> None:
    subject, schema = f"test-{uuid.uuid4().hex}", '{"type":"record","name":"A","fields":[]}'
    given = httpx.post(f"{schema_registry_url}/subjects/{subject}/versions", json={"schema": schema})
    found = httpx.get(f"{schema_registry_url}/schemas/ids/{given.json()['id']}")
    assert found.json()["schema"].replace(" ", "") == schema


def test_a_killed_broker_keeps_its_messages_and_its_address(controlled_broker: Broker) -> None:
    address = controlled_broker.bootstrap
    topic = Topics(address).create(partitions=2)
    _produce(address, topic, 10)
    controlled_broker.kill()
    assert not kafka_answers(address)
    controlled_broker.start()
    assert controlled_broker.bootstrap == address
    assert _read(address, topic, 10) == list(range(10))


def test_a_stopped_registry_does_not_answer_until_it_is_started_again(controlled_registry: Registry) -> None:
    controlled_registry.stop()
    assert not registry_answers(controlled_registry.url)
    controlled_registry.start()
    assert registry_answers(controlled_registry.url)


def _query(settings: ClickHouseSettings, statement: str) -> str:
    user = (settings.user, settings.password.get_secret_value())
    url = f"{settings.interface}://{settings.host}:{settings.port}/"
    return httpx.post(url, content=statement.encode(), auth=user, timeout=30).raise_for_status().text.strip()


def test_a_killed_database_keeps_its_rows_and_its_address(controlled_database: clickhouse.Database) -> None:
    settings = controlled_database.settings
    _query(settings, "CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
    _query(settings, "INSERT INTO kept SELECT number FROM numbers(7)")
    controlled_database.kill()
    assert not clickhouse.answers(settings)
    controlled_database.start()
    assert controlled_database.settings == settings
    assert _query(settings, "SELECT count() FROM kept") == "7"


def test_each_test_gets_a_database_of_its_own(clickhouse_settings: ClickHouseSettings) -> None:
    _query(clickhouse_settings, f"CREATE DATABASE {clickhouse_settings.database}")
    assert clickhouse_settings.database in _query(clickhouse_settings, "SHOW DATABASES").split()
    clickhouse.drop_database(clickhouse_settings)
    assert clickhouse_settings.database not in _query(clickhouse_settings, "SHOW DATABASES").split()


COUNTER = "import time\nfor n in range(10**6):\n    print('count', n)\n    time.sleep(0.02)"


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_frozen_process_stands_still_and_goes_on(processes: Processes) -> None:
    counter = processes.start("counter", [sys.executable, "-c", COUNTER])
    counter.wait_for_log(r"^count 2$")
    counter.pause()
    time.sleep(0.1)
    before = counter.log_text()
    time.sleep(0.2)
    assert counter.log_text() == before
    counter.resume()
    counter.wait_for_log(rf"^count {before.count('count') + 5}$")


def test_a_killed_process_ends_by_its_signal_and_can_be_started_again(processes: Processes) -> None:
    counter = processes.start("counter", [sys.executable, "-c", COUNTER])
    first = counter.pid
    counter.kill()
    assert counter.wait(1) == -9
    counter.start()
    assert counter.pid != first
    assert counter.running


def test_a_process_that_ignores_the_request_to_stop_is_ended_by_force(processes: Processes) -> None:
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(600)"
    process = processes.start("deaf", [sys.executable, "-c", deaf])
    process.wait_for_log("deaf")
    with pytest.raises(TimeoutError, match=r"deaf did not end within 0\.3 s"):
        process.terminate(0.3)
    process.close(grace_s=0.2)
    assert _gone(process.pid)


def test_what_a_process_started_is_ended_with_it(processes: Processes) -> None:
    parent = "import subprocess, time\nprint('child', subprocess.Popen(['sleep', '600']).pid)\ntime.sleep(600)"
    process = processes.start("parent", [sys.executable, "-c", parent])
    child = int(process.wait_for_log(r"child (\d+)")[1])
    process.close()
    time.sleep(0.2)
    assert _gone(child) or _zombie(child)


def _zombie(pid: int) -> bool:
    # An orphan that was killed stays in the table until process 1 reaps it, which in a container may never happen.
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_the_end_of_a_log_is_in_the_message_when_a_process_never_says_it(processes: Processes) -> None:
    process = processes.start("brief", [sys.executable, "-c", "print('only this')"])
    with pytest.raises(TimeoutError, match="only this"):
        process.wait_for_log("something else", timeout_s=5)
