"""Workers of one group: who joins, leaves, restarts or takes another one's name, and what the metrics say of it."""

from __future__ import annotations

import random
from uuid import uuid4

import pyarrow as pa
import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from consumers.errors import InstanceFenced
from consumers.intents import Intent
from consumers.topics import BrokerTopics
from infrastructure.bench import Bench
from infrastructure.running import RunningWorker, balance, joined, places, stays
from schemas.settings import KafkaSettings
from sinks.memory import MemorySink, MemoryStore
from sinks.rows import EVENTS
from sinks.sink import WriteGroup

pytest_plugins = ["infrastructure.running_fixtures"]

KINDS = ("assigned", "revoked", "lost")


def rebalances(worker: RunningWorker) -> list[float]:
    return [worker.value("auditstream_rebalances_total", kind=kind) for kind in KINDS]


def owned(worker: RunningWorker) -> set[int]:
    return {partition for partition in range(4) if worker.service.worker.owns(partition)}


def shared_out(*workers: RunningWorker) -> bool:
    sizes = [len(owned(worker)) for worker in workers]
    return sum(sizes) == 4 and min(sizes) > 0 and set().union(*map(owned, workers)) == set(range(4))


def send_everywhere(bench: Bench, count: int, first: int) -> None:
    for partition in range(4):
        bench.send(*bench.events(count, first), partition=partition)


def test_a_second_worker_takes_its_share_and_gives_it_back_when_it_leaves(wide_bench: Bench) -> None:
    bench, sink = wide_bench, MemorySink()
    first = bench.worker(sink)
    send_everywhere(bench, 50, 0)
    first.wait(lambda: owned(first) == set(range(4)), "all partitions")
    second = bench.worker(sink)
    first.wait(lambda: shared_out(first, second), "an even share")
    send_everywhere(bench, 50, 50)
    first.wait(lambda: first.stored() + second.stored() >= 400, "everything to be stored")
    assert second.stored() > 0
    second.stop()
    first.wait(lambda: owned(first) == set(range(4)), "all partitions")
    send_everywhere(bench, 10, 100)
    first.wait(lambda: first.stored() + second.stored() >= 440, "everything to be stored")
    first.stop()
    assert places(sink) == [(p, n) for p in range(4) for n in range(110)]
    assert {joined(sink.manifests, p) for p in range(4)} == {(0, 109)}
    # Partitions that stay are not interrupted: the first worker gave two away and nothing more.
    assert rebalances(first)[1:] == [2 + 4, 0]


def test_a_static_member_restarts_without_any_rebalance(wide_bench: Bench) -> None:
    bench, sink = wide_bench, MemorySink()
    one = bench.worker(sink, worker={"instance_id": "one", "session_timeout_s": 20.0})
    two = bench.worker(sink, worker={"instance_id": "two", "session_timeout_s": 20.0})
    one.wait(lambda: shared_out(one, two), "an even share")
    mine, before = owned(one), rebalances(two)
    one.stop()
    send_everywhere(bench, 20, 0)
    again = bench.worker(sink, worker={"instance_id": "one", "session_timeout_s": 20.0})
    again.wait(lambda: owned(again) == mine, "the same partitions")
    again.wait(lambda: again.stored() + two.stored() >= 80, "everything to be stored")
    assert rebalances(two) == before
    again.stop()
    two.stop()
    assert places(sink) == [(p, n) for p in range(4) for n in range(20)]


def test_a_second_worker_of_the_same_name_fences_the_first_which_says_why_it_stops(bench: Bench) -> None:
    sink = MemorySink()
    bench.send(*bench.events(5))
    first = bench.worker(sink, worker={"instance_id": "twin"})
    first.wait_stored(5)
    second = bench.worker(sink, worker={"instance_id": "twin"})
    error = first.ended_with()
    assert isinstance(error, InstanceFenced)
    assert "'twin'" in str(error)
    assert "worker.instance_id" in str(error)
    bench.send(*bench.events(5, 5))
    second.wait_stored(5)
    second.stop()
    assert places(sink) == [(0, n) for n in range(10)]
    assert joined(sink.manifests) == (0, 9)


def test_a_worker_that_stops_leaves_the_group_at_once_and_nothing_to_replay(wide_bench: Bench) -> None:
    bench, sink = wide_bench, MemorySink()
    worker = bench.worker(sink, worker={"batch_age_s": 0.05})
    send_everywhere(bench, 500, 0)
    worker.wait(lambda: worker.stored() > 0, "the first batch")
    worker.stop()
    admin = AdminClient({"bootstrap.servers": bench.topics.bootstrap})
    group = admin.describe_consumer_groups([bench.group], request_timeout=10)[bench.group].result()
    assert (group.state, list(group.members)) == (ConsumerGroupState.EMPTY, [])
    for partition in range(4):
        offset, metadata = bench.committed(partition)
        mine = [m for m in sink.manifests if m.range.partition == partition]
        assert not mine or (offset, metadata.split()[-1]) == (joined(mine, partition)[1] + 1, "-")


@pytest.mark.parametrize("seed", [1, 2])
def test_every_consumed_message_is_accounted_for_by_the_metrics(wide_bench: Bench, seed: int) -> None:
    bench, sink, chance = wide_bench, MemorySink(), random.Random(seed)
    worker = bench.worker(sink, worker={"batch_rows": 37, "drop_event_codes": ["noise.*"]})
    sent = 0
    for number in range(60):
        kind = chance.random()
        value = b"bad" if kind < 0.2 else bench.event(number, event_code="noise.x" if kind < 0.4 else "campaign.update")
        bench.send(*[value] * 5, partition=chance.randrange(4))
        sent += 5
    worker.wait_stored(sent)
    worker.wait(lambda: worker.value("auditstream_messages_held") == 0, "the gauge")
    assert balance(worker) == (sent, sent)
    fates = {f: worker.value("auditstream_messages_total", fate=f) for f in ("stored", "dead_lettered", "filtered")}
    assert min(fates.values()) > 0
    assert fates["stored"] == sink.events.num_rows
    assert fates["dead_lettered"] == sink.dead_letters.num_rows
    assert fates["filtered"] == sum(m.filtered for m in sink.manifests)
    assert worker.value("auditstream_offsets_total") == sum(m.range.span for m in sink.manifests) == sent
    assert worker.value("auditstream_lag_offsets", topic=bench.topic, partition="0") == 0
    assert stays(lambda: worker.waiting_for() == "", 0.3)
    worker.stop()


class Notes:
    """Blocks that a store in memory was given.

    Attributes:
        store: The store.
        tokens: Their tokens, in order.
        partitions: Kafka partitions in each block of events.
    """

    def __init__(self) -> None:
        self.store = MemoryStore(before_insert=self._note)
        self.tokens: list[str] = []
        self.partitions: list[set[int]] = []

    def _note(self, table: str, rows: pa.Table, token: str) -> None:
        self.tokens.append(token)
        if table == EVENTS:
            self.partitions.append(set(rows["kafka_partition"].to_pylist()))


def test_small_ranges_of_all_partitions_are_written_as_one_block_per_table(wide_bench: Bench) -> None:
    bench, notes = wide_bench, Notes()
    sink = MemorySink(notes.store)
    worker = bench.worker(sink, worker={"batch_age_s": 3.0})
    worker.wait(lambda: owned(worker) == set(range(4)), "all partitions")
    send_everywhere(bench, 30, 0)
    worker.wait_stored(120)
    send_everywhere(bench, 5, 30)
    worker.wait_stored(140)
    worker.stop()
    assert places(sink) == [(p, n) for p in range(4) for n in range(35)]
    assert {joined(sink.manifests, p) for p in range(4)} == {(0, 34)}
    # On a slow machine a partition may come too late for its company, but not all of them every time.
    assert any(len(partitions) > 1 for partitions in notes.partitions)
    assert len(notes.partitions) < len(sink.manifests)
    assert any(token.startswith("group:") for token in notes.tokens)


def test_ranges_of_a_group_are_completed_by_their_next_owners(wide_bench: Bench) -> None:
    bench, notes = wide_bench, Notes()
    sink, group = MemorySink(notes.store), uuid4().hex
    send_everywhere(bench, 20, 0)
    topic_id = BrokerTopics(KafkaSettings(bootstrap_servers=bench.topics.bootstrap)).topic_id(bench.topic)
    for partition in range(3):
        bench.commit(0, Intent(topic_id, 9, group).encode(), partition)
    workers = [bench.worker(sink), bench.worker(sink)]
    workers[0].wait(lambda: sum(w.stored() for w in workers) >= 80, "everything to be stored")
    for worker in workers:
        worker.stop()
    assert places(sink) == [(p, n) for p in range(4) for n in range(20)]
    assert {joined(sink.manifests, p) for p in range(4)} == {(0, 19)}
    assert {(m.range.partition, m.range.last) for m in sink.manifests if m.range.first == 0} >= {
        (p, 9) for p in range(3)
    }
    assert f"group:{group}:audit_events" in notes.tokens, "what a stale worker may come with is used up"
    assert notes.store.is_broken(WriteGroup(group))


def test_a_worker_that_dies_in_the_middle_of_a_group_leaves_what_the_next_one_completes(wide_bench: Bench) -> None:
    bench, store = wide_bench, MemoryStore()
    first, second = MemorySink(store), MemorySink(store)
    worker = bench.worker(first)
    worker.wait(lambda: owned(worker) == set(range(4)), "all partitions")
    left = [2]

    def die(table: str, rows: pa.Table, token: str) -> None:
        if token.startswith("group:") and table == "audit_events":
            left[0] -= 1
            if not left[0]:
                raise RuntimeError("dies")

    store.after_insert = die
    for begin in range(0, 400, 20):
        send_everywhere(bench, 20, begin)
    assert "dies" in str(worker.ended_with())
    store.after_insert = lambda *_: None
    heir = bench.worker(second)
    heir.wait(lambda: len(places(second)) >= 1_600, "everything to be stored")
    heir.wait(lambda: {joined(second.manifests, p)[1] for p in range(4)} == {399}, "the manifests")
    heir.stop()
    assert places(second) == [(p, n) for p in range(4) for n in range(400)]
    assert {joined(second.manifests, p) for p in range(4)} == {(0, 399)}
