"""A notifier put together from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

import structlog

from auditstream import __version__
from auditstream.notify.channels import INBOX, AppriseChannel, Channel, Inbox
from auditstream.notify.delivery_log import DeliveryLog
from auditstream.notify.desk import Desk
from auditstream.notify.drafts import present
from auditstream.notify.notifier import Notifier
from auditstream.notify.rules import Rules
from auditstream.notify.sender import Sender
from auditstream.settings import Settings
from consumers.actor_feed import ActorFeed
from consumers.backoff import Backoff
from consumers.decode import prepare
from consumers.enrich import ActorDirectory
from consumers.errors import ConsumerError
from consumers.kafka import GroupConsumer
from consumers.metrics import Metrics
from consumers.probe import Probe
from consumers.processing import Processor
from consumers.progress import Progress
from consumers.subscription import Subscription
from consumers.topics import BrokerTopics
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.errors import SchemaError
from schemas.reader import RecordReader
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
        self._settings, self._sink, policy = settings, sink, settings.notify
        self._kafka = named(settings.kafka)
        catalogue = Catalogue.load(settings.catalogue.files, retention_classes=settings.retention.classes)
        self.metrics, self.progress = Metrics(__version__), Progress(settings.worker.progress_timeout_s)
        self._directory = ActorDirectory(settings.enrich.max_actors, enabled=bool(settings.kafka.actors_topic))
        self._processor = self._made_processor(registry, catalogue)
        self._topics = BrokerTopics(self._kafka)
        self._feed = self._actor_feed(registry, sink) if settings.kafka.actors_topic else None
        self._connections = Connections(settings.clickhouse)
        delivery_log = DeliveryLog(self._connections, settings.kafka.events_topic, policy.log_days)
        desk = Desk(rules, catalogue, delivery_log, metrics=self.metrics, clock=present)
        sender = Sender(
            open_channels(rules),
            delivery_log,
            metrics=self.metrics,
            retry_s=policy.retry_s,
            clock=present,
            ended=desk.ended,
        )
        self.notifier = Notifier(
            self._processor,
            desk,
            sender,
            metrics=self.metrics,
            progress=self.progress,
            stop_budget_s=policy.stop_budget_s,
        )
        self._probe: Probe | None = None

    def _made_processor(self, registry: Registry, catalogue: Catalogue) -> Processor:
        settings = self._settings
        return Processor(
            lambda schema_id: dict(registry.schema(schema_id)),
            catalogue,
            validate=settings.validate_,
            enrich=settings.enrich,
            retention=settings.retention,
            worker=settings.worker,
            directory=self._directory,
            worker_version=__version__,
        )

    def _actor_feed(self, registry: Registry, sink: Sink) -> ActorFeed:
        return ActorFeed(
            self._kafka,
            self._directory,
            RecordReader(avro_schema("actor", 1), lambda schema_id: dict(registry.schema(schema_id))),
            topics=self._topics,
            sink=sink,
            metrics=self.metrics,
            leads=lambda: False,  # storing cards is the workers' business
        )

    def __enter__(self) -> NotifierService:
        """Serve metrics and health, and begin to load the actor directory."""
        policy = self._settings.notify
        self._probe = Probe(policy.http_host, policy.http_port, self.metrics, self.progress)
        log.info("probe_listening", host=policy.http_host, port=self._probe.port)
        if self._feed is not None:
            self._feed.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and following."""
        del kind, error, trace
        if self._feed is not None:
            self._feed.close()
        if self._probe is not None:
            self._probe.close()
        self._processor.close()
        self._connections.close()

    def run(self) -> None:
        """Wait for database and actor directory, then work until ``notifier.stop`` is called; see ``Notifier.run``.

        Raises:
            SinkMisconfigured: The database is not migrated, or does not fit.
        """
        self._check()
        if self._feed is not None:
            self._feed.wait_loaded(self._settings.enrich.actors_load_s, lambda: self.notifier.stopping)
        policy = self._settings.notify
        member = self._settings.worker.model_copy(update={"group_id": policy.group_id, "instance_id": ""})
        subscription = Subscription(
            GroupConsumer(self._kafka, member),
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
