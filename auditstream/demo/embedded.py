"""Kafka, registry and ClickHouse inside this process, reachable from other terminals on the loopback interface."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from confluent_kafka import Producer

from auditstream.demo.webhook_service import WebhookService
from auditstream.settings import Settings, load_settings
from schemas.columns import avro_schema
from schemas.registry import MemoryRegistry, value_subject
from schemas.registry.memory import memory_registry
from schemas.registry.serving import RegistryServer
from schemas.settings import KafkaSettings
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.served import LOOPBACK, Server
from sinks.served_engine import Engine
from sinks.settings import ClickHouseSettings

DATABASE = "auditstream"
EVENTS_TOPIC, ACTORS_TOPIC = "audit.events", "audit.actors"
_BROKERS = 1
_METADATA_TIMEOUT_S = 10.0


class EmbeddedPlatform:
    """What a platform has around auditstream, for one process and its visitors.

    librdkafka's mock cluster stands for Kafka, a registry in memory for the schema registry, and chdb, which is
    ClickHouse's real engine, keeps its data on disk. None of it is made for production.

    Attributes:
        settings: Settings of a worker in this process.
        reader_settings: Settings of readers in this process.
        registry: The registry.
        database_url: Where ClickHouse's HTTP interface is served to others.
        registry_url: Where the registry is served to others.
    """

    settings: Settings
    reader_settings: Settings
    registry: MemoryRegistry

    def __init__(self, directory: Path, http: Mapping[str, object] | None = None) -> None:
        """Plan the platform.

        Args:
            directory: Directory of the database, created when missing.
            http: Settings of the HTTP server that differ from the defaults.
        """
        self._directory, self._http = directory, http or {}
        self._stack = ExitStack()
        self.database_url = self.registry_url = ""

    def __enter__(self) -> EmbeddedPlatform:
        """Start everything, register the schemas, create the tables."""
        state = Path(self._stack.enter_context(TemporaryDirectory(prefix="auditstream-demo-state-")))
        bootstrap = self._start_kafka()
        self.registry = memory_registry("demo")
        for topic, schema in ((EVENTS_TOPIC, "audit_event"), (ACTORS_TOPIC, "actor")):
            self.registry.register(value_subject(topic), avro_schema(schema, 1))
        kafka = KafkaSettings(bootstrap_servers=bootstrap, events_topic=EVENTS_TOPIC, actors_topic=ACTORS_TOPIC)
        webhooks = self._stack.enter_context(WebhookService(kafka, self.registry))
        self.resend_routes = {"demo": {"url": webhooks.url, "secret": webhooks.secret}}
        self.settings = load_settings(
            kafka=kafka,
            registry={"url": "mock://demo"},
            clickhouse={"interface": "chdb", "path": self._directory, "database": DATABASE},
            worker={"http_port": 0, "batch_age_s": 0.5, "group_id": "demo"},
            export={"storage": str(state / "exports"), "audit_spool_dir": state / "export-spool"},
            access={"spool_dir": state / "access-spool"},
            resend={"routes": self.resend_routes, "spool_dir": state / "resend-spool"},
            http=self._http,
        )
        self._migrate()
        self._serve()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self._stack.__exit__(kind, error, trace)

    def _start_kafka(self) -> str:
        # The cluster lives as long as this client, which is never used otherwise.
        self._cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": _BROKERS, "log_level": 3})
        for topic in (EVENTS_TOPIC, ACTORS_TOPIC):
            self._cluster.list_topics(topic, timeout=_METADATA_TIMEOUT_S)  # asking makes it
        broker = next(iter(self._cluster.list_topics(timeout=_METADATA_TIMEOUT_S).brokers.values()))
        return f"{broker.host}:{broker.port}"

    def _migrate(self) -> None:
        connections = Connections(self.settings.clickhouse)
        try:
            Migrator(connections).migrate()
        finally:
            connections.close()

    def _serve(self) -> None:
        registry = RegistryServer(self.registry)
        self._stack.callback(registry.close)
        self.registry_url = registry.url
        engine = Engine(self._directory)
        self._stack.callback(engine.close)
        server = Server(engine, 0, None)
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, name="database", daemon=True).start()
        self.database_url = f"http://{LOOPBACK}:{server.port}"
        # Readers go through the server, as they do in other processes: what they ask for is limited and can be ended.
        database = ClickHouseSettings(host=LOOPBACK, port=server.port, database=DATABASE)
        self.reader_settings = self.settings.model_copy(update={"clickhouse": database})

    def environment(self) -> dict[str, str]:
        """Return the variables with which commands in another terminal use this platform."""
        host, _, port = self.database_url.removeprefix("http://").partition(":")
        return {
            "AUDITSTREAM_KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka.bootstrap_servers,
            "AUDITSTREAM_REGISTRY_URL": self.registry_url,
            "AUDITSTREAM_CLICKHOUSE_HOST": host,
            "AUDITSTREAM_CLICKHOUSE_PORT": port,
            "AUDITSTREAM_EXPORT_STORAGE": self.settings.export.storage,
            "AUDITSTREAM_EXPORT_AUDIT_SPOOL_DIR": str(self.settings.export.audit_spool_dir),
            "AUDITSTREAM_RESEND_ROUTES": json.dumps(self.resend_routes),
            "AUDITSTREAM_RESEND_SPOOL_DIR": str(self.settings.resend.spool_dir),
        }

    def write_ready_file(self, file: Path, metrics_port: int, served: Mapping[str, object]) -> None:
        """Write the addresses as JSON, whole or not at all, and readable for their owner only: tokens are in it.

        Args:
            file: Where to.
            metrics_port: Port of the worker's metrics.
            served: What is served over HTTP: address and tokens.
        """
        addresses = {
            "kafka": self.settings.kafka.bootstrap_servers,
            "registry": self.registry_url,
            "clickhouse": self.database_url,
            "database": DATABASE,
            "database_path": str(self._directory.resolve()),
            "metrics": f"http://127.0.0.1:{metrics_port}/metrics",
            "environment": self.environment(),
            **served,
            "pid": os.getpid(),
        }
        part = file.with_name(f"{file.name}.part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(addresses, indent=2) + "\n", encoding="utf-8")
        part.replace(file)
