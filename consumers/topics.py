"""What a topic is: its id, and whether offsets can vanish from it."""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass
from typing import Protocol

import structlog
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource

from consumers.errors import BrokerUnavailable, UnusableTopic
from schemas.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: Namespace of the ids that stand in for topic ids where a cluster has none.
_NAMELESS = uuid.UUID("8d6f1f43-6a53-5b0c-9b3a-0d7d1c9a5e11")
_REQUEST_TIMEOUT_S = 5.0


def stand_in_id(topic: str) -> uuid.UUID:
    """Return an id made of the topic's name, for clusters without topic ids (before Kafka 2.8, librdkafka's mock).

    With it a re-created topic of the same name cannot be told from the old one.
    """
    return uuid.uuid5(_NAMELESS, topic)


class TopicDirectory(Protocol):
    """Knows topics; thread-safe."""

    def topic_id(self, topic: str, asked_after_s: float = math.inf) -> uuid.UUID:
        """Return the id of a topic.

        Args:
            topic: Its name.
            asked_after_s: An answer that was asked for after this time (monotonic seconds) is new enough; by default
                none is.

        Raises:
            BrokerUnavailable: It could not be asked, or the topic does not exist (yet).
        """
        ...

    def refuse_compacted(self, topic: str) -> None:
        """Check that messages leave the topic by age or size only.

        Raises:
            UnusableTopic: The topic is compacted.
        """
        ...


@dataclass(frozen=True, slots=True)
class NamedTopics:
    """Topics of a cluster that has neither topic ids nor topic settings: librdkafka's mock cluster."""

    def topic_id(self, topic: str, asked_after_s: float = math.inf) -> uuid.UUID:
        """Return an id made of the name."""
        del asked_after_s
        return stand_in_id(topic)

    def refuse_compacted(self, topic: str) -> None:
        """Accept every topic: the mock cluster never compacts."""


class BrokerTopics:
    """Topics as the brokers describe them."""

    def __init__(self, kafka: KafkaSettings) -> None:
        # librdkafka would write its own lines between ours; what goes wrong comes back as an error anyway.
        self._admin = AdminClient(kafka.client_config() | {"log_level": 2})
        self._known: dict[str, tuple[float, uuid.UUID]] = {}

    def topic_id(self, topic: str, asked_after_s: float = math.inf) -> uuid.UUID:
        """Ask the controller for the id of a topic, unless an answer is new enough."""
        asked_at, known = self._known.get(topic, (-math.inf, None))
        if known is not None and asked_at > asked_after_s:
            return known
        now = time.monotonic()
        found = self._ask(topic)
        self._known[topic] = (now, found)
        return found

    def _ask(self, topic: str) -> uuid.UUID:
        try:
            future = self._admin.describe_topics(TopicCollection([topic]), request_timeout=_REQUEST_TIMEOUT_S)[topic]
            found = future.result(timeout=_REQUEST_TIMEOUT_S * 2).topic_id
        except KafkaException as error:
            raise BrokerUnavailable(error.args[0].name(), f"asking for topic {topic}") from error
        high, low = found.get_most_significant_bits(), found.get_least_significant_bits()
        value = (high & (2**64 - 1)) << 64 | (low & (2**64 - 1))
        if value:
            return uuid.UUID(int=value)
        if topic not in self._known:
            log.warning("topic_without_id", topic=topic, hint="a re-created topic cannot be recognised on this cluster")
        return stand_in_id(topic)

    def refuse_compacted(self, topic: str) -> None:
        """Read cleanup.policy; where it may not be read, say so and go on."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        try:
            future = self._admin.describe_configs([resource], request_timeout=_REQUEST_TIMEOUT_S)[resource]
            policy = future.result(timeout=_REQUEST_TIMEOUT_S * 2)["cleanup.policy"].value
        except KafkaException as error:
            name = error.args[0].name()
            if name not in {"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED"}:
                raise BrokerUnavailable(name, f"asking for the settings of topic {topic}") from error
            log.warning(
                "topic_settings_unknown", topic=topic, error=name, hint="grant DescribeConfigs to check cleanup.policy"
            )
            return
        if "compact" in policy:
            raise UnusableTopic(topic, policy)
