"""A worker put together from the settings; the command runs it, and so does the demo."""

from __future__ import annotations

from types import TracebackType

import structlog

from auditstream import __version__
from auditstream.settings import Settings
from consumers.actor_feed import ActorFeed
from consumers.enrich import ActorDirectory
from consumers.kafka import GroupConsumer
from consumers.metrics import Metrics
from consumers.pace import Pace
from consumers.pipeline import Pipeline
from consumers.probe import Probe
from consumers.processing import Processor
from consumers.progress import Progress
from consumers.topics import BrokerTopics, TopicDirectory
from consumers.worker import Worker
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.reader import RecordReader
from schemas.registry import Registry
from sinks.sink import Sink

log = structlog.get_logger(__name__)


class WorkerService:
    """One worker with its actor directory, metrics and health.

    Attributes:
        metrics: What it counts.
        progress: What the health probes ask.
        worker: The poll loop.
    """

    def __init__(
        self, settings: Settings, sink: Sink, registry: Registry, topics: TopicDirectory | None = None
    ) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            settings: All settings.
            sink: Where batches go; closed by the caller.
            registry: Where writer schemas come from; closed by the caller.
            topics: What topics are; by default the brokers are asked.

        Raises:
            CatalogueError: A catalogue file is wrong.
            RetentionInvalid: The retention settings contradict themselves.
        """
        self._settings, self._sink = settings, sink
        topics = topics or BrokerTopics(settings.kafka)
        catalogue = Catalogue.load(settings.catalogue.files, retention_classes=settings.retention.classes)
        self.metrics = Metrics(__version__)
        self.progress = Progress(settings.worker.progress_timeout_s)
        self._directory = ActorDirectory(settings.enrich.max_actors, enabled=bool(settings.kafka.actors_topic))
        self._processor = Processor(
            lambda schema_id: dict(registry.schema(schema_id)),
            catalogue,
            validate=settings.validate_,
            enrich=settings.enrich,
            retention=settings.retention,
            worker=settings.worker,
            directory=self._directory,
            worker_version=__version__,
        )
        self._feed = self._actor_feed(registry, topics) if settings.kafka.actors_topic else None
        policy = settings.worker
        pace = Pace(policy.batch_age_s, policy.ranges_per_s)
        pipeline = Pipeline(
            self._processor, sink, topics, metrics=self.metrics, pace=pace, write_threads=policy.insert_threads
        )
        kafka = GroupConsumer(settings.kafka, settings.worker)
        self.worker = Worker(kafka, pipeline, settings.worker, metrics=self.metrics, progress=self.progress)
        self._probe: Probe | None = None

    def _actor_feed(self, registry: Registry, topics: TopicDirectory) -> ActorFeed:
        return ActorFeed(
            self._settings.kafka,
            self._directory,
            RecordReader(avro_schema("actor", 1), lambda schema_id: dict(registry.schema(schema_id))),
            topics=topics,
            sink=self._sink,
            metrics=self.metrics,
            leads=lambda: self.worker.owns(0),
        )

    def __enter__(self) -> WorkerService:
        """Serve metrics and health, and begin to load the actor directory."""
        settings = self._settings
        self._probe = Probe(settings.worker.http_host, settings.worker.http_port, self.metrics, self.progress)
        log.info("probe_listening", host=settings.worker.http_host, port=self._probe.port)
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

    @property
    def port(self) -> int:
        """Port of /metrics and /health."""
        return self._probe.port if self._probe else 0

    def run(self) -> None:
        """Wait for the actor directory, then work until ``worker.stop`` is called.

        Raises:
            MustStop: Going on would break the delivery promise.
            SinkError: The sink refuses for good.
        """
        if self._feed is not None:
            self._feed.wait_loaded(self._settings.enrich.actors_load_s, lambda: self.worker.stopping)
        self.worker.run()
