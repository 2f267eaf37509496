"""Where a worker reads on: after transactions, restarts, crashes, resets, retention, and a topic made anew."""

from __future__ import annotations

import re
import uuid
from uuid import UUID

import pyarrow as pa
import pytest

from consumers.errors import ForeignOffset, LostData, RewoundOffset, TopicReplaced, UnusableTopic
from consumers.intents import Intent
from consumers.topics import BrokerTopics
from infrastructure.bench import Bench
from infrastructure.kafka import Topics
from infrastructure.running import Warehouse, joined, offsets, places
from schemas.settings import KafkaSettings, RegistrySettings
from sinks.memory import MemorySink, MemoryStore

pytest_plugins = ["infrastructure.running_fixtures"]


def topic_id(bench: Bench) -> UUID:
    return BrokerTopics(KafkaSettings(bootstrap_servers=bench.topics.bootstrap)).topic_id(bench.topic)


def idle(bench: Bench, offset: int) -> tuple[int, str]:
    """Return what an idle worker commits at an offset: nothing is under way."""
    return offset, Intent(topic_id(bench)).encode()


def store_all(bench: Bench, sink: MemorySink, count: int, **worker: object) -> None:
    """Let a worker bring ``count`` further messages to their end, then stop it."""
    running = bench.worker(sink, worker=worker)
    running.wait_stored(count)
    running.stop()


def test_aborted_messages_and_markers_are_skipped_and_the_manifest_joins(bench: Bench) -> None:
    sink = MemorySink()
    bench.send_in_transaction(*bench.events(3), commit=True)  # 0-2, marker 3
    bench.send_in_transaction(*bench.events(4, 3), commit=False)  # 4-7, marker 8
    bench.send(*bench.events(2, 7))  # 9-10
    bench.send_in_transaction(*bench.events(1, 9), commit=True)  # 11, marker 12
    worker = bench.worker(sink)
    worker.wait_stored(6)
    assert offsets(sink) == [0, 1, 2, 9, 10, 11]
    assert joined(sink.manifests) == (0, 11)
    assert sum(m.skipped for m in sink.manifests) == 6
    assert worker.value("auditstream_offsets_skipped_total") == 6
    bench.send(bench.event(10))  # 13: the marker before it belongs to the next range
    worker.wait_stored(7)
    worker.stop()
    assert joined(sink.manifests) == (0, 13)
    assert sum(m.skipped for m in sink.manifests) == 7
    assert bench.committed() == idle(bench, 14)


def test_a_range_cut_in_the_middle_of_aborted_messages_is_replayed_whole(bench: Bench) -> None:
    bench.send(*bench.events(2))
    bench.send_in_transaction(*bench.events(5, 2), commit=False)  # 2-6, marker 7
    bench.send(*bench.events(2, 7))  # 8-9
    bench.commit(1, Intent(topic_id(bench), 8).encode())
    sink = MemorySink()
    store_all(bench, sink, 3)
    assert [(m.range.first, m.range.last, m.stored, m.skipped) for m in sink.manifests] == [(1, 8, 2, 6), (9, 9, 1, 0)]


def test_an_idle_partition_commits_its_end_with_an_empty_intent(bench: Bench) -> None:
    bench.send(*bench.events(5))
    worker = bench.worker(MemorySink())
    worker.wait_stored(5)
    worker.wait(lambda: bench.committed() == idle(bench, 5), "the idle commit")
    assert worker.running


def test_latest_starts_at_the_end_and_a_restart_reads_what_came_meanwhile(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(10))
    first = bench.worker(sink, worker={"start_at": "latest"})
    first.wait(lambda: bench.committed()[0] == 10, "the start to be committed")
    first.stop()
    assert offsets(sink) == []
    bench.send(*bench.events(3, 10))
    store_all(bench, sink, 3, start_at="latest")
    assert offsets(sink) == [10, 11, 12]
    assert joined(sink.manifests) == (10, 12)


def test_earliest_starts_at_the_oldest_message_there_is(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(10))
    bench.delete_before(4)
    store_all(bench, sink, 6)
    assert joined(sink.manifests) == (4, 9)


class Crash(RuntimeError):
    """What a worker dies of."""


def crash_in(table: str, times: int = 1) -> MemoryStore:
    """Return a store that fails a worker right before it stores a block of a table."""
    store, left = MemoryStore(), [times]

    def die(name: str, rows: pa.Table, token: str) -> None:
        if name == table and left[0]:
            left[0] -= 1
            raise Crash(table)

    store.before_insert = die
    return store


@pytest.mark.parametrize("table", ["dead_letters", "audit_payloads", "audit_events", "ingest_batches"])
def test_a_crash_between_any_two_tables_is_completed_by_exactly_the_announced_range(bench: Bench, table: str) -> None:
    sink = MemorySink(crash_in(table))
    body = bench.event(1, record_kind="api_call", api={"request_body": "{}"})
    bench.send(bench.event(0), body, b"\x01 unreadable", bench.event(3))
    dying = bench.worker(sink)
    assert "Crash" in str(dying.ended_with())
    assert bench.committed() == (0, Intent(topic_id(bench), 3).encode())
    assert sink.manifests == []
    bench.send(*bench.events(2, 4))
    store_all(bench, sink, 6)
    assert [(m.range.first, m.range.last) for m in sink.manifests] == [(0, 3), (4, 5)]
    assert places(sink) == [(0, n) for n in range(6)]
    assert offsets(sink, "audit_payloads") == [1]


def test_an_announced_range_is_replayed_whole_although_batches_are_smaller_now(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(20))
    bench.commit(5, Intent(topic_id(bench), 14).encode())
    worker = bench.worker(sink, worker={"batch_rows": 2})
    worker.wait_stored(15)
    worker.stop()
    first = sink.manifests[0]
    assert (first.range.first, first.range.last, first.stored) == (5, 14, 10)
    assert worker.value("auditstream_replays_total", cause="intent") == 1
    assert joined(sink.manifests) == (5, 19)


def test_a_range_that_is_stored_already_is_not_read_as_new(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(8))
    store_all(bench, sink, 8)
    manifest = sink.manifests[-1]
    bench.commit(manifest.range.first, Intent(topic_id(bench), manifest.range.last).encode())
    bench.send(bench.event(8))
    store_all(bench, sink, 1)
    assert places(sink) == [(0, n) for n in range(9)]
    assert joined(sink.manifests) == (0, 8)


def test_rewound_offsets_stop_the_worker_which_names_partition_and_offsets(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(8))
    store_all(bench, sink, 8)
    bench.commit(3)
    error = bench.worker(sink).ended_with()
    assert isinstance(error, RewoundOffset)
    assert (error.topic, error.partition, error.offset, error.stored) == (bench.topic, 0, 3, 7)
    assert re.search(rf"{re.escape(bench.topic)}-0: .* offset 3, .* up to 7", str(error))
    assert bench.committed()[0] == 3
    assert places(sink) == [(0, n) for n in range(8)]


def test_rewound_offsets_are_passed_when_the_setting_says_so(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(8))
    store_all(bench, sink, 8)
    bench.commit(3)
    bench.send(*bench.events(2, 8))
    store_all(bench, sink, 2, on_rewound_offset="skip")
    assert places(sink) == [(0, n) for n in range(10)]
    assert joined(sink.manifests) == (0, 9)


def test_a_new_group_into_the_same_database_stops_unless_it_may_skip(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(8))
    store_all(bench, sink, 8)
    bench.send(*bench.events(2, 8))
    bench.group = f"other.{uuid.uuid4().hex}"
    error = bench.worker(sink).ended_with()
    assert isinstance(error, RewoundOffset)
    assert (error.offset, error.stored) == (0, 7)
    store_all(bench, sink, 2, on_rewound_offset="skip")
    assert joined(sink.manifests) == (0, 9)
    assert places(sink) == [(0, n) for n in range(10)]


def test_a_new_group_does_not_repeat_what_a_crashed_one_had_stored_without_manifest(bench: Bench) -> None:
    sink = MemorySink(crash_in("ingest_batches"))
    bench.send(*bench.events(40))
    assert "Crash" in str(bench.worker(sink).ended_with())
    assert len(offsets(sink)) == 40
    bench.group = f"other.{uuid.uuid4().hex}"
    bench.send(*bench.events(10, 40))
    store_all(bench, sink, 50, batch_rows=7)
    assert places(sink) == [(0, n) for n in range(50)]
    assert joined(sink.manifests) == (0, 49)


def test_deleted_unread_messages_stop_the_worker_which_names_them(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(4))
    store_all(bench, sink, 4)
    bench.send(*bench.events(6, 4))
    bench.delete_before(7)
    error = bench.worker(sink).ended_with()
    assert isinstance(error, LostData)
    assert (error.topic, error.partition, error.offset, error.oldest) == (bench.topic, 0, 4, 7)
    assert "(4 to 6)" in str(error)
    assert "on_lost_data=skip" in str(error)
    assert bench.committed() == idle(bench, 4)


def test_deleted_unread_messages_are_passed_on_request_counted_and_seen_in_the_manifest(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(4))
    store_all(bench, sink, 4)
    bench.send(*bench.events(6, 4))
    bench.delete_before(7)
    worker = bench.worker(sink, worker={"on_lost_data": "skip"})
    worker.wait_stored(3)
    assert worker.value("auditstream_offsets_lost_total") == 3
    worker.stop()
    assert [(m.range.first, m.range.last) for m in sink.manifests] == [(0, 3), (7, 9)]
    assert sink.manifests[1].previous_sha256 == sink.manifests[0].sha256
    assert bench.committed() == idle(bench, 10)


def test_an_announced_range_that_was_deleted_in_part_is_completed_with_what_is_left(bench: Bench) -> None:
    sink = MemorySink(crash_in("ingest_batches"))
    bench.send(*bench.events(10))
    assert "Crash" in str(bench.worker(sink).ended_with())
    bench.send(*bench.events(3, 10))
    bench.delete_before(6)
    worker = bench.worker(sink, worker={"on_lost_data": "skip"})
    worker.wait_stored(7)
    worker.stop()
    assert places(sink) == [(0, n) for n in range(13)]
    assert [(m.range.first, m.range.last) for m in sink.manifests] == [(6, 9), (10, 12)]


def test_metadata_of_another_application_stop_the_worker(bench: Bench) -> None:
    bench.send(*bench.events(3))
    bench.commit(1, "flink-checkpoint-17")
    sink = MemorySink()
    error = bench.worker(sink).ended_with()
    assert isinstance(error, ForeignOffset)
    assert "flink-checkpoint-17" in str(error)
    assert "worker.group_id" in str(error)
    assert places(sink) == []
    assert bench.committed() == (1, "flink-checkpoint-17")


def test_a_compacted_topic_is_refused(decoder: None, topics: Topics, registry_settings: RegistrySettings) -> None:
    bench = Bench(topics, registry_settings, topics.create(partitions=1, cleanup_policy="compact,delete"))
    bench.send(*bench.events(3), key=b"k")
    sink = MemorySink()
    error = bench.worker(sink).ended_with()
    bench.close()
    assert isinstance(error, UnusableTopic)
    assert bench.topic in str(error)
    assert "cleanup.policy" in str(error)
    assert places(sink) == []


def test_a_topic_made_anew_between_two_workers_is_read_from_its_start(bench: Bench, warehouse: Warehouse) -> None:
    bench.send(*bench.events(6))
    first = bench.worker(warehouse.sink)
    first.wait_stored(6)
    first.stop()
    old = topic_id(bench)
    committed = bench.committed()
    bench.recreate()
    bench.send(*bench.events(4, 100))
    if bench.committed()[0] < 0:  # brokers forget the offsets of a deleted topic sooner or later
        bench.commit(*committed)
    second = bench.worker(warehouse.sink)
    second.wait_stored(4)
    second.stop()
    rows = warehouse.rows("audit_events", "toString(kafka_topic_id) AS id, kafka_offset AS o, message", "message")
    new = topic_id(bench)
    assert new != old
    assert sorted((r["id"], r["o"]) for r in rows) == sorted(
        [(str(old), n) for n in range(6)] + [(str(new), n) for n in range(4)]
    )


@pytest.mark.parametrize("count", [9, 3])
def test_a_topic_made_anew_under_a_running_worker_stops_it_and_is_then_read_from_its_start(
    bench: Bench, count: int
) -> None:
    sink = MemorySink()
    bench.send(*bench.events(6))
    worker = bench.worker(sink)
    worker.wait_stored(6)
    worker.wait(lambda: bench.committed()[0] == 6, "the idle commit")
    old = topic_id(bench)
    bench.recreate()
    bench.send(*bench.events(count, 100))
    assert isinstance(worker.ended_with(), TopicReplaced | LostData)
    store_all(bench, sink, count)
    new = topic_id(bench)
    rows = sink.events.to_pylist()
    assert sorted((UUID(bytes=r["kafka_topic_id"]), r["kafka_offset"]) for r in rows) == sorted(
        [(old, n) for n in range(6)] + [(new, n) for n in range(count)]
    )
