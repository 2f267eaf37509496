"""Registry, database and broker go away and come back: the worker waits, says so, and stores everything once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.intents import Intent
from consumers.topics import BrokerTopics
from infrastructure.bench import Bench
from infrastructure.clickhouse import Database
from infrastructure.kafka import Broker, Topics
from infrastructure.registry import Registry
from infrastructure.running import RunningWorker, Warehouse, joined, offsets, places, stays
from schemas.registry import open_registry
from schemas.settings import KafkaSettings, RegistrySettings
from sinks.memory import MemorySink

pytest_plugins = ["infrastructure.running_fixtures"]

KIB = 1 << 10


@pytest.fixture
def own_registry(controlled_registry: Registry, tmp_path: Path) -> RegistrySettings:
    return RegistrySettings(url=controlled_registry.url, cache_dir=tmp_path / "own", timeout_s=10.0, retries=0)


@pytest.fixture
def registry_bench(decoder: None, topics: Topics, own_registry: RegistrySettings) -> Iterator[Bench]:
    made = Bench(topics, own_registry, topics.create(partitions=1))
    yield made
    made.close()


def renamed(bench: Bench) -> dict[str, object]:
    """Return another writer schema than the bench's."""
    extra = {"name": "extra", "type": "string", "default": ""}
    return {**bench.schema, "fields": [*bench.schema["fields"], extra]}


def test_an_outage_of_the_registry_stops_only_what_needs_a_schema_never_seen(
    registry_bench: Bench, controlled_registry: Registry, own_registry: RegistrySettings, tmp_path: Path
) -> None:
    bench, sink = registry_bench, MemorySink()
    elsewhere = open_registry(own_registry.model_copy(update={"cache_dir": tmp_path / "elsewhere"}))
    ours = open_registry(own_registry.model_copy(update={"timeout_s": 0.5}))
    bench.registry.close()
    bench.registry = elsewhere  # the other producer's schema is in no cache of the worker
    later = bench.writer(renamed(bench))
    controlled_registry.pause()
    try:
        bench.send(*bench.events(5))
        worker = bench.worker(sink, registry=ours)
        worker.wait_stored(5)
        bench.send(bench.event(5, later, extra="x"), bench.event(6))
        worker.wait(lambda: "registry" in worker.waiting_for(), "readiness to say what it waits for")
        assert stays(lambda: worker.stored() == 5 and worker.running, 2.0)
        assert worker.value("auditstream_messages_total", fate="dead_lettered") == 0
    finally:
        controlled_registry.resume()
    worker.wait_stored(7)
    worker.wait(lambda: worker.waiting_for() == "", "readiness")
    worker.stop()
    ours.close()
    assert offsets(sink) == list(range(7))
    assert sink.dead_letters.num_rows == 0


@pytest.fixture
def own_warehouse(controlled_database: Database) -> Iterator[Warehouse]:
    settings = controlled_database.settings
    made = Warehouse(settings.model_copy(update={"database": "outage", "connect_timeout_s": 1.0}))
    made.migrate()
    yield made
    made.close()


def test_a_worker_that_starts_before_its_database_waits_and_then_stores_everything(
    bench: Bench, own_warehouse: Warehouse, controlled_database: Database
) -> None:
    controlled_database.kill()
    bench.send(*bench.events(50))
    worker = bench.worker(own_warehouse.sink)
    worker.wait(lambda: "network" in worker.waiting_for(), "readiness to name the database")
    assert "settle" in worker.waiting_for()
    assert bench.committed()[0] == -1, "nothing is announced before it is known what is stored"
    controlled_database.start()
    worker.wait_stored(50)
    worker.stop()
    assert [r["kafka_offset"] for r in own_warehouse.rows("audit_events")] == list(range(50))


def test_an_outage_of_the_database_is_sat_out_within_the_budget_and_without_rebalance(
    bench: Bench, own_warehouse: Warehouse, controlled_database: Database
) -> None:
    limit = 512 * KIB
    worker = bench.worker(own_warehouse.sink, worker={"memory_bytes": limit, "batch_rows": 50})
    bench.send(*bench.events(20))
    worker.wait_stored(20)
    controlled_database.kill()
    bench.send(*bench.events(400, 20, message="x" * 4 * KIB))
    worker.wait(lambda: worker.value("auditstream_pauses_total") >= 1, "partitions to be paused")
    assert "network" in worker.waiting_for()
    # Longer than max.poll.interval.ms of this bench: only a worker that polls on keeps its partitions.
    one_fetch = 1000 * (4 * KIB + 1 * KIB)
    assert stays(lambda: limit <= worker.value("auditstream_budget_held_bytes") <= limit + one_fetch, 7.0)
    assert worker.service.progress.alive()[0]
    controlled_database.start()
    worker.wait_stored(420)
    worker.wait(lambda: worker.waiting_for() == "", "readiness")
    rebalances = {
        kind: worker.value("auditstream_rebalances_total", kind=kind) for kind in ("assigned", "lost", "revoked")
    }
    assert rebalances == {"assigned": 1, "lost": 0, "revoked": 0}
    worker.stop()
    assert [r["kafka_offset"] for r in own_warehouse.rows("audit_events")] == list(range(420))
    assert joined(own_warehouse.oracle.manifests(bench.topic, 0)) == (0, 419)


def test_a_database_that_answers_too_late_makes_nothing_appear_twice(
    bench: Bench, own_warehouse: Warehouse, controlled_database: Database
) -> None:
    patient = own_warehouse.settings.model_copy(update={"insert_timeout_s": 1.0, "query_timeout_s": 1.0})
    hasty = Warehouse(patient)
    worker = bench.worker(hasty.sink, worker={"batch_rows": 10})
    bench.send(*bench.events(20))
    worker.wait_stored(20)
    for number in (20, 60):
        controlled_database.pause()
        bench.send(*bench.events(40, number))
        time.sleep(2.5)
        controlled_database.resume()
        worker.wait_stored(number + 40)
    assert worker.value("auditstream_replays_total", cause="uncertain") >= 1
    worker.stop()
    hasty.close()
    assert [r["kafka_offset"] for r in own_warehouse.rows("audit_events")] == list(range(100))
    assert joined(own_warehouse.oracle.manifests(bench.topic, 0)) == (0, 99)


@pytest.fixture
def broker_bench(decoder: None, controlled_broker: Broker, registry_settings: RegistrySettings) -> Iterator[Bench]:
    topics = Topics(controlled_broker.bootstrap)
    made = Bench(topics, registry_settings, topics.create(partitions=2))
    yield made
    made.close()


def test_a_broker_that_dies_and_comes_back_loses_and_repeats_nothing(
    broker_bench: Bench, controlled_broker: Broker
) -> None:
    bench, sink = broker_bench, MemorySink()
    worker = bench.worker(sink, worker={"batch_rows": 20})
    for partition in (0, 1):
        bench.send(*bench.events(200, 200 * partition), partition=partition)
    worker.wait(lambda: worker.stored() >= 40, "the first batches")
    controlled_broker.kill()
    worker.wait(lambda: "Kafka" in worker.waiting_for(), "readiness to name Kafka")
    assert worker.running
    controlled_broker.start()
    for partition in (0, 1):
        bench.send(*bench.events(50, 400 + 50 * partition), partition=partition)
    worker.wait(lambda: worker.stored() >= 500, "everything to be stored")
    worker.wait(lambda: worker.waiting_for() == "", "readiness")
    worker.stop()
    assert places(sink) == [(p, n) for p in (0, 1) for n in range(250)]
    assert joined(sink.manifests, 0) == joined(sink.manifests, 1) == (0, 249)


def test_a_worker_stops_within_its_budget_although_the_broker_is_away(
    broker_bench: Bench, controlled_broker: Broker
) -> None:
    bench, sink = broker_bench, MemorySink()
    worker = bench.worker(sink, worker={"stop_budget_s": 3.0})
    bench.send(*bench.events(5))
    worker.wait_stored(5)
    controlled_broker.kill()
    worker.wait(lambda: "Kafka" in worker.waiting_for(), "readiness to name Kafka")
    started = time.monotonic()
    worker.stop()
    assert time.monotonic() - started < 10.0
    controlled_broker.start()


def announce(bench: Bench, lasts: dict[int, int]) -> None:
    """Commit as a worker does that announced offset 0 to ``last`` of each partition and died."""
    topic_id = BrokerTopics(KafkaSettings(bootstrap_servers=bench.topics.bootstrap)).topic_id(bench.topic)
    for partition, last in lasts.items():
        bench.commit(0, Intent(topic_id, last).encode(), partition)


@pytest.mark.parametrize("counts", [(100, 100, 100, 100), (25, 90, 90, 90), (200, 60, 10, 200)])
def test_replays_that_together_exceed_the_budget_do_not_wait_for_each_other(
    wide_bench: Bench, counts: tuple[int, ...]
) -> None:
    bench, sink = wide_bench, MemorySink()
    for partition, count in enumerate(counts):
        bench.send(*bench.events(count, message="x" * 10 * KIB), partition=partition)
    announce(bench, {partition: count - 1 for partition, count in enumerate(counts)})
    worker = bench.worker(sink, worker={"memory_bytes": 1024 * KIB})
    worker.wait_stored(sum(counts))
    worker.stop()
    found = {m.range.partition: (m.range.first, m.range.last) for m in sink.manifests}
    assert found == {partition: (0, count - 1) for partition, count in enumerate(counts)}
    assert places(sink) == [(p, n) for p, count in enumerate(counts) for n in range(count)]


def test_a_message_larger_than_the_whole_budget_is_stored(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(bench.event(0), bench.event(1, message="x" * 60_000), bench.event(2))
    worker: RunningWorker = bench.worker(sink, worker={"memory_bytes": 20_000})
    worker.wait_stored(3)
    worker.stop()
    assert joined(sink.manifests) == (0, 2)


def test_a_topic_that_does_not_exist_is_waited_for_and_named_by_readiness(bench: Bench) -> None:
    sink = MemorySink()
    name = f"{bench.topic}.missing"
    worker = bench.worker(sink, kafka={"events_topic": name})
    worker.wait(lambda: name in worker.waiting_for(), "readiness to name the missing topic")
