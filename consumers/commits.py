"""What is written to Kafka: intents before a range is stored, progress after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from consumers.backoff import Backoff
from consumers.errors import BrokerUnavailable, ConsumerError, OwnershipLost
from consumers.intents import Intent
from consumers.kafka import GroupConsumer, Offsets
from consumers.metrics import Metrics
from consumers.ownership import Ownership
from consumers.partition import PartitionState

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Commit:
    """One commit whose answer is outstanding.

    Attributes:
        offsets: Next offset and metadata by partition.
        states: The partitions as they were; one that left and came back meanwhile has another state.
        asked_at: Monotonic seconds.
    """

    offsets: Offsets
    states: Mapping[int, PartitionState]
    asked_at: float


class Plan(NamedTuple):
    """A range that is about to be stored.

    Attributes:
        last: Its last offset.
        group: Id of the group with which it is stored, empty for none.
    """

    last: int
    group: str


class Commits:
    """Announces ranges and commits progress, one commit at a time; used by the poll thread only.

    A commit is sent, and the loop goes on; ``collect`` takes in the answer.
    """

    def __init__(self, kafka: GroupConsumer, owned: Ownership, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._kafka, self._owned, self._metrics, self._clock = kafka, owned, metrics, clock
        self._backoff = Backoff(first_s=0.05, most_s=2.0)
        self._not_before = 0.0
        self._outstanding: _Commit | None = None

    @property
    def outstanding_s(self) -> float:
        """For how many seconds an answer is waited for; infinite when none is."""
        return math.inf if self._outstanding is None else self._clock() - self._outstanding.asked_at

    @property
    def possible(self) -> bool:
        """Whether nothing is outstanding and the last refusal is long enough ago to ask again."""
        return self._outstanding is None and self._clock() >= self._not_before

    def announce(self, plans: Mapping[int, Plan]) -> None:
        """Send the start of one range per partition with its last offset, and its group, as intent.

        Args:
            plans: What is planned by partition; it stands in ``PartitionState.announced`` until the answer is here.
        """
        states = {p: self._owned.states[p] for p in plans}
        if self._send({p: (s.next_offset, self._intent(s, *plans[p])) for p, s in states.items()}, states):
            for partition, state in states.items():
                state.announced, state.announced_group = plans[partition]

    def settle(self, states: Mapping[int, PartitionState]) -> None:
        """Send progress past the last range, with an empty intent or the one that is still to be replayed."""
        self._send(self._progress(states), states)

    def part(self, states: Mapping[int, PartitionState]) -> None:
        """Send progress for partitions that are about to go, without waiting for an answer.

        The coordinator hears of it before it hears that they went. Should it not arrive, the next owner finds the range
        stored that the last intent names.
        """
        offsets = self._progress({p: s for p, s in states.items() if s.announced is None})
        if offsets:
            try:
                self._kafka.send_commit(offsets)
            except (OwnershipLost, BrokerUnavailable) as error:
                log.info("parted_uncommitted", partitions=sorted(offsets), reason=error.reason)

    def collect(self) -> list[PartitionState]:
        """Take in answers; return the partitions whose announced range may now be stored."""
        granted: list[PartitionState] = []
        for answer in self._kafka.answers():
            asked = self._outstanding
            if asked is None or asked.offsets != answer.offsets:
                continue  # said in parting
            self._outstanding = None
            self._metrics.observe("auditstream_commit_seconds", self._clock() - asked.asked_at)
            granted += self._judge(asked, answer.refused)
        return granted

    def _judge(self, asked: _Commit, refused: Mapping[int, ConsumerError]) -> list[PartitionState]:
        self._metrics.count("auditstream_commits_total", len(asked.offsets) - len(refused), result="accepted")
        granted = [s for p, s in self._current(asked).items() if p not in refused and s.announced is not None]
        for partition, state in self._current(asked).items():
            if state.announced is None and partition not in refused and state.flight is None:
                state.dirty = state.next_offset != asked.offsets[partition][0]
            if partition in refused:
                state.announced = None
        if refused:
            self._refused(refused)
        else:
            self._backoff.reset()
        return granted

    def _current(self, asked: _Commit) -> dict[int, PartitionState]:
        return {p: s for p, s in asked.states.items() if self._owned.states.get(p) is s}

    def _progress(self, states: Mapping[int, PartitionState]) -> dict[int, tuple[int, str]]:
        return {p: (s.next_offset, self._intent(s, s.pending_last, s.pending_group)) for p, s in states.items()}

    @staticmethod
    def _intent(state: PartitionState, last: int | None, group: str) -> str:
        return Intent(state.topic_id, last, group).encode()

    def _send(self, offsets: Offsets, states: Mapping[int, PartitionState]) -> bool:
        if not offsets:
            return False
        try:
            self._kafka.send_commit(offsets)
        except (OwnershipLost, BrokerUnavailable) as error:
            self._refused(dict.fromkeys(offsets, error))
            return False
        self._outstanding = _Commit(offsets, states, self._clock())
        return True

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
