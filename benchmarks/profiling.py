"""Where the worker's time goes: microseconds of CPU an event, by stage and by function."""

from __future__ import annotations

import json
from collections.abc import Mapping

from benchmarks.ground import Ground, wait_for_line
from benchmarks.plan import BATCH_ROWS, PARTITIONS
from sinks.settings import ClickHouseSettings

_TIMEOUT_S = 600.0
#: In the order of the path.
ORDER = ("consume", "accept", "gather", "decode", "validate", "enrich", "build", "digest", "encode", "insert", "commit")


def run_staged(
    ground: Ground, batches: int, *, functions: bool = False, batch_rows: int = BATCH_ROWS
) -> tuple[Mapping[str, float], str]:
    """Run the worker on one thread.

    Args:
        ground: The servers.
        batches: Full batches of each partition.
        functions: Profile Python functions as well, which makes everything slower.
        batch_rows: Rows of a batch.

    Returns:
        Microseconds by stage, and the list of functions or nothing.
    """
    warm, count = PARTITIONS * batch_rows, PARTITIONS * batch_rows * batches
    topic, backlog = ground.backlog(PARTITIONS)
    backlog.put(ground.corpus.take(warm))
    database = ClickHouseSettings(interface="chdb", path=ground.fresh_directory("staged"))
    environment = ground.worker_environment(
        topic, database, worker_batch_age_s=30, worker_batch_rows=batch_rows, log_level="warning"
    )
    options = ["--functions"] if functions else []
    subject = ground.start_subject("staged_worker", warm, count, *options, environment=environment)
    backlog.hide(ground.corpus.take(count))
    wait_for_line(subject, "^(warm)$", _TIMEOUT_S)
    backlog.show()
    stages: Mapping[str, float] = json.loads(wait_for_line(subject, r"^result (.*)$", _TIMEOUT_S))
    subject.wait(60.0)
    ground.topics.delete(topic)
    text = subject.log_text()
    return stages, text[text.index("warm\n") + 5 : text.index("result {")] if functions else ""


def table(stages: Mapping[str, float]) -> str:
    """Return the stages as lines of text."""
    lines = [f"{'stage':10} {'own thread':>12} {'other threads':>14}   µs of CPU an event"]
    for stage in ORDER:
        own, others = stages.get(stage, 0.0), stages.get(f"{stage} (other threads)", 0.0)
        lines.append(f"{stage:10} {own:12.3f} {others:14.3f}")
    lines.append(f"{'rest':10} {stages['rest']:12.3f}")
    lines.append(f"{'whole':10} {stages['whole']:12.3f}   {1e6 / stages['whole']:.0f} events per CPU-second")
    return "\n".join(lines)
