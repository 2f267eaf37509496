"""A notifier put together from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

import structlog

from auditstream.notify.channels import INBOX, AppriseChannel, Channel, Inbox
from auditstream.notify.delivery_log import DeliveryLog
from auditstream.notify.desk import Desk
from auditstream.notify.drafts import present
from auditstream.notify.notifier import Notifier
from auditstream.notify.rules import Rules
from auditstream.notify.sender import Sender
from auditstream.parts import EventParts
from auditstream.settings import Settings
from consumers.backoff import Backoff
from consumers.decode import prepare
from consumers.errors import ConsumerError
from consumers.kafka import GroupConsumer
from consumers.subscription import Subscription
from consumers.topics import BrokerTopics
from schemas.errors import SchemaError
from schemas.registry import Registry, open_registry
from schemas.settings import KafkaSettings
from sinks import open_sink
from sinks.connection import Connections
from sinks.errors import SinkError, SinkUnavailable
from sinks.sink import Sink

#: What ends a notifier; none of it is mended by waiting.
RUNNING_ERRORS = (ConsumerError, SinkError, SchemaError, OSError)

log = structlog.get_logger(__name__)


def open_channels(rules: Rules) -> Mapping[str, Channel]:
    """Return every channel of a rules file, and the inbox."""
    return {INBOX: Inbox(), **{name: AppriseChannel(url) for name, url in rules.channels.items()}}


@contextmanager
def working_parts(settings: Settings) -> Iterator[tuple[Registry, Sink]]:
    """Open what a notifier needs from outside, and close it after."""
    prepare()
    sink = open_sink(settings.clickhouse)
    registry = open_registry(settings.registry)
    try:
        yield registry, sink
    finally:
        registry.close()
        sink.close()


class NotifierService:
    """One notifier with its actor directory, metrics and health.

    Attributes:
        metrics: What it counts.
        progress: What the health probes ask.
        notifier: The loop.
    """

    def __init__(self, settings: Settings, rules: Rules, registry: Registry, sink: Sink) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            settings: All settings.
            rules: The rules.
            registry: Where writer schemas come from; closed by the caller.
            sink: Checks the database; nothing is written to it. Closed by the caller.

        Raises:
            CatalogueError: A catalogue file is wrong.
            RetentionInvalid: The retention settings contradict themselves.
        """
        self._settings = settings = settings.model_copy(update={"kafka": named(settings.kafka)})
        self._sink, policy = sink, settings.notify
        self._topics = BrokerTopics(settings.kafka)
        # Storing the cards of actors is the workers' business.
        self._parts = EventParts(settings, registry, topics=self._topics, sink=sink, leads=lambda: False)
        self.metrics, self.progress = self._parts.metrics, self._parts.progress
        self._connections = Connections(settings.clickhouse)
        delivery_log = DeliveryLog(self._connections, settings.kafka.events_topic, policy.log_days)
        desk = Desk(rules, self._parts.catalogue, delivery_log, metrics=self.metrics, clock=present)
        sender = Sender(
            open_channels(rules),
            delivery_log,
            metrics=self.metrics,
            retry_s=policy.retry_s,
            clock=present,
            ended=desk.ended,
        )
        self.notifier = Notifier(
            self._parts.processor,
            desk,
            sender,
            metrics=self.metrics,
            progress=self.progress,
            stop_budget_s=policy.stop_budget_s,
        )

    def __enter__(self) -> NotifierService:
        """Serve metrics and health, and begin to load the actor directory."""
        self._parts.start(self._settings.notify.http_host, self._settings.notify.http_port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and following."""
        del kind, error, trace
        self._parts.close()
        self._connections.close()

    def run(self) -> None:
        """Wait for database and actor directory, then work until ``notifier.stop`` is called; see ``Notifier.run``.

        Raises:
            SinkMisconfigured: The database is not migrated, or does not fit.
        """
        self._check()
        self._parts.wait_loaded(lambda: self.notifier.stopping)
        policy = self._settings.notify
        member = self._settings.worker.model_copy(update={"group_id": policy.group_id, "instance_id": ""})
        subscription = Subscription(
            GroupConsumer(self._settings.kafka, member),
            self._topics,
            start_at=policy.start_at,
            metrics=self.metrics,
            gone=self.notifier.gone,
        )
        log.info("notifier_started", topic=self._settings.kafka.events_topic, group=policy.group_id)
        self.notifier.run(subscription)

    def _check(self) -> None:
        backoff = Backoff()
        while not self.notifier.stopping:
            try:
                self._sink.check()
            except SinkUnavailable as error:
                log.warning("waiting", stage="check", reason=error.reason, detail=str(error))
                self.notifier.wait(backoff.next_s(error.retry_after_s))
                continue
            return


def named(kafka: KafkaSettings) -> KafkaSettings:
    """Return the settings of Kafka under a client id of our own, unless they name one."""
    return kafka.model_copy(update={"extra": {"client.id": "auditstream-notify", **kafka.extra}})
