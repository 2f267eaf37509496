"""The actor directory's feed: the compacted topic, read from its start before the first batch and followed live."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from consumers.backoff import Backoff
from consumers.enrich.actors import ActorCard, ActorDirectory
from consumers.errors import BrokerUnavailable
from consumers.kafka import ClientLog
from consumers.metrics import Metrics
from consumers.topics import TopicDirectory
from schemas.columns import ACTOR_COLUMNS
from schemas.errors import RegistryUnavailable, SchemaError
from schemas.reader import RecordReader
from schemas.settings import KafkaSettings
from sinks.errors import SinkUnavailable
from sinks.sink import Sink

log = structlog.get_logger(__name__)

_POLL_S = 0.5
_WRITE_ROWS = 10_000
_METADATA_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class _Row:
    """One record of the topic on its way to the ``actors`` table."""

    record: dict[str, object]
    partition: int
    offset: int
    deleted: bool = False


class ActorFeed:
    """Reads every card into the directory, then follows changes; the leading worker also stores them.

    The thread owns its Kafka client. Cards are stored by the worker that owns partition 0 of the events: repeating a
    card is harmless (the highest offset wins), so a change of leader needs no hand-over: the new one stores all cards
    that it knows.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        directory: ActorDirectory,
        reader: RecordReader,
        *,
        topics: TopicDirectory,
        sink: Sink,
        metrics: Metrics,
        leads: Callable[[], bool],
    ) -> None:
        self._kafka, self._directory, self._reader = kafka, directory, reader
        self._topics, self._sink, self._metrics, self._leads = topics, sink, metrics, leads
        self._stop, self._loaded = threading.Event(), threading.Event()
        self._latest: dict[tuple[str, str], _Row] = {}
        self._unsaved: dict[tuple[str, str], _Row] = {}
        self._led = False
        self._topic_id: UUID | None = None
        self._thread = threading.Thread(target=self._run, name="actors", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def wait_loaded(self, timeout_s: float, given_up: Callable[[], bool]) -> bool:
        """Wait until the topic was read to the end it had at the start; False when that takes longer.

        Args:
            timeout_s: Seconds to wait at most.
            given_up: Asked a few times a second whether to stop waiting.
        """
        deadline = time.monotonic() + timeout_s
        while not self._loaded.wait(0.2) and not given_up():
            if time.monotonic() >= deadline:
                log.warning("actors_incomplete", waited_s=timeout_s, known=len(self._directory))
                break
        return self._loaded.is_set()

    def close(self) -> None:
        """Stop reading and storing."""
        self._stop.set()
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        backoff = Backoff(most_s=5.0)
        while not self._stop.is_set():
            consumer = Consumer(self._config(), logger=ClientLog())
            try:
                self._follow(consumer, backoff)
            except (BrokerUnavailable, KafkaException) as error:
                if self._directory.state == "ready":
                    self._directory.state = "stale"
                log.warning("waiting", stage="actors", reason="kafka", detail=str(error))
                self._metrics.count("auditstream_retries_total", stage="actors", reason="kafka")
                self._stop.wait(backoff.next_s())
            except Exception:
                # Names are a convenience: the events are stored without them, and say so in each row.
                log.exception("actors_failed")
                self._directory.state = "failed"
                self._loaded.set()
                return
            finally:
                consumer.close()

    def _config(self) -> dict[str, Any]:
        return self._kafka.client_config() | {
            "group.id": f"auditstream-actors-{uuid.uuid4()}",  # required by librdkafka, never committed to
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "client.id": "auditstream-actors",
            "queued.max.messages.kbytes": 4096,
            "log_level": 4,
        }

    def _follow(self, consumer: Consumer, backoff: Backoff) -> None:
        ends = self._ends(consumer)
        consumer.assign([TopicPartition(self._kafka.actors_topic, p, 0) for p in ends])
        behind = {p: end for p, end in ends.items() if end > 0}
        while not self._stop.is_set():
            at_end = {self._take(m) for m in consumer.consume(1000, _POLL_S if not behind else 0.1)}
            # A position never reaches an end that is made of transaction markers or of what was deleted; the event
            # that librdkafka sends at the end tells it there, too.
            left = {p: end for p, end in behind.items() if p not in at_end}
            behind = {p: end for p, end in left.items() if self._position(consumer, p) < end}
            if not behind and self._directory.state != "ready":
                backoff.reset()
                self._ready()
            self._store()

    def _ends(self, consumer: Consumer) -> dict[int, int]:
        topic = self._kafka.actors_topic
        found = consumer.list_topics(topic, _METADATA_TIMEOUT_S).topics[topic]
        if found.error is not None or not found.partitions:
            self._loaded.set()  # whoever has no directory (yet) does not wait for it
            raise BrokerUnavailable(
                "UNKNOWN_TOPIC_OR_PART", f"topic {topic} of the actor directory does not exist (yet)"
            )
        self._topic_id = self._topics.topic_id(topic)
        parts = {p: TopicPartition(topic, p) for p in found.partitions}
        return {p: int(consumer.get_watermark_offsets(tp, _METADATA_TIMEOUT_S)[1]) for p, tp in parts.items()}

    def _position(self, consumer: Consumer, partition: int) -> int:
        return int(consumer.position([TopicPartition(self._kafka.actors_topic, partition)])[0].offset)

    def _ready(self) -> None:
        self._directory.state = "ready"
        self._metrics.set("auditstream_actors_known", len(self._directory))
        log.info("actors_loaded", known=len(self._directory))
        self._loaded.set()

    def _take(self, message: Message) -> int | None:
        """Take in what Kafka handed out; return the partition when it says that the partition's end is reached."""
        error = message.error()
        if error is None:
            self._take_card(message)
        elif error.name() == "_PARTITION_EOF":
            return message.partition()
        else:
            log.warning("kafka_error", topic=self._kafka.actors_topic, error=error.name())
        return None

    def _take_card(self, message: Message) -> None:
        where = {"partition": message.partition(), "offset": message.offset()}
        try:
            row = self._row(message)
        except RegistryUnavailable:
            return  # told to stop while waiting for it: the card is read again by the next worker
        except SchemaError as refusal:
            self._refuse(str(refusal), where)
            return
        except Exception as defect:
            # Whatever a card does to its reader, the cards behind it are read.
            self._refuse(f"{type(defect).__name__}: {defect}", where)
            return
        tenant_id, actor_id = key = str(row.record["tenant_id"]), str(row.record["actor_id"])
        card = None if row.deleted else ActorCard.of(row.record)
        self._directory.apply(tenant_id, actor_id, card, (self._topic_id, row.partition), row.offset)
        self._latest[key] = self._unsaved[key] = row
        self._metrics.count("auditstream_actor_cards_total", result="removed" if row.deleted else "applied")

    def _refuse(self, reason: str, where: dict[str, int | None]) -> None:
        self._metrics.count("auditstream_actor_cards_total", result="refused")
        log.warning("actor_card_refused", reason=reason, **where)

    def _row(self, message: Message) -> _Row:
        value, place = message.value(), (message.partition() or 0, message.offset() or 0)
        if value is None:
            key = message.key() or b""
            tenant_id, _, actor_id = (key.decode(errors="replace") if isinstance(key, bytes) else key).partition("/")
            return _Row({"tenant_id": tenant_id, "actor_id": actor_id}, *place, deleted=True)
        backoff = Backoff()
        while True:
            try:
                return _Row(self._reader.read(value), *place)
            except RegistryUnavailable as error:
                log.warning("waiting", stage="actors", reason="registry", detail=str(error))
                self._metrics.count("auditstream_retries_total", stage="actors", reason="registry")
                if self._stop.wait(backoff.next_s(error.retry_after_s)):
                    raise

    def _store(self) -> None:
        leads = self._leads()
        if leads and not self._led:
            self._unsaved = dict(self._latest)
        self._led = leads
        if not leads:
            self._unsaved.clear()
            return
        while self._unsaved:
            keys = list(self._unsaved)[:_WRITE_ROWS]
            try:
                self._sink.write_actors(self._table([self._unsaved[k] for k in keys]))
            except SinkUnavailable as error:
                # Kept and tried again after the next poll.
                self._metrics.count("auditstream_retries_total", stage="actors", reason=error.reason)
                log.warning("waiting", stage="actors", reason=error.reason, detail=str(error))
                return
            for key in keys:
                del self._unsaved[key]
        self._metrics.set("auditstream_actors_known", len(self._directory))

    def _table(self, rows: list[_Row]) -> pa.Table:
        topic_id = self._topic_id.bytes if self._topic_id else bytes(16)
        computed = {
            "deleted": [r.deleted for r in rows],
            "kafka_topic_id": [topic_id] * len(rows),
            "kafka_partition": [r.partition for r in rows],
            "kafka_offset": [r.offset for r in rows],
        }
        missing: dict[str, object] = {"roles": [], "updated_at": 0}
        arrays = []
        for column in ACTOR_COLUMNS:
            given = [r.record.get(column.name, missing.get(column.name, "")) for r in rows]
            values = computed.get(column.name, given)
            arrays.append(pa.array(values, column.arrow))
        return pa.table(arrays, names=[c.name for c in ACTOR_COLUMNS])
