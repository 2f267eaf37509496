"""The stages behind the poll thread: one thread decodes, validates and enriches, a few threads write."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from consumers.backoff import Backoff
from consumers.batch import MessageBatch
from consumers.errors import BrokerUnavailable, MustStop, StageFailed, TopicReplaced
from consumers.metrics import Metrics
from consumers.pace import Pace
from consumers.partition import Convoy, Flight
from consumers.topics import TopicDirectory
from schemas.errors import RegistryUnavailable
from sinks.errors import SinkError, SinkUnavailable
from sinks.rows import joint_rows
from sinks.sink import JointRows, Manifest, Sink, SinkBatch, WriteGroup

log = structlog.get_logger(__name__)


class ProcessedBatch(Protocol):
    """What a processor makes of batches."""

    @property
    def sink_batches(self) -> Sequence[SinkBatch]:
        """The rows to store, of each batch."""
        ...

    @property
    def joint(self) -> JointRows:
        """The rows of all of them."""
        ...

    def report(self, metrics: Metrics) -> None:
        """Count stage times, rejections and flags, once the batch is stored."""
        ...


class BatchProcessor(Protocol):
    """Turns messages into rows; used by one thread only."""

    def process_together(self, batches: Sequence[MessageBatch]) -> ProcessedBatch:
        """Decode, validate and enrich batches.

        Args:
            batches: Batches of different partitions of one topic, ascending by partition.

        Raises:
            RegistryUnavailable: A schema could not be asked for; call again later.
        """
        ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What the worker must know of partitions before it stores anything of them.

    Attributes:
        epochs: The partitions asked about, each with the epoch of its state.
        topic_id: Id of their topic.
        heads: Newest manifest row of those that have one.
        strays: Last stored offset behind the head, -1 for none, of those partitions that were asked about.
    """

    epochs: Mapping[int, int]
    topic_id: UUID
    heads: dict[int, Manifest]
    strays: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Landed:
    """A flight came to its end.

    Attributes:
        flight: The flight.
        manifest: What is stored, None when it was cancelled.
    """

    flight: Flight
    manifest: Manifest | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Something happened after which the worker must stop."""

    error: Exception


Outcome = Settled | Landed | Failed


class Pipeline:
    """Runs flights and hands their outcomes back to the poll thread.

    Convoys run side by side; whoever submits sees to it that a partition has one flight at a time.

    Attributes:
        outcomes: What came to its end, in the order in which it did.
        pace: How long batches wait for more; hears of a database that has too many parts.
    """

    def __init__(
        self,
        processor: BatchProcessor,
        sink: Sink,
        topics: TopicDirectory,
        *,
        metrics: Metrics,
        pace: Pace,
        write_threads: int,
    ) -> None:
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self.pace = pace
        self._outages: dict[str, str] = {}
        self._processor, self._sink, self._topics, self._metrics = processor, sink, topics, metrics
        self._prepare = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self._write = ThreadPoolExecutor(write_threads, thread_name_prefix="write")
        self._stopping = False

    def submit(self, convoy: Convoy) -> None:
        """Start the flights of a convoy; the outcome is one ``Landed`` for each, or ``Failed``."""
        self._prepare.submit(self._guarded, "prepare", convoy.flights, partial(self._run_prepare, convoy.flights))

    @property
    def outage(self) -> str:
        """What is being waited for now, empty when nothing is; for health."""
        return ", ".join(sorted(self._outages.values()))

    def settle(self, topic: str, epochs: Mapping[int, int], unvouched: Mapping[int, int]) -> None:
        """Ask for topic id, manifest heads and stray rows; the outcome is ``Settled`` or ``Failed``.

        Args:
            topic: The topic.
            epochs: The partitions, each with the epoch of its state.
            unvouched: Next offset of those behind which the sink may hold rows that no intent names.
        """
        self._write.submit(self._settle, topic, dict(epochs), dict(unvouched))

    def close(self) -> None:
        """Stop waiting for outages; flights under way finish their current attempt, others never begin."""
        self._stopping = True
        self._prepare.shutdown(wait=False, cancel_futures=True)
        self._write.shutdown(wait=False, cancel_futures=True)

    def _guarded(self, stage: str, flights: Sequence[Flight], step: Callable[[], None]) -> None:
        try:
            step()
        except (MustStop, SinkError) as error:
            self.outcomes.put(Failed(error))
        except Exception as error:
            log.exception("stage_failed", stage=stage)
            self.outcomes.put(Failed(StageFailed(stage, ", ".join(map(_name, flights)), error)))

    def _run_prepare(self, flights: Sequence[Flight]) -> None:
        backoff = Backoff()
        while flights := [flight for flight in flights if not self._dropped(flight, "registry")]:
            try:
                processed = self._processor.process_together([flight.batch for flight in flights])
            except RegistryUnavailable as error:
                wait_s = backoff.next_s(error.retry_after_s)
                self._wait(flights[0], "registry", "registry", str(error), wait_s=wait_s, attempt=backoff.attempts)
                continue
            self._outages.pop("registry", None)
            step = partial(self._run_write, flights, processed)
            self._write.submit(self._guarded, "insert", flights, step)
            return

    def _run_write(self, flights: Sequence[Flight], processed: ProcessedBatch) -> None:
        self._refuse_replaced(flights)
        first, flying = flights[0], list(zip(flights, processed.sink_batches, strict=True))
        rows, replay, backoff = processed.joint, first.replay, Backoff()
        while left := [(flight, batch) for flight, batch in flying if not self._dropped(flight, "insert")]:
            if len(left) < len(flying):
                flying, rows = left, joint_rows([batch for _, batch in left])
            started = time.perf_counter()
            try:
                manifests = self._store(flying, rows, first.group, replay=replay)
            except SinkUnavailable as error:
                if error.reason == "too_many_parts":
                    self.pace.too_many_parts()
                replay = True  # part of it may be stored: from now on read back and complete
                self._metrics.count("auditstream_replays_total", cause="uncertain")
                wait_s = backoff.next_s(error.retry_after_s)
                self._wait(flying[0][0], "insert", error.reason, str(error), wait_s=wait_s, attempt=backoff.attempts)
                continue
            self._outages.pop("insert", None)
            self.pace.stored()
            self._metrics.observe("auditstream_stage_seconds", time.perf_counter() - started, stage="insert")
            processed.report(self._metrics)
            for (flight, _), manifest in zip(flying, manifests, strict=True):
                self._metrics.observe_latency(time.time_ns() // 1_000_000, flight.batch.timestamps_ms)
                self.outcomes.put(Landed(flight, manifest))
            return

    def _store(
        self, flying: Sequence[tuple[Flight, SinkBatch]], rows: JointRows, group_id: str, *, replay: bool
    ) -> Sequence[Manifest]:
        """Have batches stored: those of a group together; a single one, or what an earlier owner announced, alone."""
        batches, previous = [batch for _, batch in flying], [flight.previous_sha256 for flight, _ in flying]
        group = WriteGroup(group_id) if group_id else None
        if replay and len(batches) == 1:
            return [self._sink.complete(batches[0], previous[0], group)]
        if group is not None:
            store = self._sink.complete_together if replay else self._sink.write_together
            return store(batches, rows, previous, group)
        (batch,), (digest,) = batches, previous
        return [self._sink.write(batch, digest)]

    def _dropped(self, flight: Flight, stage: str) -> bool:
        """Whether a flight may not be tried any further; if so it has come to its end."""
        if not self._ended(flight):
            return False
        self._outages.pop(stage, None)
        self.outcomes.put(Landed(flight, None))
        return True

    def _refuse_replaced(self, flights: Sequence[Flight]) -> None:
        """Make sure that the messages of a convoy come from the topic that its ranges name.

        Kafka's client reads on in a new topic of the same name without a word. The id is asked for after the messages
        were fetched, so messages of a new topic cannot be taken for those of the old one.

        Raises:
            TopicReplaced: They may come from a new topic.
        """
        last = max(flights, key=lambda f: f.cut_at)
        range_, backoff = last.batch.range, Backoff()
        while not all(map(self._ended, flights)):
            try:
                found = self._topics.topic_id(range_.topic, last.cut_at)
            except BrokerUnavailable as error:
                if error.reason == "UNKNOWN_TOPIC_OR_PART":
                    break  # deleted and not created again: what was fetched is from the old one
                wait_s = backoff.next_s()
                self._wait(last, "topic", error.reason, str(error), wait_s=wait_s, attempt=backoff.attempts)
                continue
            if any(found != flight.batch.range.topic_id for flight in flights):
                raise TopicReplaced(range_.topic)
            break
        self._outages.pop("topic", None)

    def _settle(self, topic: str, epochs: Mapping[int, int], unvouched: Mapping[int, int]) -> None:
        backoff = Backoff()
        while not self._stopping:
            try:
                self._topics.refuse_compacted(topic)
                topic_id = self._topics.topic_id(topic)
                heads = dict(self._sink.heads(topic_id, list(epochs)))
                strays = self._strays(topic_id, heads, unvouched)
            except (BrokerUnavailable, SinkUnavailable) as error:
                self._tell("settle", error.reason, str(error))
                time.sleep(min(1.0, backoff.next_s()))
                continue
            except Exception as error:  # handed to the poll thread, which stops the worker
                self.outcomes.put(
                    Failed(error if isinstance(error, MustStop | SinkError) else StageFailed("settle", topic, error))
                )
                return
            self._outages.pop("settle", None)
            self.outcomes.put(Settled(epochs, topic_id, heads, strays))
            return

    def _strays(self, topic_id: UUID, heads: Mapping[int, Manifest], unvouched: Mapping[int, int]) -> Mapping[int, int]:
        """Return the last offset that is stored behind the manifest's head, -1 for none, by partition."""
        firsts = {p: max(o, heads[p].range.next_offset if p in heads else 0) for p, o in unvouched.items()}
        found = self._sink.last_offsets(topic_id, firsts) if firsts else {}
        return {partition: found.get(partition, -1) for partition in firsts}

    def _ended(self, flight: Flight) -> bool:
        return self._stopping or flight.cancelled.is_set()

    def _wait(self, flight: Flight, stage: str, reason: str, detail: str, *, wait_s: float, attempt: int) -> None:
        self._tell(stage, reason, detail, attempt=attempt, wait_s=round(wait_s, 2), batch=_name(flight))
        flight.cancelled.wait(wait_s)

    def _tell(self, stage: str, reason: str, detail: str, **more: object) -> None:
        self._outages[stage] = f"{stage} ({reason})"
        self._metrics.count("auditstream_retries_total", stage=stage, reason=reason)
        log.warning("waiting", stage=stage, reason=reason, detail=detail, **more)


def _name(flight: Flight) -> str:
    r = flight.batch.range
    return f"{r.topic}-{r.partition} {r.first}-{r.last}"
