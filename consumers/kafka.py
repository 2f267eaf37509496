"""The consumer group's side of Kafka: the only module of the worker that speaks librdkafka's language."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from consumers.errors import BrokerUnavailable, ConsumerError, InstanceFenced, MustStop, OwnershipLost
from consumers.fetching.client import records_of
from consumers.fetching.direct import DirectQueue
from consumers.fetching.library import LibraryUnusable
from consumers.records import Records
from consumers.settings import WorkerSettings
from schemas.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: The group has moved on without this member; source: Kafka protocol error codes 22, 25, 110, 113.
_FENCED = frozenset(
    {
        "UNKNOWN_MEMBER_ID",
        "ILLEGAL_GENERATION",
        "FENCED_MEMBER_EPOCH",
        "STALE_MEMBER_EPOCH",
        "_ASSIGNMENT_LOST",
        "_STATE",
    }
)
_FENCED_WORDS = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
#: Message errors that mean "not now": librdkafka reconnects and asks again by itself.
_OUT_OF_RANGE = "_AUTO_OFFSET_RESET"
#: There is nothing to read until somebody makes the topic or grants the right; the client goes on asking.
_NOTHING_TO_READ = frozenset(
    {"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"}
)
MAX_FETCH_BYTES = 16 << 20
#: Messages of one fetch. confluent_kafka makes an object of each: 10,000 of them at once cost 20-30 % more CPU per
#: message than 1,000, measured 2026-11. Arrays cost less the longer they are.
CLIENT_MESSAGES, DIRECT_MESSAGES = 1000, 4000
#: Callbacks and errors that are taken in at once; there are few.
_OTHERS = 100


def consumer_config(kafka: KafkaSettings, worker: WorkerSettings) -> dict[str, Any]:
    """Return the librdkafka properties of a worker.

    Properties that the delivery promise rests on come last, so that nothing in ``kafka.extra`` overrides them.
    """
    speed = {
        "queued.min.messages": 20_000,
        "fetch.queue.backoff.ms": 10,
        "fetch.wait.max.ms": 100,
        "reconnect.backoff.max.ms": 2_000,
        "socket.keepalive.enable": True,
        # A request whose broker died is given up well below the poll interval.
        "socket.timeout.ms": 6_000,
        "client.id": "auditstream-worker",
        # librdkafka's own share of the memory budget, all partitions together.
        "queued.max.messages.kbytes": max(1024, worker.memory_bytes // 4096),
        "fetch.max.bytes": min(MAX_FETCH_BYTES, max(1 << 20, worker.memory_bytes // 4)),
        "log_level": 4,
    }
    promise: dict[str, Any] = {
        "group.id": worker.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "allow.auto.create.topics": False,
        "session.timeout.ms": int(worker.session_timeout_s * 1000),
        "max.poll.interval.ms": int(max(worker.max_poll_interval_s, worker.session_timeout_s) * 1000),
        "heartbeat.interval.ms": max(100, min(3000, int(worker.session_timeout_s * 1000 / 5))),
    }
    if worker.instance_id:
        promise["group.instance.id"] = worker.instance_id
    return {**speed, **kafka.client_config(), **promise}


@dataclass(frozen=True, slots=True)
class Committed:
    """What the group has committed for one partition.

    Attributes:
        partition: Partition.
        offset: Next offset to read, None when the group never committed one.
        metadata: Text committed with it.
    """

    partition: int
    offset: int | None
    metadata: str


#: What one commit says: next offset and metadata by partition.
Offsets = Mapping[int, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Kafka's answer to one commit.

    Attributes:
        offsets: What was to be committed.
        refused: What was not, by partition: ``OwnershipLost``, ``BrokerUnavailable`` or ``MustStop``; empty when all is
            well.
    """

    offsets: Offsets
    refused: Mapping[int, ConsumerError]


class RebalanceListener(Protocol):
    """Hears about partitions that come and go; called on the poll thread, inside ``fetch`` and ``close``."""

    def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Take partitions; return the offset to read each from, none for those that cannot be taken up yet."""
        ...

    def revoked(self, partitions: Sequence[int]) -> None:
        """Finish and let go of partitions that are still ours until this returns."""
        ...

    def lost(self, partitions: Sequence[int]) -> None:
        """Forget partitions that already belong to somebody else."""
        ...


class GroupConsumer:
    """A member of the workers' consumer group; used by one thread only.

    Attributes:
        topic: Topic of the events.
        unreachable: Why nothing can be read at all, empty when something can; for health.
    """

    def __init__(self, kafka: KafkaSettings, worker: WorkerSettings) -> None:
        self.topic = kafka.events_topic
        self._instance_id = worker.instance_id
        self.unreachable = ""
        config = {**consumer_config(kafka, worker), "error_cb": self._heard, "on_commit": self._answered}
        self._consumer = Consumer(config, logger=ClientLog())
        self._direct = self._open_direct(config["client.id"]) if worker.fetch == "direct" else None
        self._assigned: set[int] = set()
        self._closing = False
        self._answers: list[Answer] = []

    def _open_direct(self, client_id: str) -> DirectQueue | None:
        try:
            return DirectQueue(self._consumer, client_id, self.topic, DIRECT_MESSAGES)
        except LibraryUnusable as error:
            log.warning("fetching_by_client", reason=str(error), note="all the same, with more CPU for each message")
            return None

    @property
    def fetch_messages(self) -> int:
        """Messages to ask of one ``fetch``."""
        return CLIENT_MESSAGES if self._direct is None else DIRECT_MESSAGES

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group."""

        def on_assign(consumer: Consumer, parts: list[TopicPartition]) -> None:
            self.unreachable = ""
            if self._direct is not None:
                self._direct.attach([p.partition for p in parts])
            # While the group is left nothing is read any more, and librdkafka answers no question.
            offsets = {} if self._closing else listener.assigned([p.partition for p in parts])
            # Those that could not be taken up are ours all the same, and librdkafka must hold them to let them go.
            places = [TopicPartition(self.topic, p.partition, offsets.get(p.partition, OFFSET_END)) for p in parts]
            consumer.incremental_assign(places)
            if waiting := [place for place in places if place.partition not in offsets]:
                consumer.pause(waiting)
            self._assigned |= {p.partition for p in parts}

        def on_revoke(consumer: Consumer, parts: list[TopicPartition]) -> None:
            listener.revoked([p.partition for p in parts])
            let_go(consumer, parts)

        def on_lost(consumer: Consumer, parts: list[TopicPartition]) -> None:
            listener.lost([p.partition for p in parts])
            let_go(consumer, parts)

        def let_go(consumer: Consumer, parts: list[TopicPartition]) -> None:
            self._assigned -= {p.partition for p in parts}
            consumer.incremental_unassign(parts)
            if self._direct is not None:
                self._direct.detach([p.partition for p in parts])

        self._consumer.subscribe([self.topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

    def fetch(self, count: int, timeout_s: float, out_of_range: Callable[[int], None]) -> list[Records]:
        """Poll; rebalance callbacks run in here.

        Args:
            count: Messages at most.
            timeout_s: Seconds to wait for them.
            out_of_range: Called with a partition whose next offset the broker does not have.

        Returns:
            What came, in the order in which it came; a partition may have several pieces.

        Raises:
            MustStop: librdkafka reports a fatal error.
        """
        if self._direct is None:
            return self._fetch_by_client(count, timeout_s, out_of_range)
        # Without partitions only the group has something to say, and it shall not wait for messages that cannot come.
        patience_s = 0.0 if self._assigned else timeout_s
        if self._fetch_by_client(_OTHERS, patience_s, out_of_range):
            # Taken in, they could come before older messages of their partition, which would then be passed over.
            raise MustStop("Kafka's client delivered messages past their queue; set worker.fetch to client")
        pieces, failures = self._direct.fetch(count, timeout_s - patience_s)
        if pieces or failures:
            self.unreachable = ""
        for failure in failures:
            self._judge(failure.error, failure.partition, out_of_range)
        return pieces

    def _fetch_by_client(self, count: int, timeout_s: float, out_of_range: Callable[[int], None]) -> list[Records]:
        messages = self._call(self._consumer.consume, count, timeout_s)
        if messages:
            self.unreachable = ""
        for message in messages:
            if (error := message.error()) is not None:
                self._judge(error, message.partition(), out_of_range)
        return records_of(m for m in messages if m.error() is None)

    def _heard(self, error: KafkaError) -> None:
        """Hear of an error that belongs to no request (librdkafka's error_cb)."""
        if error.name() == "_ALL_BROKERS_DOWN":
            self.unreachable = error.str()
        log.warning("kafka_error", error=error.name(), detail=error.str())

    def _judge(self, error: KafkaError, partition: int | None, out_of_range: Callable[[int], None]) -> None:
        if error.fatal() or error.name() == "_FATAL":
            told = self._translate(error)
            raise told if isinstance(told, MustStop) else MustStop(f"Kafka's client gave up: {error.str()}")
        if error.name() == _OUT_OF_RANGE and partition is not None and partition >= 0:
            out_of_range(partition)
            return
        if error.name() in _NOTHING_TO_READ:
            self.unreachable = f"{self.topic}: {error.str()}"
        log.warning("kafka_error", error=error.name(), detail=error.str())

    def committed(self, partitions: Iterable[int], timeout_s: float = 5.0) -> list[Committed]:
        """Read what the group has committed.

        Raises:
            BrokerUnavailable: No answer, or an error for one of the partitions.
        """
        asked = [TopicPartition(self.topic, p) for p in partitions]
        answer = self._call(self._consumer.committed, asked, timeout_s)
        for part in answer:
            if part.error is not None:
                raise self._translate(part.error)
        return [Committed(p.partition, p.offset if p.offset >= 0 else None, p.metadata or "") for p in answer]

    def send_commit(self, offsets: Offsets) -> None:
        """Send a commit of offsets with their metadata, in one request; ``answers`` has the answer after some ``fetch``.

        Nothing waits here: while its coordinator is away librdkafka holds a commit back, without limit, and whoever
        waited would neither stop nor hear that Kafka is gone. Answers come in the order of the commits.

        Raises:
            OwnershipLost: There is no assignment to commit for.
            BrokerUnavailable: librdkafka does not take it.
        """
        self._call(self._consumer.commit, offsets=self._places(offsets), asynchronous=True)

    def answers(self) -> list[Answer]:
        """Return the answers that came in since the last call.

        Raises:
            MustStop: This member was fenced for good.
        """
        answers, self._answers = self._answers, []
        for refusal in (refusal for answer in answers for refusal in answer.refused.values()):
            if isinstance(refusal, MustStop):
                raise refusal
        return answers

    def _answered(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """Hear of the end of a commit (librdkafka's on_commit, called inside ``fetch``)."""
        if error is None:
            self.unreachable = ""
        refused = {
            p.partition: self._translate(told) for p in parts if (told := p.error if p.error is not None else error)
        }
        self._answers.append(Answer({p.partition: (p.offset, p.metadata or "") for p in parts}, refused))

    def _places(self, offsets: Offsets) -> list[TopicPartition]:
        return [TopicPartition(self.topic, p, offset, metadata=text) for p, (offset, text) in offsets.items()]

    def watermarks(self, partition: int, *, cached: bool = False) -> tuple[int, int]:
        """Return the oldest offset and the one after the newest of a partition.

        Raises:
            BrokerUnavailable: No answer within 5 s, or nothing cached yet.
        """
        part = TopicPartition(self.topic, partition)
        marks = self._call(self._consumer.get_watermark_offsets, part, 5.0, cached)
        if marks is None or marks[1] < 0:
            raise BrokerUnavailable("_TIMED_OUT", f"no watermarks of {self.topic}-{partition}")
        return int(marks[0]), int(marks[1])

    def seek(self, partition: int, offset: int) -> None:
        """Read a partition from another offset on."""
        self._call(self._consumer.seek, TopicPartition(self.topic, partition, offset))

    def restart(self, partition: int, offset: int) -> None:
        """Begin to fetch a partition again whose fetching an error has ended; it stays ours.

        ``seek`` refuses such a partition for ever: after an error of ``auto.offset.reset`` librdkafka fetches it only
        when it is assigned anew.
        """
        self._call(self._consumer.incremental_unassign, [TopicPartition(self.topic, partition)])
        self._call(self._consumer.incremental_assign, [TopicPartition(self.topic, partition, offset)])

    def assignment(self) -> set[int]:
        """Return the partitions that librdkafka fetches for us.

        As its callbacks told: asking librdkafka waits for its main thread, and with it the poll loop.
        """
        return set(self._assigned)

    def pause(self, partitions: Iterable[int]) -> None:
        """Stop fetching some partitions; they stay ours."""
        self._call(self._consumer.pause, [TopicPartition(self.topic, p) for p in partitions])

    def resume(self, partitions: Iterable[int]) -> None:
        """Fetch some partitions again."""
        self._call(self._consumer.resume, [TopicPartition(self.topic, p) for p in partitions])

    def close(self, timeout_s: float = 10.0) -> None:
        """Leave the group; the listener hears of the partitions that go, on another thread.

        After ``timeout_s`` the client is left as it is: librdkafka waits for commits under way as long as their
        coordinator is away, and the group forgets this member after the session time-out anyway.
        """
        self._closing = True
        if self._direct is not None:
            self._direct.close()
        errors: list[Exception] = []

        def leave() -> None:
            try:
                self._consumer.close()
            except Exception as error:  # raised below, on the thread that waits
                errors.append(error)

        thread = threading.Thread(target=leave, name="leave", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if thread.is_alive():
            log.warning("left_without_answer", waited_s=timeout_s)
        for error in errors:
            raise error

    def _call(self, function: Callable[..., Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - librdkafka's answers
        try:
            return function(*args, **kwargs)
        except KafkaException as exception:
            raise self._translate(exception.args[0]) from exception

    def _translate(self, error: KafkaError) -> ConsumerError:
        name = error.name()
        # librdkafka tells its end once, as a message with this code and the reason in words; afterwards without words.
        if name in {"FENCED_INSTANCE_ID", "_FENCED"} or (name == "_FATAL" and _FENCED_WORDS in error.str()):
            return InstanceFenced(self._instance_id)
        if error.fatal():
            return MustStop(f"Kafka's client gave up: {error.str()}")
        return OwnershipLost(name) if name in _FENCED else BrokerUnavailable(name, error.str())


class ClientLog:
    """Takes librdkafka's own log lines into ours."""

    def log(self, level: int, line: str, *args: object) -> None:
        """Log one line of librdkafka at debug level: what matters is raised or counted anyway."""
        del level
        log.debug("librdkafka", line=line % args if args else line)
