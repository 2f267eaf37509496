"""What was sent to a topic, read back by a consumer of its own."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from auditstream.settings import Settings
from schemas.columns import avro_schema
from schemas.reader import RecordReader
from schemas.registry import open_registry


def sent_events(settings: Settings, count: int, timeout_s: float) -> list[dict[str, Any]]:
    """Return the first events of a topic with one partition in the order in which they were sent, fewer when time is up."""
    registry = open_registry(settings.registry)
    reader = RecordReader(avro_schema("audit_event", 1), lambda schema_id: dict(registry.schema(schema_id)))
    address, topic = settings.kafka.bootstrap_servers, settings.kafka.events_topic
    consumer = Consumer({"bootstrap.servers": address, "group.id": topic, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + timeout_s
    while len(found) < count and time.monotonic() < deadline:
        found += [reader.read(message.value() or b"") for message in consumer.consume(count, 1.0)]
    consumer.close()
    registry.close()
    return found
