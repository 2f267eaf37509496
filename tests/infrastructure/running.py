"""Services running in threads of the test process, and what workers have stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from auditstream.service import WorkerService
from auditstream.settings import Settings
from consumers.metrics import Metrics
from infrastructure.load import Place
from infrastructure.oracle import Oracle
from infrastructure.ports import wait_until
from schemas.registry import Registry
from sinks.clickhouse import ClickHouseSink
from sinks.connection import Connections
from sinks.memory import MemorySink
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings
from sinks.sink import Manifest, Sink

#: Long enough for two busy cores, short enough that a test notices.
PATIENCE_S = 30.0


class Service(Protocol):
    """What runs in a thread: a worker or a notifier, as their commands run it."""

    metrics: Metrics

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def run(self) -> None:
        """Work until a stop is asked for."""
        ...


_S = TypeVar("_S", bound=Service)


class RunningService(Generic[_S]):
    """A whole service in a thread of this process.

    Attributes:
        service: The service with its metrics and health.
    """

    def __init__(self, name: str, service: _S, ask_to_stop: Callable[[], None]) -> None:
        """Prepare it; nothing runs yet.

        Args:
            name: What it is, for the thread and for what is told of it.
            service: The service.
            ask_to_stop: Asks it to finish.
        """
        self.service = service
        self._name, self._ask_to_stop = name, ask_to_stop
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"running-{name}", daemon=True)

    def start(self) -> Self:
        """Begin to work."""
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            with self.service:
                self.service.run()
        except BaseException as error:  # handed to the test
            self._error = error

    def stop(self) -> None:
        """Stop calmly; raises what the service ended with. Idempotent."""
        self._ask_to_stop()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            raise TimeoutError(f"the {self._name} did not stop within {PATIENCE_S:g} s")
        if self._error is not None:
            raise self._error

    def ended_with(self) -> BaseException:
        """Wait until the service ends by itself; return its error."""
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive() or self._error is None:
            raise TimeoutError(f"the {self._name} did not end with an error")
        error, self._error = self._error, None
        return error

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def value(self, name: str, **labels: str) -> float:
        """Return a metric's value, 0 when it was never touched."""
        return self.service.metrics.value(name, **labels)

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait for something that the service brings about; raises at once what the service ended with."""
        wait_until(lambda: condition() or not self.running, timeout_s=timeout_s, what=what)
        if not condition() and self._error is not None:
            raise self._error


class RunningWorker(RunningService[WorkerService]):
    """A whole worker (``WorkerService``) in a thread of this process."""

    def __init__(self, settings: Settings, sink: Sink, registry: Registry) -> None:
        """Put a worker together; the caller closes sink and registry after it."""
        service = WorkerService(settings, sink, registry)
        super().__init__("worker", service, service.worker.stop)

    def stored(self) -> int:
        """Return how many messages it brought to their end."""
        fates = ("stored", "dead_lettered", "filtered")
        return int(sum(self.value("auditstream_messages_total", fate=fate) for fate in fates))

    def wait_stored(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        """Wait until it has brought that many messages to their end, then check that there are no more."""
        self.wait(lambda: self.stored() >= count, f"the end of {count} messages", timeout_s)
        assert self.stored() == count

    def waiting_for(self) -> str:
        """Return what ``/health/ready`` says, empty when it is ready."""
        ready, why = self.service.progress.ready()
        return "" if ready else why


class Warehouse:
    """A migrated database with its sink, and what it holds.

    Attributes:
        settings: How to reach it.
        sink: A sink in front of it.
        oracle: Compares it with Kafka.
    """

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.settings, self.sink, self.oracle = settings, ClickHouseSink(settings), Oracle(settings)
        self._connections = Connections(settings)

    def migrate(self) -> None:
        """Create the tables."""
        Migrator(self._connections).migrate()

    def rows(self, table: str, columns: str = "*", order: str = "kafka_offset") -> Sequence[dict[str, Any]]:
        """Return the rows of a table in offset order."""
        return self._connections.rows(f"SELECT {columns} FROM {self.settings.database}.{table} ORDER BY {order}")

    def letters(self) -> Sequence[dict[str, Any]]:
        """Return the dead letters in offset order; what is raw bytes comes as bytes."""
        names = ("key", "raw", "raw_sha256")
        plain = "* EXCEPT (key, raw, raw_sha256, `headers.value`)"
        found = self.rows(
            "dead_letters",
            ", ".join(
                [plain, *(f"hex({n}) AS {n}" for n in names), "arrayMap(v -> hex(v), `headers.value`) AS values"]
            ),
        )
        decoded = [{n: bytes.fromhex(row[n]) for n in names} for row in found]
        values = [{"headers.value": [bytes.fromhex(v) for v in row["values"]]} for row in found]
        return [row | more | headers for row, more, headers in zip(found, decoded, values, strict=True)]

    def close(self) -> None:
        """Close connections."""
        self.oracle.close()
        self.sink.close()
        self._connections.close()


def offsets(sink: MemorySink, table: str = "audit_events", partition: int = 0) -> list[int]:
    """Return the stored offsets of a partition in ascending order, repetitions included."""
    rows = sink.store.all(table).to_pylist()
    return sorted(row["kafka_offset"] for row in rows if row["kafka_partition"] == partition)


def places(sink: MemorySink) -> list[Place]:
    """Return partition and offset of every stored event and dead letter, sorted, repetitions included."""
    rows = [row for table in ("audit_events", "dead_letters") for row in sink.store.all(table).to_pylist()]
    return sorted((row["kafka_partition"], row["kafka_offset"]) for row in rows)


def joined(manifests: Sequence[Manifest], partition: int = 0) -> tuple[int, int]:
    """Return first and last offset that the manifests of a partition cover.

    Raises:
        AssertionError: They do not join without gap or overlap, are not chained, or do not add up.
    """
    mine = sorted((m for m in manifests if m.range.partition == partition), key=lambda m: m.range.first)
    assert all(m.stored + m.dead_lettered + m.filtered + m.skipped == m.range.span for m in mine)
    for before, after in pairwise(mine):
        assert after.range.first == before.range.next_offset
        assert after.previous_sha256 == before.sha256
    return mine[0].range.first, mine[-1].range.last


def balance(worker: RunningWorker) -> tuple[float, float]:
    """Return both sides of the balance equation: consumed; and stored, dead, filtered, held, discarded."""
    held = worker.value("auditstream_messages_held") + worker.value("auditstream_messages_discarded_total")
    return worker.value("auditstream_messages_consumed_total"), worker.stored() + held


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait for something that no worker has to bring about."""
    wait_until(condition, timeout_s=timeout_s, what=what)


def stays(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether a condition holds all the time for some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        time.sleep(0.05)
    return True
