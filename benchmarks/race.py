"""The comparison: the worker, ClickHouse's own Avro reader and the plain Python worker, taking turns."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.ground import Ground, wait_for_line
from benchmarks.plan import BATCH_ROWS, PARTITIONS, Plan
from infrastructure.processes import ControlledProcess
from sinks.settings import ClickHouseSettings

#: A full batch of each partition, so that warming up never waits for one to fill.
WARM_EVENTS = BATCH_ROWS * PARTITIONS
#: Enough for a batch of ``BATCH_ROWS`` events; by default a worker stops at half of them, to stay small.
_BATCH_BYTES = 48 << 20
_TIMEOUT_S = 600.0
_RESULT = r"^result (.*)$"

Run = Mapping[str, float]


class Race:
    """Runs the subjects in turn."""

    def __init__(self, ground: Ground, plan: Plan) -> None:
        self._ground, self._plan = ground, plan
        self._warm = min(WARM_EVENTS, plan.race_events)
        self._files = self._write_files()

    def run(self) -> dict[str, object]:
        """Run all rounds; return what each subject took."""
        subjects: dict[str, Callable[[], Run]] = {
            "worker": self.worker,
            "clickhouse_avro": self.clickhouse_avro,
            "plain_worker": self.plain_worker,
        }
        runs: dict[str, list[Run]] = {name: [] for name in subjects}
        for _ in range(self._plan.rounds):
            for name, subject in subjects.items():
                runs[name].append(subject())
        return {name: summary(taken) for name, taken in runs.items()}

    def worker(self) -> Run:
        """Measure the worker's whole path."""
        topic, backlog = self._ground.backlog(PARTITIONS)
        backlog.put(self._ground.corpus.take(self._warm))
        database = ClickHouseSettings(interface="chdb", path=self._ground.fresh_directory("worker"))
        # A backlog is what fills batches; the wait for it must not cut them into smaller ones than the others have.
        environment = self._ground.worker_environment(
            topic,
            database,
            worker_batch_age_s=10,
            worker_batch_bytes=_BATCH_BYTES,
            worker_memory_bytes=4 * _BATCH_BYTES,
            log_level="warning",
        )
        subject = self._ground.start_subject("worker", self._warm, self._plan.race_events, environment=environment)
        backlog.hide(self._ground.corpus.take(self._plan.race_events))
        wait_for_line(subject, "^(warm)$")
        backlog.show()
        return self._finish(subject, topic)

    def clickhouse_avro(self) -> Run:
        """Measure ClickHouse's own Avro reader."""
        warm, file = self._files
        sizes = self._warm, self._plan.race_events, BATCH_ROWS
        directory = self._ground.fresh_directory("avro")
        return self._finish(self._ground.start_subject("clickhouse_avro", directory, warm, file, *sizes))

    def plain_worker(self) -> Run:
        """Measure the plain Python worker."""
        warm, count = 1000, self._plan.plain_events
        topic, backlog = self._ground.backlog(PARTITIONS)
        backlog.put(self._ground.corpus.take(warm + count))
        directory = self._ground.fresh_directory("plain")
        places = directory, self._ground.bootstrap, topic
        return self._finish(self._ground.start_subject("plain_worker", *places, warm, count), topic)

    def _finish(self, subject: ControlledProcess, topic: str = "") -> Run:
        result: Run = json.loads(wait_for_line(subject, _RESULT, _TIMEOUT_S))
        if code := subject.wait(60.0):
            raise RuntimeError(f"{subject.name} ended with {code}:\n{subject.log_tail()}")
        if topic:
            self._ground.topics.delete(topic)
        return result

    def _write_files(self) -> tuple[Path, Path]:
        corpus, directory = self._ground.corpus, self._ground.directory
        warm = corpus.write_avro(directory / "warm.avro", self._warm)
        return warm, corpus.write_avro(directory / "events.avro", self._plan.race_events)


def summary(runs: Sequence[Run]) -> dict[str, object]:
    """Return the runs with events per CPU-second: of the fastest, which neighbours disturbed least, and the median.

    Every subject is charged one merge of its rows into one part for each table partition, as no merges run meanwhile;
    ``before_merges`` is what comes out without it.
    """
    rates = [run["events"] / (run["cpu_s"] + run["merges_after_cpu_s"]) for run in runs]
    return {
        "events_per_cpu_s": round(max(rates)),
        "events_per_cpu_s_median": round(median(rates)),
        "events_per_cpu_s_before_merges": round(max(run["events"] / run["cpu_s"] for run in runs)),
        "runs": list(runs),
    }
