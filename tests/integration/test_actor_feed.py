"""The actor directory from a real compacted topic: loaded before the first batch, followed live, stored, never in the way."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer

from infrastructure.bench import Bench
from infrastructure.kafka import Topics
from infrastructure.running import PATIENCE_S, RunningWorker, Warehouse
from schemas.columns import avro_schema
from schemas.registry import value_subject
from schemas.wire import EventCodec, frame
from sinks.memory import MemorySink

pytest_plugins = ["infrastructure.running_fixtures"]

PARTITIONS = 2


class Directory:
    """The service that writes the actors topic."""

    def __init__(self, bench: Bench, topic: str) -> None:
        self.topic, self._bench = topic, bench
        schema = avro_schema("actor", 1)
        self.codec = EventCodec(schema, bench.registry.register(value_subject(topic), schema))
        self._producer = Producer({"bootstrap.servers": bench.topics.bootstrap, "log_level": 2})

    def send(self, actor: str, value: bytes | None, tenant: str = "acme", producer: Producer | None = None) -> None:
        partition = hash(actor) % PARTITIONS
        (producer or self._producer).produce(self.topic, value, key=f"{tenant}/{actor}".encode(), partition=partition)
        assert (producer or self._producer).flush(PATIENCE_S) == 0

    def card(self, actor: str, tenant: str = "acme", **fields: Any) -> bytes:
        record = {"tenant_id": tenant, "actor_id": actor, "updated_at": datetime.now(UTC)}
        return self.codec.encode(record | fields)

    def write(self, actor: str, **fields: Any) -> None:
        self.send(actor, self.card(actor, **fields))

    def worker(self, sink: Any, **sections: Any) -> RunningWorker:
        return self._bench.worker(sink, kafka={"actors_topic": self.topic}, **sections)


@pytest.fixture
def directory(bench: Bench, topics: Topics) -> Iterator[Directory]:
    made = Directory(bench, topics.create("audit.actors", partitions=PARTITIONS, cleanup_policy="compact"))
    yield made
    topics.delete(made.topic)


def applied(worker: RunningWorker, result: str, count: int) -> None:
    name = "auditstream_actor_cards_total"
    worker.wait(lambda: worker.value(name, result=result) >= count, f"{count} cards {result}")
    assert worker.value(name, result=result) == count


def names(sink: MemorySink) -> list[tuple[int, str, str]]:
    """Return offset, actor's name and status of the look-up, in offset order."""
    rows = sorted(sink.events.to_pylist(), key=lambda row: int(row["kafka_offset"]))
    return [(r["kafka_offset"], text(r["actor_name"]), text(r["actor_directory_status"])) for r in rows]


def text(value: str | bytes) -> str:
    # The sink in memory keeps text as the worker built it, or as the bytes that a database would hand back.
    return value.decode() if isinstance(value, bytes) else value


def test_all_cards_are_known_before_the_first_batch(bench: Bench, directory: Directory) -> None:
    sink = MemorySink()
    for number in range(300):
        directory.write(f"u{number}", name=f"User {number}")
    bench.send(*(bench.event(n, actor_id=f"u{n}", actor_type="user") for n in range(300)))
    worker = directory.worker(sink)
    worker.wait_stored(300)
    worker.stop()
    assert names(sink) == [(n, f"User {n}", "ok") for n in range(300)]


def test_names_are_those_at_event_time_and_stay_after_a_rename_and_a_removal(
    bench: Bench, directory: Directory
) -> None:
    sink = MemorySink()
    directory.write("u1", name="Ada Byron", email="ada@example.org", department="Maths", roles=["admin", "poet"])
    worker = directory.worker(sink)
    bench.send(bench.event(0, actor_id="u1"))
    worker.wait_stored(1)
    directory.write("u1", name="Ada Lovelace", status="deactivated")
    applied(worker, "applied", 2)
    bench.send(bench.event(1, actor_id="u1"))
    worker.wait_stored(2)
    directory.send("u1", None)
    applied(worker, "removed", 1)
    bench.send(bench.event(2, actor_id="u1"), bench.event(3, actor_id="u1", tenant_id="other"))
    worker.wait_stored(4)
    worker.stop()
    assert names(sink) == [
        (0, "Ada Byron", "ok"),
        (1, "Ada Lovelace", "ok"),
        (2, "", "not_found"),
        (3, "", "not_found"),
    ]
    first = next(r for r in sink.events.to_pylist() if r["kafka_offset"] == 0)
    assert (text(first["actor_email"]), text(first["actor_department"])) == ("ada@example.org", "Maths")
    assert [text(role) for role in first["actor_roles"]] == ["admin", "poet"]


def test_cards_are_stored_and_the_newest_of_each_actor_wins(
    bench: Bench, directory: Directory, warehouse: Warehouse
) -> None:
    directory.write("u1", name="Old", roles=["a"])
    directory.write("u2", name="Gone")
    directory.write("u1", name="New", roles=["a", "b"])
    worker = directory.worker(warehouse.sink)
    applied(worker, "applied", 3)
    directory.send("u2", None)
    bench.send(bench.event(0, actor_id="u1"))
    worker.wait_stored(1)

    def stored() -> dict[str, tuple[str, list[str], bool]]:
        rows = warehouse.rows("actors FINAL", "actor_id, name, roles, deleted", "actor_id")
        return {r["actor_id"]: (r["name"], r["roles"], r["deleted"]) for r in rows}

    wanted = {"u1": ("New", ["a", "b"], False), "u2": ("", [], True)}
    worker.wait(lambda: stored() == wanted, "the cards in the database")
    worker.stop()


def test_a_missing_topic_does_not_keep_the_worker_from_starting(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(bench.event(0, actor_id="u1", actor_name="as sent"))
    worker = bench.worker(sink, kafka={"actors_topic": f"audit.actors.{uuid.uuid4().hex}"})
    worker.wait_stored(1)
    assert worker.value("auditstream_retries_total", stage="actors", reason="kafka") >= 1
    assert worker.waiting_for() == ""
    worker.stop()
    assert names(sink) == [(0, "as sent", "failed")]


def test_a_topic_that_appears_later_is_followed(bench: Bench, directory: Directory) -> None:
    sink = MemorySink()
    directory.write("u1", name="Ada")
    bench.topics.delete(directory.topic)
    worker = directory.worker(sink)
    bench.send(bench.event(0, actor_id="u1"))
    worker.wait_stored(1)
    bench.create_again(directory.topic, PARTITIONS)
    directory.write("u1", name="Ada")
    applied(worker, "applied", 1)
    bench.send(bench.event(1, actor_id="u1"))
    worker.wait_stored(2)
    worker.stop()
    assert names(sink) == [(0, "", "failed"), (1, "Ada", "ok")]


def bad_cards(bench: Bench, directory: Directory) -> list[bytes]:
    good = directory.card("u1", name="Ada")
    odd = {
        "type": "record",
        "name": "Actor",
        "fields": [{"name": "tenant_id", "type": {"type": "map", "values": "long"}}],
    }
    odd_id = bench.registry.register(f"{directory.topic}-odd", odd)
    never = 2**62  # microseconds: the year 148,000
    return [
        b"",
        b"\x09" + good[1:],
        good[:-1],
        good + b"\x00",
        frame(2_000_000_001, good[5:]),
        bench.event(0),
        EventCodec(odd, odd_id).encode({"tenant_id": {"a": 1}}),
        directory.card("u1", name="Ada", updated_at=never),
        good.replace(b"Ada", b"\xff\xfe\xfd"),
    ]


def test_cards_that_cannot_be_read_are_counted_and_the_others_go_on(bench: Bench, directory: Directory) -> None:
    sink = MemorySink()
    bad = bad_cards(bench, directory)
    for value in bad:
        directory.send("u1", value)
    directory.write("u1", name="Ada")
    worker = directory.worker(sink)
    applied(worker, "applied", 1)
    assert worker.value("auditstream_actor_cards_total", result="refused") == len(bad)
    bench.send(bench.event(0, actor_id="u1"))
    worker.wait_stored(1)
    worker.stop()
    assert names(sink) == [(0, "Ada", "ok")]


def test_a_card_of_the_year_9999_does_not_end_the_feed(
    bench: Bench, directory: Directory, warehouse: Warehouse
) -> None:
    directory.write("u1", name="Eternal", updated_at=datetime(9999, 1, 1, tzinfo=UTC))
    worker = directory.worker(warehouse.sink)
    bench.send(bench.event(0, actor_id="u1"))
    worker.wait_stored(1)
    directory.write("u2", name="Later")
    found = [("u1", "Eternal"), ("u2", "Later")]
    columns = "actor_id, name"
    worker.wait(
        lambda: [(r["actor_id"], r["name"]) for r in warehouse.rows("actors FINAL", columns, "actor_id")] == found,
        "both cards in the database",
    )
    worker.stop()


def test_cards_written_in_transactions_are_loaded_to_the_end(bench: Bench, directory: Directory) -> None:
    sink = MemorySink()
    producer = Producer(
        {"bootstrap.servers": bench.topics.bootstrap, "transactional.id": uuid.uuid4().hex, "log_level": 2}
    )
    producer.init_transactions(PATIENCE_S)
    for name, end in (("Kept", producer.commit_transaction), ("Aborted", producer.abort_transaction)):
        producer.begin_transaction()
        directory.send("u1", directory.card("u1", name=name), producer=producer)
        end(PATIENCE_S)
    bench.send(bench.event(0, actor_id="u1"))
    worker = directory.worker(sink)
    worker.wait_stored(1, timeout_s=15.0)
    worker.stop()
    assert names(sink) == [(0, "Kept", "ok")]


def test_a_directory_emptied_by_the_broker_is_loaded_at_once(bench: Bench, topics: Topics) -> None:
    made = Directory(bench, topics.create("audit.actors", partitions=PARTITIONS, cleanup_policy="compact,delete"))
    made.write("u1", name="Deleted")
    for partition, end in topics.end_offsets(made.topic).items():
        if end:
            bench.delete_before(end, partition, made.topic)
    sink = MemorySink()
    bench.send(bench.event(0, actor_id="u1"))
    worker = made.worker(sink)
    worker.wait_stored(1, timeout_s=15.0)
    worker.stop()
    assert names(sink) == [(0, "", "not_found")]
