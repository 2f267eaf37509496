"""Reads on a large store, in a process of its own, and what is stored for an event."""

from __future__ import annotations

import json
import tempfile
from typing import Any

import pyarrow as pa

from benchmarks.ground import Ground, wait_for_line
from benchmarks.plan import Plan
from benchmarks.served import Hall
from schemas.wire import HEADER_BYTES
from sinks.connection import Connections

_TIMEOUT_S = 4 * 3600.0


def measure(ground: Ground, plan: Plan) -> dict[str, Any]:
    """Return what every named read costs, by its name."""
    # On disk: a large store does not fit into memory, and what is asked again is in the system's cache.
    with tempfile.TemporaryDirectory(prefix="auditstream-benchmarks-") as directory:
        subject = ground.start_subject("reads", directory, plan.query_rows)
        found: dict[str, Any] = json.loads(wait_for_line(subject, r"^result (.*)$", _TIMEOUT_S))
        if code := subject.wait(60.0):
            raise RuntimeError(f"{subject.name} ended with {code}:\n{subject.log_tail()}")
    return found


def measure_size(ground: Ground, plan: Plan) -> dict[str, float]:
    """Store every event of the corpus once by the worker; return bytes of an event, indexes apart, beside zstd's.

    The measure is one stream of the same Avro bodies, compressed at level 3 as a whole: better than any consumer that
    compresses its batches, and without what the worker adds to an event.
    """
    values = list(ground.corpus.take(plan.distinct_events))
    hall = Hall(ground, 1, worker_batch_age_s=10)
    hall.backlog.put(values)
    hall.wait_stored(len(values))
    sizes = _stored_bytes(Connections(hall.database))
    hall.end()
    zstd = len(pa.Codec("zstd", compression_level=3).compress(b"".join(v[HEADER_BYTES:] for v in values)))
    return {
        "events": len(values),
        "bytes_per_event": round(sizes["columns"] / len(values), 1),
        "index_bytes_per_event": round(sizes["indexes"] / len(values), 1),
        "projection_bytes_per_event": round(sizes["projections"] / len(values), 1),
        "avro_zstd3_bytes_per_event": round(zstd / len(values), 1),
        "compared_with_avro_zstd3": round(sizes["columns"] / zstd, 2),
    }


def _stored_bytes(connections: Connections) -> dict[str, int]:
    name = connections.settings.database
    of_events = f"database = '{name}' AND table = 'audit_events' AND active"
    # Merged, as rows are for all but their first minutes.
    connections.command(f"OPTIMIZE TABLE `{name}`.audit_events FINAL")
    parts = connections.rows(
        "SELECT sum(data_compressed_bytes) AS columns, sum(secondary_indices_compressed_bytes) AS indexes "  # noqa: S608 - ours
        f"FROM system.parts WHERE {of_events}"
    )[0]
    projections = connections.rows(
        f"SELECT sum(data_compressed_bytes) AS columns FROM system.projection_parts WHERE {of_events}"  # noqa: S608 - ours
    )[0]
    connections.close()
    return {"columns": parts["columns"], "indexes": parts["indexes"], "projections": projections["columns"]}
