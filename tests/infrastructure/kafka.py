"""Kafka for tests: a given address, a container, or Apache Kafka's jars as one process, in this order."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from infrastructure import artifacts
from infrastructure.containers import ContainerServer, docker_answers
from infrastructure.ports import LOOPBACK, free_port, wait_until
from infrastructure.processes import ControlledProcess
from infrastructure.requirements import Unavailable
from infrastructure.server import Server

ADDRESS_VARIABLE = "AUDITSTREAM_TEST_KAFKA"
_START_TIMEOUT_S = 60.0
_ADMIN_TIMEOUT_S = 30.0
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_STARTS = 3  # another process may take a port between its choice and the start

#: What a single node needs, and what lets tests see a rebalance or a lost member within seconds.
_BROKER_PROPERTIES: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(32 << 20),
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "log.retention.check.interval.ms": "1000",
    "log.initial.task.delay.ms": "1000",
}
_JVM = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_LOGGING = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")


class Broker(Server, Protocol):
    """A Kafka broker under the control of a test."""

    @property
    def bootstrap(self) -> str:
        """Address as host:port."""
        ...


class JavaBroker:
    """Apache Kafka in KRaft mode, broker and controller in one Java process."""

    def __init__(self, directory: Path) -> None:
        """Prepare a broker with its data in an existing directory.

        Raises:
            Unavailable: No Java, or the jars could not be fetched.
        """
        self._directory = directory
        self._command = [artifacts.java(), *_JVM, *_LOGGING, "-cp", f"{artifacts.kafka_libraries()}/*"]
        self._properties = directory / "server.properties"
        self._process = ControlledProcess(
            "kafka", [*self._command, "kafka.Kafka", self._properties], directory=directory
        )
        self._port = 0

    @property
    def bootstrap(self) -> str:
        """Address as host:port; known after the first start."""
        return f"{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers; the first start formats its data directory."""
        if self._port:
            self._start_once()
            return
        for attempt in range(1, _STARTS + 1):
            self._configure()
            try:
                self._start_once()
            except TimeoutError:
                self._process.close()
                if attempt == _STARTS:
                    raise
            else:
                return

    def _configure(self) -> None:
        self._port, controller = free_port(), free_port()
        listeners = f"PLAINTEXT://{LOOPBACK}:{self._port},CONTROLLER://{LOOPBACK}:{controller}"
        properties = {
            **_BROKER_PROPERTIES,
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self._port}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "log.dirs": str(self._directory / f"data-{self._port}"),
        }
        self._properties.write_text("".join(f"{k}={v}\n" for k, v in properties.items()), "utf-8")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # With "=", since one id in sixty-four begins with a dash.
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._properties)]
        subprocess.run([*self._command, *tool], check=True, capture_output=True, timeout=_START_TIMEOUT_S)

    def _start_once(self) -> None:
        self._process.start()
        try:
            wait_until(self._answered_or_ended, timeout_s=_START_TIMEOUT_S, what="an answer of Kafka")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log ends with:\n{self._process.log_tail()}") from error
        if not self._process.running:
            raise TimeoutError(f"Kafka ended at its start; its log ends with:\n{self._process.log_tail()}")

    def _answered_or_ended(self) -> bool:
        return not self._process.running or answers(self.bootstrap)

    def stop(self) -> None:
        """Stop it in order and wait; by force after 30 seconds."""
        try:
            self._process.terminate()
        except TimeoutError:
            self._process.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()

    def pause(self) -> None:
        """Freeze it."""
        self._process.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._process.resume()

    def close(self) -> None:
        """Stop it for good. Idempotent."""
        # Nobody reads its data again, so there is nothing to bring to a clean end.
        if self._process.running:
            self._process.kill()
        self._process.close()


class ContainerBroker(ContainerServer):
    """Apache Kafka's own image."""

    def __init__(self) -> None:
        """Prepare the container.

        Raises:
            Unavailable: No Docker engine answers.
        """
        docker_answers()
        port = free_port()
        self._bootstrap = f"{LOOPBACK}:{port}"
        super().__init__(
            f"apache/kafka:{artifacts.KAFKA_VERSION}",
            {port: port},
            _container_environment(port),
            lambda: answers(self._bootstrap),
        )

    @property
    def bootstrap(self) -> str:
        """Address as host:port."""
        return self._bootstrap


def _container_environment(port: int) -> dict[str, str]:
    properties = {
        **_BROKER_PROPERTIES,
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": "1@localhost:9093",
    }
    return {f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in properties.items()}


def open_broker(directory: Path) -> Broker:
    """Return a broker of its own for a test, not started: a container, else a Java process.

    Raises:
        Unavailable: Neither can be had.
    """
    tried: list[str] = []
    try:
        return ContainerBroker()
    except Unavailable as error:
        tried += error.tried
    try:
        return JavaBroker(directory)
    except Unavailable as error:
        raise Unavailable(tried + error.tried) from error


def given_address() -> str | None:
    """Return the address of a running Kafka from AUDITSTREAM_TEST_KAFKA."""
    return os.environ.get(ADDRESS_VARIABLE)


def answers(bootstrap: str) -> bool:
    """Return whether a broker answers a metadata request within two seconds."""
    quiet: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "socket.timeout.ms": 2000,
    }
    try:
        return bool(AdminClient(quiet).list_topics(timeout=2.0).brokers)
    except KafkaException:
        return False


class Topics:
    """Makes topics of one test and deletes them at its end."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
        self._made: list[str] = []

    def create(self, prefix: str = "audit.events", partitions: int = 4, **config: str) -> str:
        """Create a topic of a fresh name and wait until each partition has a leader.

        Args:
            prefix: Beginning of the name.
            partitions: Number of partitions.
            config: Properties of the topic with ``_`` for ``.``, for example ``cleanup_policy="compact"``.

        Returns:
            Its name.
        """
        name = f"{prefix}.{uuid.uuid4().hex[:12]}"
        properties = {key.replace("_", "."): value for key, value in config.items()}
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=properties)
        for done in self._admin.create_topics([topic]).values():
            done.result(_ADMIN_TIMEOUT_S)
        self._made.append(name)
        wait_until(lambda: self._led(name, partitions), timeout_s=_ADMIN_TIMEOUT_S, what=f"a leader for all of {name}")
        return name

    def _led(self, name: str, partitions: int) -> bool:
        found = self._admin.list_topics(name, timeout=_ADMIN_TIMEOUT_S).topics[name].partitions
        return len(found) == partitions and all(p.leader >= 0 for p in found.values())

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the offset after the last message of each partition."""
        partitions = self._admin.list_topics(topic, timeout=_ADMIN_TIMEOUT_S).topics[topic].partitions
        asked = {TopicPartition(topic, number): _LATEST for number in partitions}
        answered = self._admin.list_offsets(asked, request_timeout=_ADMIN_TIMEOUT_S)
        return {place.partition: done.result().offset for place, done in answered.items()}

    def delete(self, topic: str) -> None:
        """Delete a topic; one that is gone already is fine."""
        for done in self._admin.delete_topics([topic]).values():
            try:
                done.result(_ADMIN_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        if topic in self._made:
            self._made.remove(topic)

    def close(self) -> None:
        """Delete what is left of its topics."""
        for topic in list(self._made):
            self.delete(topic)
