"""What is written to Kafka: intents before a range is stored, progress after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog

from consumers.backoff import Backoff
from consumers.errors import BrokerUnavailable, ConsumerError, OwnershipLost
from consumers.intents import Intent
from consumers.kafka import GroupConsumer
from consumers.metrics import Metrics
from consumers.ownership import Ownership
from consumers.partition import PartitionState

log = structlog.get_logger(__name__)


class Commits:
    """Announces ranges and commits progress; used by the poll thread only."""

    def __init__(self, kafka: GroupConsumer, owned: Ownership, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._kafka, self._owned, self._metrics, self._clock = kafka, owned, metrics, clock
        self._backoff = Backoff(first_s=0.05, most_s=2.0)
        self._not_before = 0.0

    @property
    def possible(self) -> bool:
        """Whether the last refusal is long enough ago to ask again."""
        return self._clock() >= self._not_before

    def announce(self, lasts: Mapping[int, int]) -> list[int]:
        """Commit the start of one range per partition with its last offset as intent.

        Args:
            lasts: Planned last offset by partition.

        Returns:
            The partitions whose range may now be stored.
        """
        states = self._owned.states
        return self._commit({p: (states[p].next_offset, self._intent(states[p], last)) for p, last in lasts.items()})

    def settle(self, states: Mapping[int, PartitionState]) -> None:
        """Commit progress past the last range, with an empty intent or the one that is still to be replayed."""
        offsets = {p: (s.next_offset, self._intent(s, s.pending_last)) for p, s in states.items()}
        for partition in self._commit(offsets):
            states[partition].dirty = False

    @staticmethod
    def _intent(state: PartitionState, last: int | None) -> str:
        return Intent(state.topic_id, last).encode()

    def _commit(self, offsets: Mapping[int, tuple[int, str]]) -> list[int]:
        if not offsets:
            return []
        started = time.perf_counter()
        refused = self._kafka.commit(offsets)
        self._metrics.observe("auditstream_commit_seconds", time.perf_counter() - started)
        self._metrics.count("auditstream_commits_total", len(offsets) - len(refused), result="accepted")
        if refused:
            self._refused(refused)
        else:
            self._backoff.reset()
        return [p for p in offsets if p not in refused]

    def _refused(self, refused: Mapping[int, ConsumerError]) -> None:
        self._metrics.count("auditstream_commits_total", len(refused), result="refused")
        lost = {p: e.reason for p, e in refused.items() if isinstance(e, OwnershipLost)}
        if lost:
            # No callback need follow when they are still ours: the worker then reads the committed offsets again.
            log.warning("commit_refused", partitions=lost)
            self._owned.release(lost)
        for error in refused.values():
            if isinstance(error, BrokerUnavailable):
                self._metrics.count("auditstream_retries_total", stage="commit", reason=error.reason)
                log.warning("waiting", stage="commit", reason=error.reason, detail=str(error))
                self._not_before = self._clock() + self._backoff.next_s()
                return
