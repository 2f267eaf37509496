"""How a measured process tells its figures to whoever started it: lines on standard output."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from sinks.connection import Connections

_MERGE_PATIENCE_S = 120.0
_CALM_S = 1.0


class CountMismatch(RuntimeError):
    """Not every event arrived, so no figure may be told."""


def tell_warm() -> None:
    """Say that the measured work may begin."""
    print("warm", flush=True)


def tell(result: dict[str, float]) -> None:
    """Tell the figures."""
    print("result " + json.dumps(result), flush=True)


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time of this process.

    Attributes:
        cpu_s: CPU seconds of all its threads so far.
        wall_s: Seconds of a monotonic clock.
    """

    cpu_s: float
    wall_s: float

    @classmethod
    def now(cls) -> Moment:
        """Return the present one."""
        return cls(time.process_time(), time.perf_counter())

    def until(self, later: Moment, events: int) -> dict[str, float]:
        """Return what ``events`` events cost from here to a later moment."""
        cpu, wall = later.cpu_s - self.cpu_s, later.wall_s - self.wall_s
        return {"events": events, "cpu_s": round(cpu, 3), "wall_s": round(wall, 3)}


def wait_for_merges(connections: Connections) -> None:
    """Wait until the engine of this process has merged what it wants to merge, at most two minutes."""
    deadline = time.monotonic() + _MERGE_PATIENCE_S
    calm_since = time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - calm_since < _CALM_S:
        if connections.rows("SELECT count() AS n FROM system.merges")[0]["n"]:
            calm_since = time.monotonic()
        time.sleep(0.1)


def hold_merges(connections: Connections) -> None:
    """Let the engine finish its merges, and begin none until ``merged_cpu_s``."""
    wait_for_merges(connections)
    for table in _merged_tables(connections):
        connections.command(f"SYSTEM STOP MERGES {table}")


def merged_cpu_s(connections: Connections, count: int, rows: int) -> float:
    """Merge every table partition into one part; return the CPU seconds that fall to the measured rows.

    In service every row is merged again and again, about as often whatever the size of the blocks it came in. How much
    of that falls into a short run is chance, so each subject is charged one merge of all of its rows.

    Args:
        connections: The database, merges held.
        count: Rows that were measured.
        rows: Rows that are stored, those of warming up included.
    """
    before = time.process_time()
    for table in _merged_tables(connections):
        connections.command(f"SYSTEM START MERGES {table}")
        connections.command(f"OPTIMIZE TABLE {table} FINAL")
    return round((time.process_time() - before) * count / rows, 3)


def _merged_tables(connections: Connections) -> list[str]:
    return [f"`{connections.settings.database}`.{table}" for table in ("audit_events", "audit_payloads")]


def expect_rows(connections: Connections, count: int) -> None:
    """Prove that as many events are stored as were sent, and none as a dead letter.

    Raises:
        CountMismatch: It is otherwise.
    """
    database = connections.settings.database
    found = {
        table: connections.rows(f"SELECT count() AS n FROM `{database}`.{table}")[0]["n"]  # noqa: S608 - our names
        for table in ("audit_events", "dead_letters")
    }
    if found != {"audit_events": count, "dead_letters": 0}:
        raise CountMismatch(f"expected {count} events and no dead letter, found {found}")


def wait_for(reached: Callable[[], bool], timeout_s: float, every_s: float = 0.05) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done after {timeout_s:g} s")
        time.sleep(every_s)
