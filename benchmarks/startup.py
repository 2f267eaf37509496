"""How long a worker takes from its start as a process to its first poll."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.ground import Ground
from benchmarks.plan import Plan

_TIMEOUT_S = 120.0
_LOOK_EVERY_S = 0.005


def measure(ground: Ground, plan: Plan) -> dict[str, object]:
    """Start a worker several times with the decoder's machine code on disk, against a served database."""
    engine, database = ground.serve_database()
    topic, _ = ground.backlog(4)
    environment = ground.worker_environment(topic, database)
    times = [_start_s(ground, environment) for _ in range(plan.starts + 1)]
    engine.close()
    ground.topics.delete(topic)
    warm = times[1:]  # the first one may compile, and fills the page cache
    return {"first_s": round(times[0], 2), "fastest_s": round(min(warm), 2), "median_s": round(median(warm), 2)}


def _start_s(ground: Ground, environment: dict[str, str]) -> float:
    started = time.monotonic()
    worker = ground.start_worker(environment)
    # The worker logs this line just before it polls for the first time.
    while '"worker_started"' not in worker.log_text():
        if not worker.running or time.monotonic() - started > _TIMEOUT_S:
            raise TimeoutError(f"the worker did not start; its log ends with:\n{worker.log_tail()}")
        time.sleep(_LOOK_EVERY_S)
    took = time.monotonic() - started
    if code := worker.terminate(60.0):
        raise RuntimeError(f"the worker ended with {code}:\n{worker.log_tail()}")
    return took
