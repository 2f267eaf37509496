"""Workers against a served database, whose CPU time is its own: cost, scaling, catch-up and memory."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.ground import Ground
from benchmarks.plan import BATCH_ROWS, PARTITIONS, Plan
from benchmarks.usage import Meter, peak_rss_mib, rss_mib
from infrastructure.clickhouse import ServedEngine
from infrastructure.processes import ControlledProcess
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

_TIMEOUT_S = 900.0
_WINDOWS = 5
_FATE = re.compile(r'^auditstream_messages_total\{fate="(\w+)"\} (\S+)$', re.MULTILINE)
_PROBE = re.compile(r'"port": ?(\d+).*"event": ?"probe_listening"|"event": ?"probe_listening".*"port": ?(\d+)')


class ServedWorker:
    """One ``auditstream worker``, seen from outside."""

    def __init__(self, process: ControlledProcess) -> None:
        self.process = process
        self._port = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def ended(self, fate: str = "stored") -> float:
        """Return the messages that it says it stored or dead-lettered; 0 before it serves metrics."""
        if not self._port:
            found = _PROBE.search(self.process.log_text())
            self._port = int(found[1] or found[2]) if found else 0
            return 0.0
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
            fates = dict(_FATE.findall(answer.read().decode()))
        return float(fates.get(fate, 0.0))

    def require_alive(self) -> None:
        """Raise when it has ended.

        Raises:
            RuntimeError: With the end of its log.
        """
        if not self.process.running:
            raise RuntimeError(f"{self.process.name} ended:\n{self.process.log_tail()}")


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment of a run.

    Attributes:
        wall_s: Seconds since the backlog appeared.
        stored: Events stored since.
        rss_mib: Memory of the workers together.
    """

    wall_s: float
    stored: float
    rss_mib: float


@dataclass(slots=True)
class ServedRun:
    """What one run took.

    Attributes:
        workers: Number of workers.
        events: Events stored.
        wall_s: Seconds from the backlog's appearance to the last event.
        worker_cpu_s: CPU seconds of all workers.
        database_cpu_s: CPU seconds of the database.
        peak_rss_mib: Largest memory of the largest worker.
        shares: Part of the events that each worker stored.
        samples: Progress.
    """

    workers: int
    events: int
    wall_s: float = 0.0
    worker_cpu_s: float = 0.0
    database_cpu_s: float = 0.0
    peak_rss_mib: float = 0.0
    shares: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def report(self) -> dict[str, object]:
        """Return it for the results, with what follows from it."""
        return {
            "workers": self.workers,
            "events": self.events,
            "wall_s": round(self.wall_s, 2),
            "events_per_s": round(self.events / self.wall_s),
            "worker_cpu_us_per_event": round(self.worker_cpu_s / self.events * 1e6, 2),
            "database_cpu_us_per_event": round(self.database_cpu_s / self.events * 1e6, 2),
            "worker_events_per_cpu_s": round(self.events / self.worker_cpu_s),
            "worker_rss_mib": round(self.peak_rss_mib),
            "shares": [round(share, 3) for share in self.shares],
        }


class Hall:
    """A served database, a topic and some workers that have warmed up and wait for a backlog."""

    def __init__(self, ground: Ground, workers: int, partitions: int = PARTITIONS, **settings: object) -> None:
        self._ground, self._partitions = ground, partitions
        self.topic, self.backlog = ground.backlog(partitions)
        self.engine, self.database = ground.serve_database()
        environment = ground.worker_environment(self.topic, self.database, **settings)
        self.workers = [ServedWorker(ground.start_worker(environment)) for _ in range(workers)]
        self._put = 0

    def warm(self, per_partition: int = BATCH_ROWS) -> None:
        """Have the workers store some events, after all of them have joined."""
        for worker in self.workers:
            worker.process.wait_for_log("partitions_assigned", 120.0)
        if len(self.workers) > 1:
            time.sleep(2.0)  # the last join is followed by one more rebalance, which no log line ends
        self._put += self.backlog.put(self._ground.corpus.take(per_partition * self._partitions))
        self.wait_stored(self._put, 120.0)

    def stored(self) -> list[float]:
        """Return the events that each worker has stored."""
        for worker in self.workers:
            worker.require_alive()
        return [worker.ended() for worker in self.workers]

    def wait_stored(self, count: int, timeout_s: float = _TIMEOUT_S) -> None:
        """Wait until that many events are stored."""
        deadline = time.monotonic() + timeout_s
        while sum(self.stored()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{sum(self.stored()):.0f} of {count} events were stored in {timeout_s:g} s")
            time.sleep(0.1)

    def wait_dead(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait until that many dead letters are stored."""
        deadline = time.monotonic() + timeout_s
        while sum(worker.ended("dead_lettered") for worker in self.workers) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"fewer than {count} dead letters after {timeout_s:g} s")
            time.sleep(0.1)

    def run(self, count: int) -> ServedRun:
        """Let the workers store ``count`` events that appear at once."""
        self._put += self.backlog.hide(self._ground.corpus.take(count))
        before = self.stored()
        meters = [Meter.of(worker.pid) for worker in self.workers]
        database = Meter.of(engine_pid(self.engine))
        self.backlog.show()
        run = ServedRun(len(self.workers), count)
        run.samples = self._follow(count, sum(before))
        run.wall_s = run.samples[-1].wall_s
        run.worker_cpu_s, run.database_cpu_s = sum(m.read_s() for m in meters), database.read_s()
        run.peak_rss_mib = max(peak_rss_mib(worker.pid) for worker in self.workers)
        run.shares = [(now - then) / count for now, then in zip(self.stored(), before, strict=True)]
        return run

    def _follow(self, count: int, before: float) -> list[Sample]:
        started, samples = time.monotonic(), [Sample(0.0, 0.0, 0.0)]
        while samples[-1].stored < count:
            time.sleep(0.1)
            stored, memory = sum(self.stored()) - before, sum(rss_mib(worker.pid) for worker in self.workers)
            samples.append(Sample(time.monotonic() - started, stored, memory))
            if samples[-1].wall_s > _TIMEOUT_S:
                raise TimeoutError(f"{stored:.0f} of {count} events were stored in {_TIMEOUT_S:g} s")
        return samples

    def close(self) -> None:
        """Check that everything put is in the database, stop the workers and the database.

        Raises:
            RuntimeError: Events are missing or too many, or a worker ended with an error.
        """
        expect_stored(self.database, self._put)
        self.end()

    def end(self) -> None:
        """Stop the workers and the database."""
        for worker in self.workers:
            if code := worker.process.terminate(60.0):
                raise RuntimeError(f"the worker ended with {code}:\n{worker.process.log_tail()}")
        self.engine.close()
        self._ground.topics.delete(self.topic)


def engine_pid(engine: ServedEngine) -> int:
    """Return the process id of a served engine."""
    return engine._process.pid


def expect_stored(database: ClickHouseSettings, count: int, dead_letters: int = 0) -> None:
    """Prove that events and dead letters are as many as were sent.

    Raises:
        RuntimeError: They are not.
    """
    connections = Connections(database)
    found = [
        connections.rows(f"SELECT count() AS n FROM `{database.database}`.{table}")[0]["n"]  # noqa: S608 - our names
        for table in ("audit_events", "dead_letters")
    ]
    connections.close()
    if found != [count, dead_letters]:
        raise RuntimeError(f"expected {count} events and {dead_letters} dead letters, found {found}")


def measure(ground: Ground, plan: Plan) -> dict[str, object]:
    """Measure one worker and two, in turn, and a backlog."""
    ones: list[ServedRun] = []
    twos: list[ServedRun] = []
    for _ in range(plan.served_rounds):
        ones.append(run_once(ground, 1, plan.served_events))
        twos.append(run_once(ground, 2, plan.served_events))
    long = run_once(ground, 1, plan.catch_up_events) if plan.catch_up_events else ones[-1]
    best = min(ones, key=lambda run: run.worker_cpu_s)
    return {
        "one_worker": best.report(),
        "one_worker_cpu_us_median": round(median(run.worker_cpu_s / run.events for run in ones) * 1e6, 2),
        "two_workers": min(twos, key=lambda run: run.worker_cpu_s).report(),
        "scaling_two_workers": round(scaling(ones, twos), 2),
        "scaling_two_workers_wall": round(min(r.wall_s for r in ones) / min(r.wall_s for r in twos), 2),
        "catch_up": long.report() | windows(long),
    }


def scaling(ones: Sequence[ServedRun], twos: Sequence[ServedRun]) -> float:
    """Return how much more two workers do than one, each with a core of its own, the database left out.

    The worker that stored most decides when two are done; what it costs is the CPU time of an event.
    """
    one = min(run.worker_cpu_s / run.events for run in ones)
    two = min(run.worker_cpu_s / run.events * max(run.shares) for run in twos)
    return one / two


def windows(run: ServedRun) -> dict[str, object]:
    """Return rate and memory of equal parts of a backlog; parts that one batch completed together are one."""
    edges = [run.events * n / _WINDOWS for n in range(1, _WINDOWS + 1)]
    reached = list(dict.fromkeys(next(s for s in run.samples if s.stored >= edge) for edge in edges))
    starts = [run.samples[0], *reached[:-1]]
    rates = [(b.stored - a.stored) / (b.wall_s - a.wall_s) for a, b in zip(starts, reached, strict=True)]
    return {
        "window_events_per_s": [round(rate) for rate in rates],
        "window_rss_mib": [round(sample.rss_mib) for sample in reached],
    }


def run_once(ground: Ground, workers: int, events: int) -> ServedRun:
    """Run some workers on a database of their own."""
    hall = Hall(ground, workers, worker_batch_age_s=10)
    hall.warm()
    run = hall.run(events)
    hall.close()
    return run
