"""The worker's whole path in one process, the engine in it, measured from the first message to the last commit."""

from __future__ import annotations

import argparse
from concurrent.futures import Future, ThreadPoolExecutor

from auditstream.logs import configure_logging
from auditstream.service import WorkerService
from auditstream.settings import load_settings
from benchmarks.subjects.reporting import Moment, expect_rows, hold_merges, merged_cpu_s, tell, tell_warm, wait_for
from consumers.decode import prepare
from schemas.registry import open_registry
from sinks import open_sink
from sinks.connection import Connections
from sinks.migrate import Migrator

_TIMEOUT_S = 300.0


class Watched:
    """A running service whose stored events are counted from outside its threads."""

    def __init__(self, service: WorkerService) -> None:
        self._service = service
        # Only this metric: collecting all of them twenty times a second would show in the CPU time.
        self._counter = service.metrics.registry.restricted_registry(["auditstream_messages_total"])
        self._pool = ThreadPoolExecutor(1)
        self._run: Future[None] = self._pool.submit(service.run)

    def wait_stored(self, count: int) -> None:
        """Wait until ``count`` events are stored; raise what the worker raises."""
        wait_for(lambda: self._run.done() or self._stored() >= count, _TIMEOUT_S)
        if self._run.done():
            self._run.result()
            raise RuntimeError("the worker stopped by itself")

    def stop(self) -> None:
        """Stop the worker calmly."""
        self._service.worker.stop()
        self._run.result(_TIMEOUT_S)
        self._pool.shutdown()

    def _stored(self) -> float:
        for family in self._counter.collect():
            for sample in family.samples:
                if sample.name == "auditstream_messages_total" and sample.labels == {"fate": "stored"}:
                    return float(sample.value)
        return 0.0


def measure(warm: int, count: int) -> dict[str, float]:
    """Store ``warm`` events, then measure ``count`` further ones."""
    settings = load_settings()
    configure_logging(settings.log)
    prepare()
    connections = Connections(settings.clickhouse)
    Migrator(connections).migrate()
    sink, registry = open_sink(settings.clickhouse), open_registry(settings.registry)
    with WorkerService(settings, sink, registry) as service:
        watched = Watched(service)
        watched.wait_stored(warm)
        hold_merges(connections)
        before = Moment.now()
        tell_warm()
        watched.wait_stored(warm + count)
        after = Moment.now()
        merges_s = merged_cpu_s(connections, count, warm + count)
        expect_rows(connections, warm + count)
        watched.stop()
    sink.close()
    return before.until(after, count) | {"merges_after_cpu_s": merges_s}


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warm", type=int)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    tell(measure(given.warm, given.count))


if __name__ == "__main__":
    main()
