"""Another tool beside ours: faststream with clickhouse-connect, on the same events and the same served database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.ground import Ground, wait_for_line
from benchmarks.plan import BATCH_ROWS, PARTITIONS, Plan
from benchmarks.served import engine_pid, expect_stored
from benchmarks.subjects.flat import row_plan
from benchmarks.usage import Meter
from schemas.columns import avro_schema

#: Its own environment: what it needs must not decide about the versions that we run with.
_REQUIREMENTS = ("faststream[confluent]==0.7.8", "clickhouse-connect>=1.12", "fastavro>=1.12", "numpy")
_TIMEOUT_S = 900.0
#: Events per CPU-second of the tool's own process, measured once by hand on the same kind of events, with neither
#: validation nor enrichment; two cores, Kafka 4.1, November 2026. They need more than pip to run.
CITED: dict[str, dict[str, Any]] = {
    "ClickHouse Kafka Connect sink 1.5": {"events_per_cpu_s": [10_000, 16_000], "rss_mib": [1_200, 2_500]},
    "Bento": {"events_per_cpu_s": [7_000, 9_000]},
    "quixstreams": {"events_per_cpu_s": [6_500, 6_500]},
}


def measure(ground: Ground, plan: Plan) -> dict[str, Any]:
    """Measure faststream when the plan asks for it; cite the others."""
    found: dict[str, Any] = {"cited": CITED, "cited_measured": "2026-11, two cores, own CPU only"}
    if plan.rivals:
        found["faststream"] = faststream(ground, plan.plain_events)
    return found


def faststream(ground: Ground, count: int) -> dict[str, Any]:
    """Have faststream store ``count`` events; count them."""
    python = environment()
    warm = 2_000
    topic, backlog = ground.backlog(PARTITIONS)
    backlog.put(ground.corpus.take(warm))
    engine, database = ground.serve_database()
    plan = {
        "bootstrap": ground.bootstrap,
        "topic": topic,
        "host": database.host,
        "port": database.port,
        "database": database.database,
        "batch_rows": BATCH_ROWS,
        "warm": warm,
        "count": count,
        "rows": row_plan(),
        "schema": avro_schema("audit_event", 1),
    }
    file = ground.fresh_directory("faststream") / "plan.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    subject = ground.start_subject("faststream_worker", file, python=str(python))
    wait_for_line(subject, "^(warm)$", 300.0)
    meter = Meter.of(engine_pid(engine))
    backlog.put(ground.corpus.take(count))
    result: dict[str, Any] = json.loads(wait_for_line(subject, r"^result (.*)$", _TIMEOUT_S))
    result["database_cpu_s"] = round(meter.read_s(), 2)
    expect_stored(database, warm + count)
    subject.close()
    engine.close()
    ground.topics.delete(topic)
    return {"events_per_cpu_s": round(result["events"] / result["cpu_s"]), **result}


def environment() -> Path:
    """Make the environment of the tool once, in the user's cache; return its Python."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "auditstream" / "benchmarks-faststream"
    python = root / "bin" / "python"
    if not (root / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", root], check=True)  # noqa: S603 - our own Python
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_REQUIREMENTS], check=True)  # noqa: S603 - as above
        (root / "complete").touch()
    return python
