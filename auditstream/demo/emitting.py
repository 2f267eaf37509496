"""How the demo's story gets into Kafka: by the same producer that services use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from auditstream.demo.campaign_log import campaign_logs
from auditstream.demo.people import people
from auditstream.demo.story import story
from producers import AuditEvent, AuditProducer, ProducerSettings
from producers.encoding import RecordEncoder
from producers.publisher import Publisher
from schemas.columns import avro_schema
from schemas.registry import Registry
from schemas.settings import KafkaSettings
from schemas.wire import frame

_ACKNOWLEDGED_S = 30.0


def story_events(now: datetime) -> Sequence[AuditEvent]:
    """Return every event of the story, those of runs included; always the same number.

    Args:
        now: The present, with its offset.
    """
    return (*campaign_logs(), *story(now.replace(microsecond=0)))


def emit_story(
    kafka: KafkaSettings, registry: Registry, actor_schema_id: int, events: Sequence[AuditEvent]
) -> list[str]:
    """Publish the cards of the story's people, then emit its events.

    Args:
        kafka: Where to.
        registry: Where the schema of events is registered.
        actor_schema_id: Registry id of the Actor schema.
        events: The events.

    Returns:
        The ids of the events, all of them acknowledged.

    Raises:
        RuntimeError: A card or an event was not acknowledged.
        ProducerError: The producer could not start, or refused an event.
    """
    _publish_cards(kafka, actor_schema_id, datetime.now(UTC))
    failures: list[str] = []
    with AuditProducer(kafka, registry, ProducerSettings(linger_ms=20)) as producer:
        ids = [
            producer.submit(event, lambda _, failure: failures.append(str(failure)) if failure else None)
            for event in events
        ]
        waiting = producer.flush(_ACKNOWLEDGED_S)
    if failures or waiting:
        raise RuntimeError(f"the demo's story was not acknowledged: {failures[:1] or waiting}")
    return ids


def _publish_cards(kafka: KafkaSettings, schema_id: int, now: datetime) -> None:
    encode = RecordEncoder(avro_schema("actor", 1)["fields"]).encode
    with Publisher(kafka, ProducerSettings(linger_ms=20)) as publisher:
        for person in people():
            card = dict(person.card(now))
            key = f"{card['tenant_id']}/{card['actor_id']}".encode()
            publisher.publish(kafka.actors_topic, key, frame(schema_id, encode(card)))
    if failure := publisher.result().first_failure:
        raise RuntimeError(f"the demo's actor cards were not acknowledged: {failure}")
