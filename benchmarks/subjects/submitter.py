"""A service that emits: what ``AuditProducer.submit`` costs the calling thread and the whole process."""

from __future__ import annotations

import argparse
import threading
import time
from itertools import cycle, islice

import fastavro
import numpy as np

from benchmarks.corpus import Corpus
from benchmarks.subjects.reporting import CountMismatch, Moment, tell
from producers import AuditProducer
from producers.settings import ProducerSettings
from schemas.columns import avro_schema
from schemas.settings import KafkaSettings, RegistrySettings
from schemas.wire import EventCodec

_DISTINCT = 10_000
_WARM = 2_000
_STAMPED = ("event_id", "producer_id", "producer_seq")


def events() -> list[dict[str, object]]:
    """Return the generator's events as a service would hand them over: without id and sequence."""
    fastavro.parse_schema(avro_schema("audit_event", 1))
    codec = EventCodec(avro_schema("audit_event", 1), 1)
    corpus = Corpus(_DISTINCT, events_schema_id=1, actors_schema_id=2)
    records = [dict(codec.decode(value)) for value in corpus.values]
    return [{k: v for k, v in record.items() if k not in _STAMPED and v is not None} for record in records]


class Fates:
    """Counts acknowledgements."""

    def __init__(self) -> None:
        self.acknowledged, self.failures = 0, list[str]()
        self._lock = threading.Lock()

    def settle(self, event_id: str, failure: object) -> None:
        """Take in one."""
        with self._lock:
            if failure is None:
                self.acknowledged += 1
            else:
                self.failures.append(f"{event_id}: {failure}")


def measure(bootstrap: str, registry_url: str, topic: str, count: int) -> dict[str, float]:
    """Submit ``count`` events and wait for all acknowledgements."""
    records, fates = events(), Fates()
    kafka = KafkaSettings(bootstrap_servers=bootstrap, events_topic=topic)
    with AuditProducer(kafka, RegistrySettings(url=registry_url), ProducerSettings(auto_register=True)) as producer:
        for record in islice(cycle(records), _WARM):
            producer.submit(record, fates.settle)
        producer.flush(60.0)
        waits = np.empty(count)
        before, thread = Moment.now(), time.thread_time()
        for number, record in enumerate(islice(cycle(records), count)):
            began = time.perf_counter()
            producer.submit(record, fates.settle)
            waits[number] = time.perf_counter() - began
        thread = time.thread_time() - thread
        producer.flush(60.0)
        after = Moment.now()
    if fates.failures or fates.acknowledged != _WARM + count:
        raise CountMismatch(f"{fates.acknowledged} of {_WARM + count} acknowledged; {fates.failures[:1]}")
    p50, p99 = np.percentile(waits, (50, 99)) * 1e6
    return before.until(after, count) | {
        "submit_p50_us": round(float(p50), 1),
        "submit_p99_us": round(float(p99), 1),
        "calling_thread_cpu_us": round(thread / count * 1e6, 2),
    }


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "registry_url", "topic"):
        parser.add_argument(name)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    tell(measure(given.bootstrap, given.registry_url, given.topic, given.count))


if __name__ == "__main__":
    main()
