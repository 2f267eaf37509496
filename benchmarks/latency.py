"""How long an event takes from ``produce`` until a query finds it, under a steady load."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from itertools import cycle

import numpy as np
from confluent_kafka import KafkaError, Message, Producer

from benchmarks.ground import Ground
from benchmarks.plan import Plan
from benchmarks.served import Hall, engine_pid, expect_stored
from benchmarks.usage import Meter
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

RATE = 5_000
_SAMPLE_EVERY = 50
_TICK_S = 0.01
_ASK_EVERY_S = 0.1
_COUNT_EVERY_S = 1.0
_WARM_S = 3.0


class Load(threading.Thread):
    """Produces at a steady rate and remembers when every fiftieth event was handed over."""

    def __init__(self, ground: Ground, topic: str, partitions: int, seconds: float) -> None:
        super().__init__(name="load", daemon=True)
        self.count = int(RATE * seconds)
        self.sent: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        self.failures: list[str] = []
        self._values, self._topic, self._partitions = ground.corpus.values, topic, partitions
        self._producer = Producer(
            {"bootstrap.servers": ground.bootstrap, "linger.ms": 5, "compression.type": "lz4", "log_level": 2}
        )

    def run(self) -> None:
        """Produce, in bursts of ten milliseconds."""
        values, started, made = cycle(self._values), time.monotonic(), 0
        while made < self.count:
            due = min(self.count, int((time.monotonic() - started + _TICK_S) * RATE))
            for number in range(made, due):
                self._produce(next(values), number)
            made = due
            self._producer.poll(0)
            time.sleep(_TICK_S)
        self._producer.flush(60.0)

    def _produce(self, value: bytes, number: int) -> None:
        at = time.monotonic()

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failures.append(error.str())
            else:
                self.sent[message.partition() or 0].append((message.offset() or 0, at))

        sampled = report if number % _SAMPLE_EVERY == 0 else None
        self._producer.produce(self._topic, value, partition=number % self._partitions, on_delivery=sampled)


class Lookout(threading.Thread):
    """Asks the database ten times a second up to which offset each partition can be queried.

    It asks for the manifest, which is written when the rows that it describes are: a little later than they can be
    queried. Asking for the rows themselves as often took a quarter of the machine, which is not theirs to take.

    Attributes:
        seen: Moment and highest offset by partition, ascending.
        most_parts: Largest number of active parts of the events' table.
    """

    def __init__(self, database: ClickHouseSettings) -> None:
        super().__init__(name="lookout", daemon=True)
        self.seen: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
        self.most_parts, self._database = 0, database.database
        self._connections, self._done = Connections(database), threading.Event()

    def run(self) -> None:
        """Ask until stopped."""
        sql = f"SELECT kafka_partition AS p, max(last_offset) AS o FROM `{self._database}`.ingest_batches GROUP BY p"  # noqa: S608 - our own name
        counted_at = 0.0
        while not self._done.wait(_ASK_EVERY_S):
            rows, at = self._connections.rows(sql), time.monotonic()
            for row in rows:
                self.seen[row["p"]].append((at, row["o"]))
            if at - counted_at >= _COUNT_EVERY_S:
                counted_at = at
                self.most_parts = max(self.most_parts, parts(self._connections, self._database)["active"])

    def stop(self) -> None:
        """Ask no further."""
        self._done.set()
        self.join()
        self._connections.close()


def parts(connections: Connections, database: str) -> dict[str, int]:
    """Return how many parts the events' table has and how many were ever created by inserts.

    A plain MergeTree numbers the parts of all its partitions with one counter.
    """
    sql = (
        "SELECT countIf(active) AS active, max(max_block_number) AS created FROM system.parts"
        " WHERE database = {database:String} AND table = 'audit_events'"
    )
    row = connections.rows(sql, {"database": database})[0]
    return {"active": int(row["active"]), "created": int(row["created"])}


def measure(ground: Ground, plan: Plan) -> dict[str, object]:
    """Measure with few partitions and with many."""
    return {
        f"{partitions}_partitions": with_partitions(ground, partitions, plan.latency_s)
        for partitions in plan.latency_partitions
    }


def with_partitions(ground: Ground, partitions: int, seconds: float) -> dict[str, object]:
    """Measure one worker with its default settings."""
    hall = Hall(ground, 1, partitions)
    hall.workers[0].process.wait_for_log("partitions_assigned", 120.0)
    connections = Connections(hall.database)
    load, lookout = Load(ground, hall.topic, partitions, seconds + _WARM_S), Lookout(hall.database)
    worker, database = Meter.of(hall.workers[0].pid), Meter.of(engine_pid(hall.engine))
    lookout.start()
    started = time.monotonic()
    load.start()
    load.join()
    hall.wait_stored(load.count, 120.0)
    took_s = time.monotonic() - started
    time.sleep(3 * _ASK_EVERY_S)
    lookout.stop()
    if load.failures:
        raise RuntimeError(f"{len(load.failures)} events were not delivered: {load.failures[0]}")
    created = parts(connections, hall.database.database)["created"]
    cpu = worker.read_s(), database.read_s()
    connections.close()
    expect_stored(hall.database, load.count)
    hall.end()
    waits = latencies_ms(load, lookout, started + _WARM_S)
    return {
        "events_per_s": RATE,
        "events": load.count,
        "p50_ms": round(float(np.percentile(waits, 50))),
        "p99_ms": round(float(np.percentile(waits, 99))),
        "max_ms": round(float(waits.max())),
        "samples": len(waits),
        "parts_created_per_s": round(created / took_s, 1),
        "most_active_parts": lookout.most_parts,
        "worker_cpu_us_per_event": round(cpu[0] / load.count * 1e6, 1),
        "database_cpu_us_per_event": round(cpu[1] / load.count * 1e6, 1),
    }


def latencies_ms(load: Load, lookout: Lookout, since: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the milliseconds from handing an event over until the first answer that could contain it.

    A partition is stored in offset order, so an event can be queried when a later one can. An answer comes up to a
    tenth of a second after the moment itself: the figures are upper bounds.

    Raises:
        RuntimeError: A sampled event was never seen.
    """
    waits = []
    for partition, sent in load.sent.items():
        moments = np.array([at for at, _ in lookout.seen[partition]])
        offsets = np.array([offset for _, offset in lookout.seen[partition]])
        for offset, at in sent:
            if at < since:
                continue
            place = int(np.searchsorted(offsets, offset))
            if place == len(offsets):
                raise RuntimeError(f"offset {offset} of partition {partition} was never seen by a query")
            waits.append((moments[place] - at) * 1000)
    return np.array(waits)
