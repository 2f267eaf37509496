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


def measure_size(ground: Ground, plan: Plan) -> dict[str, Any]:
    """Store every event of the corpus once by the worker; return bytes of an event, indexes apart, beside zstd's.

    The measure is one stream of the same Avro bodies, compressed at level 3 as a whole: better than any consumer that
    compresses its batches, and without what the worker adds to an event. Parts of less than 256 MiB keep all columns
    in one file, piece by piece; larger ones, in which nearly all rows lie in time, a file for each column.
    """
    values = list(ground.corpus.take(plan.distinct_events))
    hall = Hall(ground, 1, worker_batch_age_s=10)
    hall.backlog.put(values)
    hall.wait_stored(len(values))
    connections = Connections(hall.database)
    zstd = len(pa.Codec("zstd", compression_level=3).compress(b"".join(v[HEADER_BYTES:] for v in values)))
    sizes = {name: _stored(connections, wide, zstd, len(values)) for name, wide in (("small", False), ("large", True))}
    connections.close()
    hall.end()
    return {
        "events": len(values),
        "avro_zstd3_bytes_per_event": round(zstd / len(values), 1),
        **{f"{name}_parts": of_them for name, of_them in sizes.items()},
    }


def _stored(connections: Connections, wide: bool, zstd: int, events: int) -> dict[str, float]:
    name = connections.settings.database
    if wide:
        connections.command(f"ALTER TABLE `{name}`.audit_events MODIFY SETTING min_bytes_for_wide_part = 0")
    # Merged, as rows are for all but their first minutes.
    connections.command(f"OPTIMIZE TABLE `{name}`.audit_events FINAL")
    of_events = f"database = '{name}' AND table = 'audit_events' AND active"
    parts = connections.rows(
        "SELECT sum(data_compressed_bytes) AS columns, sum(secondary_indices_compressed_bytes) AS indexes, "  # noqa: S608 - ours
        f"groupUniqArray(part_type) AS types FROM system.parts WHERE {of_events}"
    )[0]
    if parts["types"] != ["Wide" if wide else "Compact"]:
        raise RuntimeError(f"the parts are {parts['types']}")
    projections = connections.rows(
        f"SELECT sum(data_compressed_bytes) AS columns FROM system.projection_parts WHERE {of_events}"  # noqa: S608 - ours
    )[0]
    return {
        "bytes_per_event": round(parts["columns"] / events, 1),
        "index_bytes_per_event": round(parts["indexes"] / events, 1),
        "projection_bytes_per_event": round(projections["columns"] / events, 1),
        "compared_with_avro_zstd3": round(parts["columns"] / zstd, 2),
    }
