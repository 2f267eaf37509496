"""A worker put together from the settings; the command runs it, and so does the demo."""

from __future__ import annotations

from types import TracebackType

from auditstream.parts import EventParts
from auditstream.settings import Settings
from consumers.kafka import GroupConsumer
from consumers.pace import Pace
from consumers.pipeline import Pipeline
from consumers.topics import BrokerTopics, TopicDirectory
from consumers.worker import Worker
from schemas.registry import Registry
from sinks.sink import Sink


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
        self._settings, policy = settings, settings.worker
        topics = topics or BrokerTopics(settings.kafka)
        self._parts = EventParts(settings, registry, topics=topics, sink=sink, leads=lambda: self.worker.owns(0))
        self.metrics, self.progress = self._parts.metrics, self._parts.progress
        pace = Pace(policy.batch_age_s)
        pipeline = Pipeline(
            self._parts.processor, sink, topics, metrics=self.metrics, pace=pace, write_threads=policy.insert_threads
        )
        kafka = GroupConsumer(settings.kafka, policy)
        self.worker = Worker(kafka, pipeline, policy, metrics=self.metrics, progress=self.progress)

    def __enter__(self) -> WorkerService:
        """Serve metrics and health, and begin to load the actor directory."""
        self._parts.start(self._settings.worker.http_host, self._settings.worker.http_port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and following."""
        del kind, error, trace
        self._parts.close()

    @property
    def port(self) -> int:
        """Port of /metrics and /health."""
        return self._parts.port

    def run(self) -> None:
        """Wait for the actor directory, then work until ``worker.stop`` is called.

        Raises:
            MustStop: Going on would break the delivery promise.
            SinkError: The sink refuses for good.
        """
        self._parts.wait_loaded(lambda: self.worker.stopping)
        self.worker.run()
