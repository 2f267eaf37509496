"""What a worker and a notifier have in common: they read events, know the people in them, and tell how they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from auditstream import __version__
from auditstream.settings import Settings
from consumers.actor_feed import ActorFeed
from consumers.enrich import ActorDirectory
from consumers.metrics import Metrics
from consumers.probe import Probe
from consumers.processing import Processor
from consumers.progress import Progress
from consumers.topics import TopicDirectory
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.reader import RecordReader
from schemas.registry import Registry
from sinks.sink import Sink

log = structlog.get_logger(__name__)


class EventParts:
    """A processor with its catalogue and actor directory, and metrics and health.

    Attributes:
        catalogue: What the event codes mean.
        metrics: What is counted.
        progress: What the health probes ask.
        processor: Turns messages into rows.
    """

    def __init__(
        self, settings: Settings, registry: Registry, *, topics: TopicDirectory, sink: Sink, leads: Callable[[], bool]
    ) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            settings: All settings.
            registry: Where writer schemas come from; closed by the caller.
            topics: What topics are.
            sink: Where the cards of actors are stored; closed by the caller.
            leads: Whether storing them is ours now; asked from the thread that reads them.

        Raises:
            CatalogueError: A catalogue file is wrong.
            RetentionInvalid: The retention settings contradict themselves.
        """
        kafka, self._load_s = settings.kafka, settings.enrich.actors_load_s
        self.catalogue = Catalogue.load(settings.catalogue.files, retention_classes=settings.retention.classes)
        self.metrics, self.progress = Metrics(__version__), Progress(settings.worker.progress_timeout_s)
        directory = ActorDirectory(settings.enrich.max_actors, enabled=bool(kafka.actors_topic))
        schemas = _writer_schemas(registry)
        self.processor = Processor(
            schemas,
            self.catalogue,
            validate=settings.validate_,
            enrich=settings.enrich,
            retention=settings.retention,
            worker=settings.worker,
            directory=directory,
            worker_version=__version__,
        )
        self._feed: ActorFeed | None = None
        if kafka.actors_topic:
            cards = RecordReader(avro_schema("actor", 1), schemas)
            self._feed = ActorFeed(kafka, directory, cards, topics=topics, sink=sink, metrics=self.metrics, leads=leads)
        self._probe: Probe | None = None

    @property
    def port(self) -> int:
        """Port of /metrics and /health, 0 before the start."""
        return self._probe.port if self._probe else 0

    def start(self, host: str, port: int) -> None:
        """Serve metrics and health, and begin to load the actor directory.

        Args:
            host: Address to listen on.
            port: Port to listen on; 0 takes a free one.

        Raises:
            OSError: The address is in use or not ours.
        """
        self._probe = Probe(host, port, self.metrics, self.progress)
        log.info("probe_listening", host=host, port=self._probe.port)
        if self._feed is not None:
            self._feed.start()

    def wait_loaded(self, stopping: Callable[[], bool]) -> None:
        """Wait until the actor directory is loaded, at most for the time that the settings allow.

        Args:
            stopping: Asked a few times a second whether to stop waiting.
        """
        if self._feed is not None:
            self._feed.wait_loaded(self._load_s, stopping)

    def close(self) -> None:
        """Stop serving and following."""
        if self._feed is not None:
            self._feed.close()
        if self._probe is not None:
            self._probe.close()
        self.processor.close()


def _writer_schemas(registry: Registry) -> Callable[[int], dict[str, Any]]:
    return lambda schema_id: dict(registry.schema(schema_id))
