"""The largest memory of a worker: with small, large and huge messages, and with many partitions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from benchmarks.ground import Ground
from benchmarks.plan import PARTITIONS, Plan
from benchmarks.served import Hall, expect_stored
from benchmarks.usage import peak_rss_mib
from producers.encoding import RecordEncoder
from producers.records import SCHEMA, to_record
from schemas.wire import frame
from sinks.connection import Connections

KIB = 1 << 10
SIZES = {"1_kb": KIB, "100_kb": 100 * KIB, "1_mb": 1024 * KIB}
MANY_PARTITIONS = 200
_OVERSIZED_BYTES = 9 << 20
#: Characters that compress to half, as JSON of a platform does, not to nothing.
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def messages(schema_id: int, size: int, count: int) -> Iterator[bytes]:
    """Yield API calls whose messages have about ``size`` bytes, most of them in the request body.

    Args:
        schema_id: Registry id of AuditEvent.
        size: Bytes of a message.
        count: Messages.
    """
    encode, chance = RecordEncoder(SCHEMA["fields"]).encode, Random(size)  # noqa: S311 - a load, not a secret
    text = "".join(chance.choices(_LETTERS, k=2 * size))
    for _ in range(count):
        begin = chance.randrange(size)
        body = json.dumps({"note": text[begin : begin + max(1, size - 400)]})
        yield frame(schema_id, encode(to_record(_call(body))))


def _call(body: str) -> dict[str, object]:
    api = {"method": "POST", "route": "/v1/campaigns/{id}", "status_code": 200, "request_body": body}
    return {
        "event_code": "api.call",
        "record_kind": "api_call",
        "tenant_id": "tenant-1",
        "outcome": "success",
        "api": api,
    }


def measure(ground: Ground, plan: Plan) -> dict[str, object]:
    """Measure every size and the many partitions."""
    found: dict[str, object] = {name: with_size(ground, size, plan.memory_bytes) for name, size in SIZES.items()}
    if plan.many_partition_events:
        found["200_partitions"] = with_partitions(ground, MANY_PARTITIONS, plan.many_partition_events)
    return found


def with_size(ground: Ground, size: int, total_bytes: int) -> dict[str, object]:
    """Store messages of one size, and one above the limit, which must become a dead letter that says its size."""
    count = max(PARTITIONS, total_bytes // size)
    hall = Hall(ground, 1, log_level="info")
    hall.backlog.put(messages(ground.event_schema_id, size, count))
    hall.backlog.put([frame(ground.event_schema_id, bytes(_OVERSIZED_BYTES))])
    hall.wait_stored(count)
    _expect_size(hall)
    expect_stored(hall.database, count, dead_letters=1)
    return _finish(hall, count)


def with_partitions(ground: Ground, partitions: int, count: int) -> dict[str, object]:
    """Store ordinary events from many partitions."""
    hall = Hall(ground, 1, partitions)
    hall.backlog.put(ground.corpus.take(count))
    hall.wait_stored(count)
    expect_stored(hall.database, count)
    return _finish(hall, count)


def _expect_size(hall: Hall) -> None:
    connections = Connections(hall.database)
    sql = f"SELECT raw_bytes, reason_code FROM `{hall.database.database}`.dead_letters"  # noqa: S608 - our own name
    hall.wait_dead(1)
    letters = connections.rows(sql)
    connections.close()
    if [letter["raw_bytes"] for letter in letters] != [_OVERSIZED_BYTES + 5]:
        raise RuntimeError(f"the oversized message did not become a dead letter with its size: {letters}")


def _finish(hall: Hall, count: int) -> dict[str, object]:
    peak = peak_rss_mib(hall.workers[0].pid)
    hall.end()
    return {"messages": count, "peak_rss_mib": round(peak)}
