"""One whole run of the benchmarks, and the results that it writes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import latency, machine, memory, reading, rivals, served, startup, submitting
from benchmarks.ground import Ground
from benchmarks.plan import BATCH_ROWS, PARTITIONS, Plan
from benchmarks.profiling import run_staged
from benchmarks.race import Race

RESULTS = Path(__file__).resolve().parent / "results"

Results = Mapping[str, Any]
Measure = Callable[[Ground, Plan], Mapping[str, Any]]

#: In the order in which they run: the comparison first, while nothing has left anything to merge or to flush.
MEASUREMENTS: Mapping[str, Measure] = {
    "race": lambda ground, plan: Race(ground, plan).run(),
    "served": served.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "startup": startup.measure,
    "submitting": submitting.measure,
    "stages": lambda ground, plan: _stages(ground, plan) if plan.stages else {},
    "query": reading.measure,
    "stored": reading.measure_size,
    "rivals": rivals.measure,
}


def measure(directory: Path, plan: Plan, names: list[str], told: Callable[[str], None]) -> dict[str, Any]:
    """Run measurements and return their results with the headline figures in front.

    Args:
        directory: Existing directory for data, a few gigabytes.
        plan: Sizes.
        names: Measurements to run.
        told: Hears one sentence before and after each.
    """
    found: dict[str, Any] = {}
    loads = [machine.load()]
    seconds: dict[str, float] = {}
    with Ground(directory, plan.distinct_events) as ground:
        for name in names:
            told(f"{name} …")
            started = time.monotonic()
            found[name] = dict(MEASUREMENTS[name](ground, plan))
            seconds[name] = round(time.monotonic() - started, 1)
            told(f"{name}: {seconds[name]:g} s")
            loads.append({"after": name, **machine.load()})
        events = {"mean_bytes": round(ground.corpus.mean_bytes), "distinct": plan.distinct_events}
    return {
        **headline(found),
        "machine": {**machine.describe(), "data_on": machine.file_system(directory)},
        "versions": machine.versions(),
        "plan": plan.name,
        "events": events,
        "load": loads,
        "seconds": seconds,
        **found,
    }


def _stages(ground: Ground, plan: Plan) -> Results:
    return run_staged(ground, 1, batch_rows=min(BATCH_ROWS, plan.race_events // PARTITIONS))[0]


def headline(found: Results) -> dict[str, Any]:
    """Return the figures that are watched, as far as their measurements ran."""
    figures: dict[str, Any] = {}
    if race := found.get("race"):
        worker, reader, plain = (
            race[name]["events_per_cpu_s"] for name in ("worker", "clickhouse_avro", "plain_worker")
        )
        figures |= {
            "worker_events_per_cpu_s": worker,
            "clickhouse_avro_events_per_cpu_s": reader,
            "naive_events_per_cpu_s": plain,
            "worker_vs_clickhouse_avro": round(worker / reader, 2),
            "worker_vs_naive": round(worker / plain, 2),
        }
    if over_http := found.get("served"):
        figures |= {
            "worker_only_events_per_cpu_s": over_http["one_worker"]["worker_events_per_cpu_s"],
            "database_only_us_per_event": over_http["one_worker"]["database_cpu_us_per_event"],
            "scaling_two_workers": over_http["scaling_two_workers"],
            "catch_up_events_per_s": over_http["catch_up"]["events_per_s"],
        }
    if memory_runs := found.get("memory"):
        figures["worker_rss_mib"] = max(run["peak_rss_mib"] for run in memory_runs.values())
    if latencies := found.get("latency"):
        few = latencies["12_partitions"]
        figures |= {"latency_p50_ms": few["p50_ms"], "latency_p99_ms": few["p99_ms"]}
        figures["parts_created_per_s"] = few["parts_created_per_s"]
    if startups := found.get("startup"):
        figures["startup_s"] = startups["fastest_s"]
    if reads := found.get("query"):
        figures |= _of_reads(reads)
    if stored := found.get("stored"):
        figures["stored_vs_avro_zstd3"] = stored["large_parts"]["compared_with_avro_zstd3"]
        figures["stored_small_parts_vs_avro_zstd3"] = stored["small_parts"]["compared_with_avro_zstd3"]
    if submits := found.get("submitting"):
        figures |= {f"submit_{key}": submits[key] for key in ("events_per_cpu_s",)}
        figures |= {key: submits[key] for key in ("submit_p50_us", "submit_p99_us")}
    return figures


#: Named reads that are the first page of one filter.
SINGLE_FILTERS = ("by_actor", "by_object", "by_ip", "by_network", "by_action", "free_text", "event_id", "request_id")


def _of_reads(reads: Results) -> dict[str, Any]:
    singles = [reads[name] for name in SINGLE_FILTERS]
    gains = [read["plain_rows_read"] / max(1, read["rows_read"]) for read in singles]
    return {
        "query_store_rows": reads["newest_page"]["store_rows"],
        "query_first_page_ms": max(read["ms"] for read in singles),
        "query_fewer_rows_than_plain": round(min(gains), 1),
        "query_count_ms": max(read["ms"] for name, read in reads.items() if name.startswith("count_by_")),
        "query_deep_page_ms": reads["deep_page"]["ms"],
        "query_export_ms": reads["export_20000"]["ms"],
    }


def write(results: Results, name: str) -> Path:
    """Write results as JSON; return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return path


def read(name: str) -> Results:
    """Return the results of a run.

    Raises:
        FileNotFoundError: There was none.
    """
    found: Results = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found
