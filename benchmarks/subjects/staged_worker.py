"""The worker with all its stages on one thread, so that each stage's CPU time can be told from the others'."""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from auditstream.logs import configure_logging
from auditstream.service import WorkerService
from auditstream.settings import load_settings
from benchmarks.subjects.reporting import Moment, expect_rows, tell, tell_warm, wait_for_merges
from benchmarks.subjects.stopwatch import Stopwatch
from benchmarks.subjects.worker import Watched
from consumers.decode import prepare
from schemas.registry import open_registry
from sinks import open_sink
from sinks.connection import Connections
from sinks.migrate import Migrator

_FUNCTIONS = 40

T = TypeVar("T")


class Inline(ThreadPoolExecutor):
    """Runs what is submitted at once, on the caller's thread."""

    def submit(self, fn: Callable[..., T], /, *args: object, **kwargs: object) -> Future[T]:
        """Run it."""
        done: Future[T] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class StagedService(WorkerService):
    """A service whose pipeline has no threads of its own."""

    profile: cProfile.Profile | None = None

    def run(self) -> None:
        """Work on this thread only, under a profiler if there is one."""
        pipeline = self.worker._pipeline
        pipeline._prepare, pipeline._write = Inline(1), Inline(1)
        if self.profile:
            self.profile.runcall(super().run)
        else:
            super().run()


def measure(warm: int, count: int, *, functions: bool) -> dict[str, float]:
    """Store ``warm`` events, then measure the stages of ``count`` further ones, in microseconds an event."""
    settings = load_settings()
    configure_logging(settings.log)
    prepare()
    connections = Connections(settings.clickhouse)
    Migrator(connections).migrate()
    sink, registry, watch = open_sink(settings.clickhouse), open_registry(settings.registry), Stopwatch()
    service = StagedService(settings, sink, registry)
    service.profile = cProfile.Profile() if functions else None
    with watch.attached(), service:
        watched = Watched(service)
        watched.wait_stored(warm)
        wait_for_merges(connections)
        watch.reset()
        before = Moment.now()
        tell_warm()
        watched.wait_stored(warm + count)
        after = Moment.now()
        stages = _microseconds(watch, before.until(after, count), count)
        expect_rows(connections, warm + count)
        watched.stop()
    sink.close()
    if service.profile:
        print(top(service.profile))
    return stages


def _microseconds(watch: Stopwatch, whole: dict[str, float], count: int) -> dict[str, float]:
    measured = {f"{stage}": seconds for stage, seconds in watch.own_s.items()}
    measured |= {f"{stage} (other threads)": seconds for stage, seconds in watch.others_s.items()}
    measured["rest"] = whole["cpu_s"] - sum(measured.values())
    measured["whole"] = whole["cpu_s"]
    return {name: round(seconds / count * 1e6, 3) for name, seconds in measured.items()}


def top(profile: cProfile.Profile) -> str:
    """Return the functions that took most time in themselves."""
    text = io.StringIO()
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(_FUNCTIONS)
    return text.getvalue()


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warm", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--functions", action="store_true")
    given = parser.parse_args()
    tell(measure(given.warm, given.count, functions=given.functions))


if __name__ == "__main__":
    main()
