"""CPU time of a worker's own stages, without Kafka and database: ``python benchmarks/stages.py [rows]``."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

import numpy as np

from consumers.batch import MessageBatch, Payloads, RawMessage
from consumers.enrich import ActorDirectory
from consumers.processing import Processed, Processor
from consumers.settings import EnrichSettings, ValidateSettings, WorkerSettings
from producers.generator import EventGenerator
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from sinks.manifest import NO_PREVIOUS, describe
from sinks.settings import RetentionSettings
from sinks.sink import OffsetRange

_SCHEMA_ID = 1
_RUNS = 9


def _processor() -> Processor:
    return Processor(
        lambda _: avro_schema("audit_event", 1),
        Catalogue.load(),
        validate=ValidateSettings(),
        enrich=EnrichSettings(),
        retention=RetentionSettings(),
        worker=WorkerSettings(),
        directory=ActorDirectory(10, enabled=False),
        worker_version="benchmark",
        clock=time.process_time,
    )


def _batch(values: list[bytes], now_ms: int) -> MessageBatch:
    rows = len(values)
    return MessageBatch(
        OffsetRange("audit.events", UUID(int=5), 0, 0, rows - 1),
        Payloads.of(values),
        np.arange(rows),
        np.full(rows, now_ms),
        [RawMessage(None, value, ()) for value in values],
    )


def _digest_s(batch: MessageBatch, processed: Processed) -> float:
    started = time.process_time()
    events = processed.sink_batch.events
    describe(batch.range, events, dead_lettered=0, skipped=0, schema_ids=[_SCHEMA_ID], previous_sha256=NO_PREVIOUS)
    return time.process_time() - started


def _least(processor: Processor, batch: MessageBatch) -> dict[str, float]:
    """Return the least CPU seconds of each stage over some runs of a batch."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(_RUNS):
        processed = processor.process(batch)
        for stage, spent in processed.timings.items():
            seconds[stage].append(spent)
        seconds["digest"].append(_digest_s(batch, processed))
    return {stage: min(spent) for stage, spent in seconds.items()}


def measure_stages(rows: int) -> dict[str, float]:
    """Measure decode, validate, enrich, build and digest on generated events of every kind.

    Args:
        rows: Events of a batch, as large as a worker makes them under load.

    Returns:
        Per stage ``<stage>_us``, microseconds of CPU per event, and ``total_us``; ``batch_ms`` and
        ``batch_<stage>_ms``, milliseconds of CPU of a batch of one event.
    """
    now = datetime.now(UTC)
    generator = EventGenerator(1, schema_id=_SCHEMA_ID, start=now)
    values = [generated.value for generated in islice(generator, rows)]
    processor = _processor()
    large = {f"{s}_us": t / rows * 1e6 for s, t in _least(processor, _batch(values, _ms(now))).items()}
    small = {f"batch_{s}_ms": t * 1e3 for s, t in _least(processor, _batch(values[:1], _ms(now))).items()}
    return {**large, "total_us": sum(large.values()), **small, "batch_ms": sum(small.values())}


def _ms(time_: datetime) -> int:
    return int(time_.timestamp() * 1000)


if __name__ == "__main__":
    for name, figure in measure_stages(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000).items():
        print(f"{name:20} {figure:8.3f}")
