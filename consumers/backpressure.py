"""Fetching holds back while memory is short, and partitions are paused when that lasts."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from consumers.budget import Budget
from consumers.kafka import GroupConsumer
from consumers.metrics import Metrics
from consumers.ownership import Ownership

log = structlog.get_logger(__name__)

#: Pausing makes librdkafka drop what it has prefetched, so a short shortage is sat out without polling instead.
PAUSE_AFTER_S = 1.0


class Backpressure:
    """Decides whether the poll loop may fetch; used by the poll thread only."""

    def __init__(
        self, kafka: GroupConsumer, owned: Ownership, budget: Budget, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._kafka, self._owned, self._budget, self._metrics, self._clock = kafka, owned, budget, metrics, clock
        self._short_since: float | None = None
        self._paused = self._changed = False
        self._sole_replay: int | None = None

    def may_poll(self) -> bool:
        """Return whether to poll now: there is memory, or everything is paused so that polling brings nothing."""
        now = self._clock()
        if self._short_since is None and self._budget.exhausted:
            self._short_since = now
        elif self._short_since is not None and self._budget.roomy:
            self._short_since = None
            self._resume()
        elif self._short_since is None and self._changed:
            self._resume()
        if self._short_since is None or self._paused:
            return True
        if now - self._short_since >= PAUSE_AFTER_S:
            self._pause()
            return True
        return False

    @property
    def holding(self) -> bool:
        """Nothing is fetched and nothing is paused: wait for the pipeline instead."""
        return self._short_since is not None and not self._paused

    @property
    def paused(self) -> bool:
        """Partitions are paused."""
        return self._paused

    def partitions_changed(self) -> None:
        """Note that partitions came: some may be paused from before and others not, so both is said again."""
        self._paused, self._changed = False, True

    def relieve(self) -> None:
        """When unfinished replays fill the budget, let one of them through and read the others again later."""
        states = self._owned.states
        sole = states.get(self._sole_replay) if self._sole_replay is not None else None
        if sole is None or not sole.replaying:
            self._sole_replay = None
        # Paused is enough: between room and exhaustion nothing would ever be fetched that ends a replay.
        if not self._paused or self._sole_replay is not None:
            return
        stuck = [s for s in states.values() if s.replaying and s.settled and s.flight is None and not s.replay_due()]
        if not stuck or any(s.flight for s in states.values()):
            return
        keep = max(stuck, key=lambda s: s.buffer_bytes)
        for state in stuck:
            if state is not keep:
                self._owned.rewind(state)
        self._sole_replay = keep.partition
        self._kafka.resume([keep.partition])
        log.info("replay_alone", partition=keep.partition)

    def _pause(self) -> None:
        self._paused, self._sole_replay = True, None
        self._metrics.count("auditstream_pauses_total")
        log.info("fetching_paused", held_bytes=self._budget.held_bytes, limit_bytes=self._budget.limit_bytes)
        self._kafka.pause(self._kafka.assignment())

    def _resume(self) -> None:
        if self._paused or self._changed:
            self._paused, self._changed, self._sole_replay = False, False, None
            self._kafka.resume(self._kafka.assignment())
