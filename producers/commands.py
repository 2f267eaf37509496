"""Commands to other services: single messages on topics of their own, acknowledged one by one."""

from __future__ import annotations

import threading

from producers.delivery import Headers, KafkaSender, SendFailure, client_properties, reporting
from producers.errors import CommandFailed
from producers.settings import ProducerSettings
from schemas.settings import KafkaSettings


class CommandSender:
    """Sends commands with the same safe client as AuditProducer. Thread-safe, not fork-safe."""

    def __init__(self, kafka: KafkaSettings, settings: ProducerSettings) -> None:
        """Start the client; it connects in the background.

        Args:
            kafka: Connection.
            settings: Sizes; a command is given up after ``delivery_timeout_s`` at the latest.
        """
        self._sender = KafkaSender(client_properties(kafka, settings, give_up=True))

    def send(self, topic: str, key: bytes, value: bytes, headers: Headers, timeout_s: float) -> None:
        """Send one command and wait until all replicas in sync have it.

        Args:
            topic: Topic.
            key: Kafka key; commands of one key stay in order.
            value: The command.
            headers: Kafka headers.
            timeout_s: Seconds to wait.

        Raises:
            CommandFailed: It was not acknowledged in time; ``may_arrive`` says whether it still can be.
        """
        receipt = _Receipt()
        if not self._sender.send(topic, key, value, reporting(receipt.settle), headers):
            raise CommandFailed(topic, "the queue of the client is full", may_arrive=False)
        receipt.wait(topic, timeout_s)

    def close(self) -> None:
        """Stop; whoever waits gets an answer. Idempotent."""
        self._sender.close()


class _Receipt:
    """Waits for the fate of one command."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self._failure: SendFailure | None = None

    def settle(self, failure: SendFailure | None) -> None:
        self._failure = failure
        self._known.set()

    def wait(self, topic: str, timeout_s: float) -> None:
        if not self._known.wait(timeout_s):
            raise CommandFailed(topic, f"no answer of Kafka within {timeout_s:g} s", may_arrive=True)
        if self._failure is not None:
            raise CommandFailed(topic, self._failure.reason, may_arrive=self._failure.may_arrive)
