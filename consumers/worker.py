"""One worker: the poll loop that announces ranges, has them stored, and commits.

The order that makes the delivery promise true; each step rests on the one before:

1. A range is cut from one partition's fetched messages: from ``next_offset`` to the last message taken. Small ranges
   of several partitions form a group, which travels as one convoy.
2. Its first offset is committed in Kafka, with its last offset and its group as intent. The consumer group refuses
   this from a worker that no longer owns the partition, so only one worker at a time can have announced a range. This
   commit also completes the previous range.
3. The pipeline stores dead letters, payloads, events and the manifest row, each under a token made of the range or of
   the group.
4. Only when the sink says that all is stored does ``next_offset`` move behind the range.
5. An idle partition commits ``next_offset`` with an empty intent.
6. A new owner that finds an intent reads exactly that range again and lets the sink complete it.

All of it runs on one thread; the pipeline's threads never touch Kafka.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import uuid4

import structlog

from consumers.backoff import Backoff
from consumers.backpressure import Backpressure
from consumers.boarding import boarded
from consumers.budget import Budget
from consumers.commits import Commits, Plan
from consumers.errors import BrokerUnavailable, InstanceFenced, OwnershipLost
from consumers.kafka import GroupConsumer
from consumers.metrics import Metrics
from consumers.ownership import Ownership
from consumers.partition import Convoy, Flight, PartitionState
from consumers.pipeline import Failed, Landed, Outcome, Pipeline, Settled
from consumers.progress import Progress
from consumers.settings import WorkerSettings
from sinks.sink import Manifest

log = structlog.get_logger(__name__)

_TURN_S = 0.1
_ANSWER_S = 0.002  # a coordinator nearby answers a commit about as fast
_ANSWER_DUE_S = 0.05
_ANSWER_LATE_S = 10.0
_CALM_S = 1.0
_HOUSEKEEPING_S = 1.0
_ADOPT_ATTEMPTS = 5


class Worker:
    """Consumes, has batches stored, and commits, until told to stop."""

    def __init__(
        self,
        kafka: GroupConsumer,
        pipeline: Pipeline,
        policy: WorkerSettings,
        *,
        metrics: Metrics,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kafka, self._pipeline, self._policy = kafka, pipeline, policy
        self._metrics, self._progress, self._clock = metrics, progress, clock
        self._budget = Budget(policy.memory_bytes)
        self._owned = Ownership(kafka, policy, self._budget, metrics, clock)
        self._commits = Commits(kafka, self._owned, metrics, clock)
        self._backpressure = Backpressure(kafka, self._owned, self._budget, metrics, clock)
        self._pace = pipeline.pace
        self._airborne: Counter[int] = Counter()
        self._convoys: set[Convoy] = set()
        self._flying = 0
        self._stop = threading.Event()
        self._housekeeping_at = 0.0
        self._leaving = False
        metrics.set("auditstream_budget_limit_bytes", policy.memory_bytes)

    def stop(self) -> None:
        """Ask the worker to finish; safe from any thread and from signal handlers."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.is_set()

    def owns(self, partition: int) -> bool:
        """Whether a partition is ours now; safe from any thread."""
        return partition in self._owned.states

    def run(self) -> None:
        """Work until ``stop`` is called.

        Raises:
            MustStop: Going on would break the delivery promise; the message says what to do.
            SinkError: The sink refuses for good.
        """
        self._kafka.subscribe(self)
        log.info("worker_started", topic=self._kafka.topic, group=self._policy.group_id)
        try:
            while not self._stop.is_set():
                self._try_turn()
        finally:
            self._leave()

    # -- partitions come and go (called by Kafka's client inside fetch and close) --

    def assigned(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Take partitions, read on where the group left off."""
        if not partitions:
            return {}
        offsets = self._adopt(partitions)
        self._backpressure.partitions_changed()
        self._metrics.count("auditstream_rebalances_total", len(partitions), kind="assigned")
        log.info("partitions_assigned", partitions=sorted(offsets))
        if offsets:
            self._ask(offsets)
        return offsets

    def revoked(self, partitions: Sequence[int]) -> None:
        """Finish what is under way for partitions that go, within one deadline for all of them."""
        if not partitions:
            return
        going = [s for p in partitions if (s := self._owned.states.get(p)) is not None]
        if not self._leaving:
            self._drain(going, self._policy.rebalance_budget_s)
        if not (self._leaving and self._kafka.unreachable):  # it would not arrive, and leaving would wait for it
            self._commits.part({s.partition: s for s in going if s.dirty and s.settled and s.flight is None})
        unfinished = [s.partition for s in going if s.flight is not None]
        self._owned.release(partitions)
        self._metrics.count("auditstream_rebalances_total", len(partitions), kind="revoked")
        log.info("partitions_revoked", partitions=sorted(partitions), left_to_replay=unfinished)

    def lost(self, partitions: Sequence[int]) -> None:
        """Forget partitions that already belong to somebody else."""
        self._owned.release(partitions)
        self._metrics.count("auditstream_rebalances_total", len(partitions), kind="lost")
        log.warning("partitions_lost", partitions=sorted(partitions))

    def _adopt(self, partitions: Sequence[int]) -> dict[int, int]:
        backoff = Backoff()
        for _ in range(_ADOPT_ATTEMPTS):
            try:
                return self._owned.adopt(partitions)
            except (BrokerUnavailable, OwnershipLost) as error:
                self._retrying("committed", error)
                if self._stop.wait(backoff.next_s()):
                    break
        # Without the committed offsets nothing may be read; the partitions are taken up as soon as they are known.
        return {}

    # -- one turn of the loop --

    def _try_turn(self) -> None:
        try:
            self._turn()
        except (BrokerUnavailable, OwnershipLost) as error:
            self._retrying("poll", error)
            self._stop.wait(_TURN_S)

    def _turn(self) -> None:
        self._fetch()
        self._collect()
        self._owned.rescue()
        self._backpressure.relieve()
        self._launch_granted(self._commits.collect())
        if self._commits.possible:
            self._replay()
            self._announce()
            self._settle_calm()
        self._housekeep()
        self._progress.turned(busy=self._owned.busy(), waiting_for=self._waiting_for())

    def _fetch(self) -> None:
        self._owned.apply_seeks(paused=self._backpressure.paused)
        if self._backpressure.may_poll():
            self._take_messages(self._kafka.fetch_messages, self._patience_s())
        elif self._expecting:
            self._take_messages(1, 0.0)  # answers to commits come by this way only; one message more is no harm

    def _take_messages(self, count: int, patience_s: float) -> None:
        if pieces := self._kafka.fetch(count, patience_s, self._owned.strand):
            self._owned.accept(pieces)

    @property
    def _expecting(self) -> bool:
        """Whether the answer to a commit is due any moment."""
        return self._commits.outstanding_s < _ANSWER_DUE_S

    def _patience_s(self) -> float:
        """Return how long to wait for messages: shorter while something else may have an answer for us."""
        if self._expecting:
            return _ANSWER_S
        return _TURN_S / 5 if self._airborne or self._owned.unsettled() else _TURN_S

    def _collect(self) -> None:
        """Take in what the pipeline finished; wait for it when nothing may be fetched."""
        wait_s = (_ANSWER_S if self._expecting else _TURN_S) if self._backpressure.holding else 0.0
        while (outcome := self._next_outcome(wait_s)) is not None:
            wait_s = 0.0
            self._take(outcome)

    def _next_outcome(self, wait_s: float) -> Outcome | None:
        try:
            return self._pipeline.outcomes.get(timeout=wait_s) if wait_s else self._pipeline.outcomes.get_nowait()
        except queue.Empty:
            return None

    def _take(self, outcome: Outcome) -> None:
        match outcome:
            case Failed(error=error):
                raise error
            case Settled():
                self._settle(outcome)
            case Landed(flight=flight, manifest=manifest):
                self._airborne -= Counter([flight.batch.range.partition])
                self._flying -= len(flight.batch.offsets)
                self._disband(flight)
                self._budget.give_back(flight.size_bytes)
                if manifest is None:
                    self._metrics.count("auditstream_messages_discarded_total", len(flight.batch.offsets))
                else:
                    self._land(flight, manifest)

    def _settle(self, settled: Settled) -> None:
        try:
            self._owned.settle(settled)
        except BrokerUnavailable as error:
            self._retrying("settle", error)
            self._ask(p for p in settled.epochs if p in self._owned.states)

    def _ask(self, partitions: Iterable[int]) -> None:
        """Ask, in the background, for what must be known of partitions before anything of them is stored."""
        asked = list(partitions)
        self._pipeline.settle(self._kafka.topic, self._owned.epochs(asked), self._owned.unvouched(asked))

    def _land(self, flight: Flight, manifest: Manifest) -> None:
        now = self._clock()
        report_landing(self._metrics, flight, manifest, now)
        self._progress.advanced()
        state = self._owned.states.get(manifest.range.partition)
        # The partition may have left and come back meanwhile: its new state knows nothing of this flight.
        if state is not None and state.flight is flight:
            state.land(manifest, now)

    # -- announcing --

    def _ready_to_fly(self) -> list[PartitionState]:
        """Return partitions with messages of which nothing is under way, not even from an earlier time of owning it."""
        states = self._owned.states.values()
        free = (s for s in states if s.settled and s.flight is None and s.announced is None)
        return [s for s in free if s.buffer and not self._airborne[s.partition]]

    def _seats(self) -> int:
        """Return how many further convoys the pipeline should be given: enough to keep it busy, no more."""
        return max(0, self._policy.insert_threads + 1 - len(self._convoys))

    def _replay(self) -> None:
        """Let ranges fly that an earlier owner announced; they need no announcement of ours."""
        for state in [s for s in self._ready_to_fly() if s.replay_due()][: self._seats()]:
            self._metrics.count("auditstream_replays_total", cause="intent")
            self._launch([state])

    def _announce(self) -> None:
        """Announce the ranges that are due, in one commit; they fly when Kafka has taken it."""
        now, pressed = self._clock(), self._budget.exhausted
        ready = [s for s in self._ready_to_fly() if not s.replaying]
        due = [s for s in ready if s.due(now, self._policy, age_s=self._pace.age_s, pressed=pressed)]
        if not due:
            return
        plans: dict[int, Plan] = {}
        for convoy in boarded(due, ready, self._policy, self._seats()):
            group = uuid4().hex if len(convoy) > 1 else ""
            plans |= {s.partition: Plan(s.last_planned(s.plan(self._policy)), group) for s in convoy}
        self._commits.announce(plans)

    def _settle_calm(self) -> None:
        if self._commits.possible:
            self._commits.settle(self._owned.committable(self._clock(), _CALM_S))

    def _launch_granted(self, states: Sequence[PartitionState]) -> None:
        """Let ranges fly whose announcement Kafka has taken, those of a group together."""
        groups: defaultdict[str, list[PartitionState]] = defaultdict(list)
        for state in states:
            groups[state.announced_group or f"partition {state.partition}"].append(state)
        for members in groups.values():
            self._launch(members)

    def _launch(self, states: Sequence[PartitionState]) -> None:
        flights: list[Flight] = []
        for state in sorted(states, key=lambda s: s.partition):
            count = state.plan(self._policy)
            state.dirty = True
            self._airborne[state.partition] += 1
            self._flying += count
            flights.append(state.take_off(count, self._clock()))
        convoy = Convoy(flights)
        self._convoys.add(convoy)
        self._pipeline.submit(convoy)

    def _disband(self, landed: Flight) -> None:
        """Note that a flight came to its end, and with the last one its convoy."""
        for convoy in [c for c in self._convoys if any(flight is landed for flight in c.flights)]:
            convoy.left -= 1
            if not convoy.left:
                self._convoys.discard(convoy)

    # -- health, leaving --

    def _waiting_for(self) -> str:
        if self._kafka.unreachable:
            return f"Kafka ({self._kafka.unreachable})"
        if _ANSWER_LATE_S < (late_s := self._commits.outstanding_s) < math.inf:
            return f"Kafka (no answer to a commit for {late_s:.0f} s)"
        if self._pipeline.outage:
            return self._pipeline.outage
        return "manifest and topic id" if self._owned.unsettled() else ""

    def _housekeep(self) -> None:
        now = self._clock()
        if now - self._housekeeping_at >= _HOUSEKEEPING_S:
            self._housekeeping_at = now
            self._reacquire()
            self._measure(now)

    def _reacquire(self) -> None:
        """Take up partitions that are ours although a commit for them was refused, or their offsets were not known."""
        missing = sorted(self._kafka.assignment() - self._owned.states.keys())
        if not missing:
            return
        for partition, offset in self._owned.adopt(missing).items():
            self._owned.states[partition].seek_to = offset
        self._backpressure.partitions_changed()
        log.info("partitions_reacquired", partitions=missing)
        self._ask(missing)

    def _measure(self, now: float) -> None:
        states, metrics = self._owned.states, self._metrics
        metrics.set("auditstream_messages_held", self._owned.buffered() + self._flying)
        metrics.set("auditstream_budget_held_bytes", self._budget.held_bytes)
        metrics.set("auditstream_partitions_assigned", len(states))
        metrics.set("auditstream_ready", float(self._progress.ready()[0]))
        self._owned.measure_lag(now)

    def _retrying(self, stage: str, error: BrokerUnavailable | OwnershipLost) -> None:
        self._metrics.count("auditstream_retries_total", stage=stage, reason=error.reason)
        log.warning("waiting", stage=stage, reason=error.reason, detail=str(error))

    def _drain(self, states: Sequence[PartitionState], budget_s: float) -> None:
        """Wait, under one deadline, for the flights of some partitions."""
        deadline = self._clock() + budget_s
        while any(s.flight for s in states) and (left := deadline - self._clock()) > 0:
            if (outcome := self._next_outcome(min(left, _TURN_S))) is not None:
                self._take(outcome)

    def _leave(self) -> None:
        """Finish the flights, commit, leave the group; what is only fetched is read again by the next owner."""
        deadline = self._clock() + self._policy.stop_budget_s
        try:
            if self._stop.is_set():
                self._drain(list(self._owned.states.values()), self._policy.stop_budget_s)
                self._settle_up(deadline)
        finally:
            self._leaving = True
            self._close()
            log.info("worker_stopped")

    def _settle_up(self, deadline: float) -> None:
        """Commit what is stored, and hear the answer, within a deadline; without it the next owner reads it back."""
        try:
            self._kafka.pause(self._kafka.assignment())
            while self._unsaid() and self._clock() < deadline and not self._kafka.unreachable:
                if self._commits.possible:
                    self._commits.settle(self._unsaid())
                self._kafka.fetch(1, _TURN_S / 5, self._owned.strand)
                self._commits.collect()
        except (BrokerUnavailable, OwnershipLost) as error:
            self._retrying("leave", error)
        except InstanceFenced as error:
            log.warning("left_fenced", detail=str(error))

    def _unsaid(self) -> dict[int, PartitionState]:
        return {p: s for p, s in self._owned.states.items() if s.dirty and s.settled and s.flight is None}

    def _close(self) -> None:
        try:
            self._kafka.close()
        except InstanceFenced as error:
            log.warning("left_fenced", detail=str(error))
        finally:
            self._pipeline.close()


def report_landing(metrics: Metrics, flight: Flight, manifest: Manifest, now: float) -> None:
    """Count a range that is stored."""
    fates = {"stored": manifest.stored, "dead_lettered": manifest.dead_lettered, "filtered": manifest.filtered}
    for fate, count in fates.items():
        metrics.count("auditstream_messages_total", count, fate=fate)
    metrics.count("auditstream_offsets_total", manifest.range.span)
    metrics.count("auditstream_offsets_skipped_total", manifest.skipped)
    metrics.count("auditstream_batches_total")
    metrics.observe("auditstream_batch_rows", len(flight.batch.offsets))
    metrics.observe("auditstream_batch_bytes", float(flight.batch.payloads.lengths.sum()))
    metrics.observe("auditstream_batch_age_seconds", now - flight.first_at)
