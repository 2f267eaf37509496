"""Messages come to the worker in both ways alike: all of them, in order, with everything that they carry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from consumers.errors import MustStop
from consumers.fetching import library as native
from consumers.fetching.direct import DirectQueue
from consumers.fetching.library import LibraryUnusable, handle_of
from consumers.kafka import DIRECT_MESSAGES, GroupConsumer
from consumers.records import Records
from consumers.settings import WorkerSettings
from infrastructure.kafka import Topics
from schemas.settings import KafkaSettings

PATIENCE_S = 30.0
#: A recent one: Kafka deletes what is older than its retention.
SENT_MS = int(time.time() * 1000)

#: Value, key, headers.
Sent = tuple[bytes | None, bytes | None, list[tuple[str, str | bytes | None]]]


class Takes:
    """Takes every partition from a given offset on."""

    def __init__(self, starts: Mapping[int, int]) -> None:
        self.starts, self.came, self.went = starts, list[int](), list[int]()

    def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        self.came += partitions
        return {p: self.starts.get(p, 0) for p in partitions}

    def revoked(self, partitions: Sequence[int]) -> None:
        self.went += partitions

    def lost(self, partitions: Sequence[int]) -> None:
        self.went += partitions


class Reader:
    """A member of a group that keeps what it fetches."""

    def __init__(self, topic: str, bootstrap: str, fetch: str, listener: Takes, group: str = "") -> None:
        kafka = KafkaSettings(bootstrap_servers=bootstrap, events_topic=topic)
        self.consumer = GroupConsumer(kafka, WorkerSettings(group_id=group or f"g.{topic}.{fetch}", fetch=fetch))
        self.pieces: list[Records] = []
        self.out_of_range: list[int] = []
        self.consumer.subscribe(listener)
        self.is_direct = self.consumer.fetch_messages == DIRECT_MESSAGES

    def turn(self) -> None:
        self.pieces += self.consumer.fetch(self.consumer.fetch_messages, 0.05, self.out_of_range.append)

    def until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, f"fetched only {self.offsets()}"
            self.turn()

    def offsets(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for piece in self.pieces:
            found.setdefault(piece.partition, []).extend(piece.offsets.tolist())
        return found

    def count(self) -> int:
        return sum(map(len, self.pieces))

    def messages(self) -> list[Sent]:
        raw = [piece[i] for piece in self.pieces for i in range(len(piece))]
        return [(m.value, m.key, [*m.headers]) for m in raw]


@pytest.fixture(params=["direct", "client"])
def fetch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Open = Callable[..., Reader]


@pytest.fixture
def open_reader(topics: Topics, fetch: str) -> Iterator[Open]:
    readers: list[Reader] = []

    def opened(topic: str, listener: Takes, group: str = "") -> Reader:
        readers.append(Reader(topic, topics.bootstrap, fetch, listener, group))
        return readers[-1]

    yield opened
    for reader in readers:
        reader.consumer.close()


def send(topics: Topics, topic: str, messages: Sequence[Sent], partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": topics.bootstrap, "linger.ms": 5})
    for value, key, headers in messages:
        producer.produce(topic, value, key, partition=partition, headers=headers, timestamp=SENT_MS)
    assert producer.flush(PATIENCE_S) == 0


def numbered(count: int) -> list[Sent]:
    return [(b"%d" % i, None, []) for i in range(count)]


def test_values_keys_and_headers_arrive_as_they_were_sent(topics: Topics, open_reader: Open, fetch: str) -> None:
    topic = topics.create("odd", partitions=1)
    sent: list[Sent] = [
        (b"value", b"key", [("a", b"1"), ("a", b""), ("b", None)]),
        (b"", b"", []),
        (None, None, [("tombstone", b"\xff\x00")]),
        (b"x" * 300_000, b"k" * 300, []),
        (b"\x00", None, []),
    ]
    send(topics, topic, sent)
    reader = open_reader(topic, Takes({}))
    assert reader.is_direct is (fetch == "direct")
    reader.until(lambda: reader.count() == len(sent))
    assert reader.messages() == sent
    assert reader.offsets() == {0: [0, 1, 2, 3, 4]}
    assert {t for p in reader.pieces for t in p.timestamps_ms.tolist()} == {SENT_MS}


def test_many_messages_of_several_partitions_come_complete_and_in_order(topics: Topics, open_reader: Open) -> None:
    topic = topics.create("many", partitions=3)
    for partition in range(3):
        send(topics, topic, numbered(7000), partition)
    reader = open_reader(topic, Takes({1: 500}))
    reader.until(lambda: reader.count() >= 20_500)
    assert reader.offsets() == {0: list(range(7000)), 1: list(range(500, 7000)), 2: list(range(7000))}
    for piece in reader.pieces:
        assert [piece[i].value for i in range(len(piece))] == [b"%d" % o for o in piece.offsets]


def test_what_a_seek_reads_again_is_all_that_comes_afterwards(topics: Topics, open_reader: Open) -> None:
    topic = topics.create("seek", partitions=1)
    send(topics, topic, numbered(5000))
    reader = open_reader(topic, Takes({}))
    reader.until(lambda: reader.count() > 0)
    reader.consumer.seek(0, 10)
    reader.pieces.clear()
    reader.until(lambda: reader.count() >= 4990)
    assert reader.offsets() == {0: list(range(10, 5000))}


def test_a_partition_that_was_begun_anew_is_read_on(topics: Topics, open_reader: Open) -> None:
    topic = topics.create("anew", partitions=2)
    for partition in range(2):
        send(topics, topic, numbered(3000), partition)
    reader = open_reader(topic, Takes({}))
    reader.until(lambda: reader.count() == 6000)
    for again in range(3):
        reader.pieces.clear()
        reader.consumer.restart(0, 100 * again)
        reader.until(lambda again=again: reader.count() >= 3000 - 100 * again)  # type: ignore[misc]
        assert reader.offsets() == {0: list(range(100 * again, 3000))}


def test_nothing_comes_of_a_paused_partition_until_it_goes_on(topics: Topics, open_reader: Open) -> None:
    topic = topics.create("pause", partitions=1)
    send(topics, topic, numbered(10))
    reader = open_reader(topic, Takes({}))
    reader.until(lambda: reader.count() == 10)
    reader.consumer.pause([0])
    send(topics, topic, numbered(10))
    for _ in range(20):
        reader.turn()
    assert reader.count() == 10
    reader.consumer.resume([0])
    reader.until(lambda: reader.count() == 20)
    assert reader.offsets() == {0: list(range(20))}


def test_an_offset_that_the_broker_does_not_have_is_told_with_its_partition(topics: Topics, open_reader: Open) -> None:
    topic = topics.create("gone", partitions=2)
    send(topics, topic, numbered(10), 1)
    reader = open_reader(topic, Takes({1: 999}))
    reader.until(lambda: bool(reader.out_of_range))
    assert set(reader.out_of_range) == {1}
    reader.consumer.restart(1, 4)
    reader.until(lambda: reader.count() == 6)
    assert reader.offsets() == {1: list(range(4, 10))}


def test_partitions_move_to_a_second_member_and_back(topics: Topics, open_reader: Open) -> None:
    topic = topics.create("move", partitions=4)
    group = f"g.{topic}"
    listeners = Takes({}), Takes({})
    first = open_reader(topic, listeners[0], group)
    first.until(lambda: len(listeners[0].came) == 4)
    second = open_reader(topic, listeners[1], group)

    def both(reached: Callable[[], bool]) -> None:
        first.until(lambda: second.turn() or reached())  # type: ignore[func-returns-value]

    both(lambda: len(listeners[1].came) == 2)
    for partition in range(4):
        send(topics, topic, numbered(100), partition)
    both(lambda: first.count() + second.count() >= 400)
    assert sorted(first.offsets() | second.offsets()) == [0, 1, 2, 3]
    second.consumer.close()
    first.until(lambda: len(listeners[0].came) == 6)
    # The first member reads those that came back from their beginning, and goes on with its own.
    first.until(lambda: first.count() >= 400)
    assert first.offsets() == {p: list(range(100)) for p in range(4)}


def test_partitions_that_come_while_the_group_is_left_are_not_taken_up(topics: Topics, open_reader: Open) -> None:
    topic = topics.create("late", partitions=2)
    first, late = Takes({}), Takes({})
    group = f"g.{topic}"
    member = open_reader(topic, first, group)
    member.until(lambda: len(first.came) == 2)
    joining = open_reader(topic, late, group)
    deadline = time.monotonic() + PATIENCE_S
    while not first.went and time.monotonic() < deadline:
        member.turn()  # gives one up, which is offered to the other, who does not listen any more
    for _ in range(20):
        member.turn()
    joining.consumer.close()
    assert (len(first.went), late.came) == (1, [])


def test_a_consumer_that_nobody_closed_ends_nevertheless(topics: Topics) -> None:
    topic = topics.create("left", partitions=1)
    send(topics, topic, numbered(1000))
    reader = Reader(topic, topics.bootstrap, "direct", Takes({}))
    for _ in range(20):
        reader.turn()
    del reader  # librdkafka would wait for its queue


def test_messages_that_come_past_the_queue_stop_the_worker_before_one_is_taken(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topics.create("past", partitions=1)
    send(topics, topic, numbered(5))
    monkeypatch.setattr(DirectQueue, "attach", lambda *_: None)
    reader = Reader(topic, topics.bootstrap, "direct", Takes({}))
    with pytest.raises(MustStop, match=r"set worker\.fetch to client"):
        reader.until(lambda: reader.count() == 5)
    reader.consumer.close()


def test_a_closed_queue_says_so(topics: Topics) -> None:
    consumer = Consumer({"bootstrap.servers": topics.bootstrap, "group.id": "closed", "client.id": "mine"})
    queue = DirectQueue(consumer, "mine", "any", 10)
    queue.attach([0, 1])
    consumer.assign([TopicPartition("any", 0)])
    queue.close()
    queue.close()
    with pytest.raises(LibraryUnusable, match="closed"):
        queue.fetch(1, 0.0)
    consumer.close()


def test_a_consumer_of_another_build_is_not_touched_and_the_worker_goes_on_by_the_client(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = Consumer({"bootstrap.servers": topics.bootstrap, "group.id": "other", "client.id": "mine"})
    with pytest.raises(LibraryUnusable, match="built in another way"):
        handle_of(consumer, "yours")
    consumer.close()

    monkeypatch.setattr(native, "_SUPPORTED_MAJOR", 99)
    native.library.cache_clear()
    topic = topics.create("fallback", partitions=1)
    send(topics, topic, numbered(5))
    reader = Reader(topic, topics.bootstrap, "direct", Takes({}))
    assert not reader.is_direct
    reader.until(lambda: reader.count() == 5)
    assert reader.offsets() == {0: [0, 1, 2, 3, 4]}
    reader.consumer.close()
    monkeypatch.undo()
    native.library.cache_clear()
