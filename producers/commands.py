"""Commands to other services: single messages on topics of their own, acknowledged one by one."""

from __future__ import annotations

from producers.delivery import Headers, KafkaSender, SendFailure, client_properties, reporting
from producers.errors import CommandFailed
from producers.receipt import Receipt
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
        receipt: Receipt[SendFailure] = Receipt()
        if not self._sender.send(topic, key, value, reporting(receipt.settle), headers):
            raise CommandFailed(topic, "the queue of the client is full", may_arrive=False)
        if not receipt.wait(timeout_s):
            raise CommandFailed(topic, f"no answer of Kafka within {timeout_s:g} s", may_arrive=True)
        if receipt.failure is not None:
            raise CommandFailed(topic, receipt.failure.reason, may_arrive=receipt.failure.may_arrive)

    def close(self) -> None:
        """Stop; whoever waits gets an answer. Idempotent."""
        self._sender.close()
