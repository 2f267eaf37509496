"""What every measurement stands on: a real Kafka, a registry, address databases, the corpus, and names of topics."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.addresses import write_databases
from benchmarks.backlog import Backlog
from benchmarks.corpus import Corpus
from infrastructure import kafka
from infrastructure.clickhouse import ServedEngine
from infrastructure.kafka import Topics
from infrastructure.processes import ControlledProcess, Processes
from producers.publisher import Publisher
from producers.settings import ProducerSettings
from schemas.columns import avro_schema
from schemas.registry import MemoryRegistry, value_subject
from schemas.registry.serving import RegistryServer
from schemas.settings import KafkaSettings
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings

ROOT = Path(__file__).resolve().parent.parent
EVENTS_TOPIC = "audit.events"
_START_S = 120.0


class Ground:
    """Servers and data of one run; ends everything that it started.

    Attributes:
        bootstrap: Address of Kafka.
        registry_url: Address of the registry.
        topics: Makes topics.
        corpus: The events.
        directory: Where processes run and databases lie.
        event_schema_id: Registry id of AuditEvent.
    """

    bootstrap: str
    registry_url: str
    topics: Topics
    corpus: Corpus
    event_schema_id: int

    def __init__(self, directory: Path, distinct_events: int) -> None:
        """Plan it.

        Args:
            directory: Existing directory with room for a few gigabytes.
            distinct_events: Events of the corpus.
        """
        self.directory, self._distinct_events = directory, distinct_events
        self._stack = ExitStack()
        self._processes = Processes(directory)
        self._numbers = 0

    def __enter__(self) -> Self:
        """Start the servers, generate the events, publish the actors' cards."""
        self._stack.callback(self._processes.close)
        self.bootstrap = kafka.given_address() or self._start_kafka()
        actors_schema_id = self._start_registry()
        self.topics = Topics(self.bootstrap)
        self._stack.callback(self.topics.close)
        self.corpus = Corpus(
            self._distinct_events, events_schema_id=self.event_schema_id, actors_schema_id=actors_schema_id
        )
        self._databases = write_databases(self.directory)
        self._publish_cards()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self._stack.__exit__(kind, error, trace)

    def _start_kafka(self) -> str:
        broker = kafka.open_broker(self.directory)
        self._stack.callback(broker.close)
        broker.start()
        return broker.bootstrap

    def _start_registry(self) -> int:
        registry = MemoryRegistry()
        self.event_schema_id = registry.register(value_subject(EVENTS_TOPIC), avro_schema("audit_event", 1))
        actors_schema_id = registry.register(value_subject("audit.actors"), avro_schema("actor", 1))
        server = RegistryServer(registry)
        self._stack.callback(server.close)
        self.registry_url = server.url
        return actors_schema_id

    def _publish_cards(self) -> None:
        self._actors_topic = self.topics.create("audit.actors", partitions=1, cleanup_policy="compact")
        with Publisher(KafkaSettings(bootstrap_servers=self.bootstrap), ProducerSettings()) as publisher:
            for key, value in self.corpus.cards:
                publisher.publish(self._actors_topic, key, value)
        if publisher.result().failed:
            raise RuntimeError(f"cards of actors were not delivered: {publisher.result().first_failure}")

    # -- topics and databases --

    def backlog(self, partitions: int) -> tuple[str, Backlog]:
        """Create a topic and return its name and its writer."""
        topic = self.topics.create(EVENTS_TOPIC, partitions=partitions)
        return topic, Backlog(self.bootstrap, topic, partitions)

    def fresh_directory(self, name: str) -> Path:
        """Return a new empty directory."""
        self._numbers += 1
        made = self.directory / f"{name}-{self._numbers}"
        made.mkdir()
        return made

    def serve_database(self) -> tuple[ServedEngine, ClickHouseSettings]:
        """Start the engine as a process that serves it over HTTP, with the tables in it; close it when done."""
        engine = ServedEngine(self.fresh_directory("served"))
        self._stack.callback(engine.close)
        engine.start()
        settings = engine.settings.model_copy(update={"database": "auditstream"})
        connections = Connections(settings)
        Migrator(connections).migrate()
        connections.close()
        return engine, settings

    # -- processes --

    def worker_environment(self, topic: str, clickhouse: ClickHouseSettings, **more: object) -> dict[str, str]:
        """Return a worker's settings as variables; ``more`` has further ones as ``section_key``."""
        city, network = self._databases
        named = {
            "kafka_bootstrap_servers": self.bootstrap,
            "kafka_events_topic": topic,
            "kafka_actors_topic": self._actors_topic,
            "registry_url": self.registry_url,
            "registry_cache_dir": self.directory / "schemas",
            "clickhouse_interface": clickhouse.interface,
            "clickhouse_host": clickhouse.host,
            "clickhouse_port": clickhouse.port,
            "clickhouse_database": clickhouse.database,
            "clickhouse_path": clickhouse.path or "",
            "enrich_city_db": city,
            "enrich_asn_db": network,
            "worker_group_id": f"group.{topic}",
            "worker_http_port": 0,
            **more,
        }
        return {f"AUDITSTREAM_{name.upper()}": str(value) for name, value in named.items() if value != ""}

    def start_worker(self, environment: dict[str, str]) -> ControlledProcess:
        """Start ``auditstream worker``."""
        command = [Path(sys.executable).with_name("auditstream"), "worker"]
        return self._processes.start("worker", command, environment=environment)

    def start_subject(
        self, module: str, *arguments: object, environment: dict[str, str] | None = None, python: str = sys.executable
    ) -> ControlledProcess:
        """Start one of ``benchmarks.subjects``."""
        path = {"PYTHONPATH": str(ROOT)}
        command = [python, "-m", f"benchmarks.subjects.{module}", *arguments]
        return self._processes.start(module, command, environment={**path, **(environment or {})})


def wait_for_line(process: ControlledProcess, pattern: str, timeout_s: float = _START_S) -> str:
    """Wait until a process writes a line and return the first group of the pattern.

    Raises:
        TimeoutError: It did not in time, or ended before; its last lines are in the message.
    """
    return process.wait_for_log(pattern, timeout_s)[1]
