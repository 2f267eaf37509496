"""A bench: a topic of known messages, the group that reads it, and workers in front of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from auditstream.settings import Settings
from infrastructure.kafka import Topics
from infrastructure.ports import wait_until
from infrastructure.running import PATIENCE_S, RunningWorker
from schemas.columns import avro_schema
from schemas.registry import Registry, Schema, open_registry, value_subject
from schemas.settings import RegistrySettings
from schemas.wire import EventCodec
from sinks.sink import Sink

Header = tuple[str, bytes | None]


class Bench:
    """One topic with the event schema registered, messages to put on it, and workers that read it."""

    def __init__(self, topics: Topics, registry: RegistrySettings, topic: str) -> None:
        self.topics, self.topic, self.registry_settings = topics, topic, registry
        self.registry = open_registry(registry)
        self.group = f"group.{uuid.uuid4().hex[:12]}"
        self.schema = avro_schema("audit_event", 1)
        self.codec = self.writer(self.schema)
        self._producer = Producer(
            {"bootstrap.servers": topics.bootstrap, "message.max.bytes": 32 << 20, "log_level": 2}
        )
        self._admin = AdminClient({"bootstrap.servers": topics.bootstrap, "log_level": 2})
        self._workers: list[RunningWorker] = []

    def writer(self, schema: Schema) -> EventCodec:
        """Register a version of the event schema and return what encodes with it."""
        subject = value_subject(self.topic)
        return EventCodec(schema, self.registry.register(subject, schema))

    # -- messages --

    def event(self, number: int = 0, codec: EventCodec | None = None, **fields: Any) -> bytes:
        """Return one valid message; ``fields`` replace or add to its values."""
        record: dict[str, Any] = {
            "event_id": uuid.UUID(int=(1 << 124) + number),
            "event_code": "campaign.update",
            "tenant_id": "acme",
            "occurred_at": datetime.now(UTC),
            "message": f"event {number}",
        }
        return (codec or self.codec).encode(record | fields)

    def events(self, count: int, first: int = 0, **fields: Any) -> list[bytes]:
        """Return that many valid messages, numbered from ``first`` on."""
        return [self.event(n, **fields) for n in range(first, first + count)]

    def send(
        self, *values: bytes | None, partition: int = 0, key: bytes | None = None, headers: Sequence[Header] = ()
    ) -> list[int]:
        """Put messages on a partition; return their offsets, confirmed by Kafka."""
        offsets: list[int] = []

        def report(error: object, message: Message) -> None:
            if error is None:
                offsets.append(message.offset() or 0)

        for value in values:
            self._producer.produce(
                self.topic, value, key=key, partition=partition, headers=list(headers), on_delivery=report
            )
        self._producer.flush(PATIENCE_S)
        if len(offsets) != len(values):
            raise TimeoutError(f"Kafka confirmed {len(offsets)} of {len(values)} messages")
        return offsets

    def send_in_transaction(self, *values: bytes, commit: bool, partition: int = 0) -> None:
        """Put messages on a partition in one transaction that is committed or aborted."""
        producer = Producer(
            {"bootstrap.servers": self.topics.bootstrap, "transactional.id": uuid.uuid4().hex, "log_level": 2}
        )
        begin = self.end(partition)
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        for value in values:
            producer.produce(self.topic, value, partition=partition)
        producer.flush(PATIENCE_S)
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE_S)
        # The coordinator answers before the marker is written.
        marked = begin + len(values) + 1
        wait_until(lambda: self.end(partition) == marked, timeout_s=PATIENCE_S, what="the marker of the transaction")

    # -- the group --

    def committed(self, partition: int = 0) -> tuple[int, str]:
        """Return the group's committed offset of a partition, -1 without one, and its metadata."""
        asked = [ConsumerGroupTopicPartitions(self.group, [TopicPartition(self.topic, partition)])]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._admin.list_consumer_group_offsets(asked, request_timeout=PATIENCE_S)[self.group].result()
            except KafkaException as error:  # a broker that has just started is still loading its groups
                if error.args[0].code() != KafkaError.COORDINATOR_LOAD_IN_PROGRESS or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                continue
            found = answer.topic_partitions[0]
            return (found.offset if found.offset >= 0 else -1), found.metadata or ""

    def commit(self, offset: int, metadata: str = "", partition: int = 0) -> None:
        """Commit an offset for the group, which must have no members."""
        consumer = Consumer({"bootstrap.servers": self.topics.bootstrap, "group.id": self.group, "log_level": 2})
        place = TopicPartition(self.topic, partition, offset, metadata=metadata)
        (answer,) = consumer.commit(offsets=[place], asynchronous=False) or []
        consumer.close()
        if answer.error is not None:
            raise RuntimeError(answer.error.str())

    def delete_before(self, offset: int, partition: int = 0, topic: str = "") -> None:
        """Delete messages as retention does: everything before an offset."""
        for done in self._admin.delete_records([TopicPartition(topic or self.topic, partition, offset)]).values():
            done.result(PATIENCE_S)

    # -- workers --

    def settings(self, **sections: Mapping[str, Any]) -> Settings:
        """Return the settings of a worker on this bench; ``sections`` win."""
        kafka = {"bootstrap_servers": self.topics.bootstrap, "events_topic": self.topic, "actors_topic": ""}
        worker = {"group_id": self.group, "session_timeout_s": 6.0, "batch_age_s": 0.1, "http_port": 0}
        given: dict[str, Any] = {"registry": self.registry_settings, **sections}
        given |= {"kafka": kafka | dict(sections.get("kafka", {})), "worker": worker | dict(sections.get("worker", {}))}
        return Settings.model_validate(given)

    def worker(self, sink: Sink, registry: Registry | None = None, **sections: Mapping[str, Any]) -> RunningWorker:
        """Start a worker; it is stopped at the end of the test if it still runs."""
        worker = RunningWorker(self.settings(**sections), sink, registry or self.registry)
        self._workers.append(worker)
        return worker.start()

    def recreate(self) -> None:
        """Delete the topic and create another one of the same name and as many partitions."""
        partitions = len(self.topics.end_offsets(self.topic))
        self.topics.delete(self.topic)
        self.create_again(self.topic, partitions)

    def create_again(self, topic: str, partitions: int) -> None:
        """Create a topic that was deleted; the broker may be busy with the deletion still."""
        wait_until(lambda: self._created(topic, partitions), timeout_s=PATIENCE_S, what=f"{topic} anew", every_s=0.2)

    def _created(self, topic: str, partitions: int) -> bool:
        (done,) = self._admin.create_topics([NewTopic(topic, num_partitions=partitions)]).values()
        try:
            done.result(PATIENCE_S)
        except KafkaException as error:  # the deletion is still under way
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise
        return True

    def end(self, partition: int = 0) -> int:
        """Return the offset after the last one of a partition, transaction markers included."""
        return self.topics.end_offsets(self.topic)[partition]

    def close(self) -> None:
        """Stop what still runs."""
        for worker in self._workers:
            if worker.running:
                worker.stop()
        self._producer.flush(1.0)
        self.registry.close()
        self.topics.delete(self.topic)
