"""From messages to rows: decode, validate, enrich, build; every offset of the range ends in exactly one place."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from consumers.arrays import int64s, select_rows
from consumers.batch import Decoded, Int32s, JointMessages, MessageBatch, Messages, Payloads, Rejection
from consumers.dead_letters import DeadLetterOffice, RefusedRows
from consumers.decode import Decoder
from consumers.decode.errors import DecodeError, explain
from consumers.decode.framing import read_frames
from consumers.enrich import ActorDirectory, AddressDatabases, Enricher, RetentionPolicy
from consumers.enrich.meanings import Meanings
from consumers.metrics import Metrics
from consumers.rows import DICTIONARY_COLUMNS, Accepted, event_table, payload_table
from consumers.settings import EnrichSettings, ValidateSettings, WorkerSettings
from consumers.validation import Flag, Validator, Verdict
from consumers.writers import Writers
from schemas.columns import avro_schema
from sinks.digest import flatten
from sinks.settings import RetentionSettings
from sinks.sink import JointRows, SinkBatch

Stage = Literal["decode", "validate", "enrich", "build"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BatchUnbalanced(RuntimeError):
    """A batch whose rows do not add up to its range: a defect, never to be stored."""

    def __init__(self, range_: object, events: int, dead_letters: int, filtered: int, skipped: int) -> None:
        super().__init__(
            f"{range_}: {events} events + {dead_letters} dead letters + {filtered} filtered + {skipped} skipped "
            "do not add up to the range"
        )


@dataclass(frozen=True, slots=True)
class Processed:
    """What became of a batch, or of several that were processed together.

    Attributes:
        sink_batches: The rows to store, of each batch.
        joint: The rows of all of them.
        timings: Seconds per stage.
        rejections: One per dead letter, ascending by position.
        flags: Number of stored events per flag.
        oldest_occurred_at: Earliest time of a stored event, None when nothing is stored.
        newest_occurred_at: Latest time of a stored event, None when nothing is stored.
    """

    sink_batches: Sequence[SinkBatch]
    joint: JointRows
    timings: Mapping[Stage, float]
    rejections: Sequence[Rejection]
    flags: Mapping[Flag, int]
    oldest_occurred_at: datetime | None
    newest_occurred_at: datetime | None

    @property
    def sink_batch(self) -> SinkBatch:
        """The rows to store, of a batch that was processed alone."""
        (only,) = self.sink_batches
        return only

    def report(self, metrics: Metrics) -> None:
        """Count stage times, rejections and flags, once the batch is stored."""
        for stage, seconds in self.timings.items():
            metrics.observe("auditstream_stage_seconds", seconds, stage=stage)
        for (stage_name, reason), count in Counter((r.stage, r.reason_code) for r in self.rejections).items():
            metrics.count("auditstream_dead_letters_total", count, stage=stage_name, reason=reason)
        for flag, count in self.flags.items():
            metrics.count("auditstream_flags_total", count, flag=flag.value)


class Processor:
    """Turns batches of messages into batches of rows.

    Used by one thread only. Nothing of a batch is kept when ``process`` raises, so it can be called again.

    Args:
        writer_schema: Returns the writer schema of a registry id; raises what ``schemas.errors`` names.
        catalogue: The known event codes.
        validate: Which events are refused.
        enrich: Where places and networks come from.
        retention: How long rows live.
        worker: Limits of messages and dead letters, codes to leave out.
        directory: Names of actors; somebody else keeps it up to date.
        worker_version: Version to note in dead letters.
        clock: Seconds, by which the stages are timed.

    Raises:
        RetentionInvalid: The retention settings contradict themselves.
    """

    def __init__(
        self,
        writer_schema: Callable[[int], dict[str, Any]],
        catalogue: Meanings,
        *,
        validate: ValidateSettings,
        enrich: EnrichSettings,
        retention: RetentionSettings,
        worker: WorkerSettings,
        directory: ActorDirectory,
        worker_version: str,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._decoder = Decoder(avro_schema("audit_event", 1), DICTIONARY_COLUMNS)
        self._writers = Writers(self._decoder, writer_schema)
        self._validator = Validator(validate, catalogue, worker.drop_event_codes)
        self._policy = RetentionPolicy(retention)
        self._databases = AddressDatabases(enrich.city_db, enrich.asn_db, enrich.reload_s)
        self._enricher = Enricher(catalogue, self._policy, self._databases, directory)
        self._worker, self._retention, self._worker_version = worker, retention, worker_version

    def process(self, batch: MessageBatch) -> Processed:
        """Decode, validate and enrich a batch, and build its rows.

        Raises:
            RegistryUnavailable: A writer schema could not be asked for; call again later.
            RegistryRefused: The registry cannot be used with these settings.
        """
        return self.process_together([batch])

    def process_together(self, batches: Sequence[MessageBatch]) -> Processed:
        """Process small batches at the price of one.

        Args:
            batches: Batches of different partitions of one topic, ascending by partition.

        Raises:
            RegistryUnavailable: See ``process``.
            RegistryRefused: See ``process``.
        """
        batch: Messages = batches[0]
        values = batches[0].payloads
        if len(batches) > 1:
            batch, values = JointMessages(batches), Payloads.joined([b.payloads for b in batches])
        frames = read_frames(values)
        refused = self._writers.learn(frames.schema_ids)
        clock = _Clock(self._clock)
        decoded = self._decoder.decode(values, frames, self._worker.message_bytes)
        clock.lap("decode")
        verdict = self._validator.validate(decoded, batch.timestamps_ms)
        accepted = _accepted(decoded, verdict, frames.schema_ids)
        clock.lap("validate")
        enriched = self._enricher.enrich(accepted.columns, decoded.generations)
        accepted.flags[enriched.chain_unusable] |= Flag.IP_CHAIN_INVALID.bit
        accepted.flags[enriched.retained.unknown_class] |= Flag.UNKNOWN_RETENTION_CLASS.bit
        clock.lap("enrich")
        events = event_table(batch, accepted, enriched)
        payloads = payload_table(events, accepted, enriched, self._policy.payload_days)
        rejections = sorted([*_undecoded(decoded, frames.schema_ids, refused), *verdict.rejections], key=_position)
        office = self._office(batch, frames.schema_ids)
        joint = JointRows(events, payloads, office.table(rejections))
        known_ids = np.where(frames.errors == 0, frames.schema_ids, -1)
        sink_batches = _shared_out(batches, joint, office, known_ids)
        check_balance(sink_batches, verdict.filtered)
        clock.lap("build")
        return Processed(sink_batches, joint, clock.seconds, rejections, _flag_counts(accepted), *_ends(accepted))

    def close(self) -> None:
        """Close the address databases. Idempotent."""
        self._databases.close()

    def _office(self, batch: Messages, schema_ids: Int32s) -> DeadLetterOffice:
        return DeadLetterOffice(
            batch,
            schema_ids,
            self._retention.dead_letter_days,
            self._worker.dead_letter_raw_bytes,
            self._worker_version,
        )


class _Clock:
    """Measures laps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.seconds: dict[Stage, float] = {}
        self._now, self._last = now, now()

    def lap(self, stage: Stage) -> None:
        now = self._now()
        self.seconds[stage], self._last = now - self._last, now


def check_balance(batches: Sequence[SinkBatch], filtered: int) -> None:
    """Prove that every offset of the batches' ranges is accounted for.

    Args:
        batches: The batches.
        filtered: Messages that a setting left out, of all of them.

    Raises:
        BatchUnbalanced: An offset is not, or is twice.
    """
    for batch in batches:
        parts = (batch.events.num_rows, batch.dead_letters.num_rows, batch.filtered, batch.skipped)
        if sum(parts) != batch.range.span or min(parts) < 0:
            raise BatchUnbalanced(batch.range, *parts)
    if sum(b.filtered for b in batches) != filtered:
        rows = sum(b.events.num_rows for b in batches), sum(b.dead_letters.num_rows for b in batches)
        raise BatchUnbalanced([b.range for b in batches], *rows, filtered, sum(b.skipped for b in batches))


def _shared_out(
    batches: Sequence[MessageBatch], joint: JointRows, office: DeadLetterOffice, schema_ids: Int32s
) -> list[SinkBatch]:
    """Give each batch its rows; they lie in the order of the batches, which is that of their partitions."""
    ends = [b.range.partition for b in batches]
    events, payloads, letters = (_cut(rows, ends) for rows in (joint.events, joint.payloads, joint.dead_letters))
    starts = list(accumulate((len(b.offsets) for b in batches), initial=0))
    shares = []
    for number, batch in enumerate(batches):
        first, rows = starts[number], (events[number].num_rows, letters[number].num_rows)
        ids = np.unique(schema_ids[first : starts[number + 1]]).tolist()
        shares.append(
            SinkBatch(
                range=batch.range,
                events=events[number],
                payloads=payloads[number],
                dead_letters=letters[number],
                filtered=len(batch.offsets) - sum(rows),
                skipped=batch.range.span - len(batch.offsets),
                schema_ids=[schema_id for schema_id in ids if schema_id >= 0],
                dead_letter_source=RefusedRows(office, events[number], first, batch.offsets),
            )
        )
    return shares


def _cut(rows: pa.Table, partitions: Sequence[int]) -> list[pa.Table]:
    """Cut rows where another partition begins; both ascend."""
    if len(partitions) == 1:
        return [rows]
    column = flatten(rows["kafka_partition"]).to_numpy()
    ends = np.searchsorted(column, partitions, side="right").tolist()
    return [rows.slice(first, last - first) for first, last in pairwise([0, *ends])]


def _accepted(decoded: Decoded, verdict: Verdict, schema_ids: Int32s) -> Accepted:
    rows: Int32s | slice = verdict.accepted
    columns = decoded.columns
    if len(verdict.accepted) == len(decoded.rows):
        rows = slice(None)  # all of them, as a rule: nothing is copied
    else:
        columns = _selected(decoded, verdict.accepted)
    positions = decoded.rows[rows]
    return Accepted(
        positions=positions,
        columns=columns,
        event_ids=verdict.event_ids[rows],
        received_ms=verdict.received_ms[rows],
        skew_ms=verdict.skew_ms[rows],
        flags=verdict.flags[rows],
        schema_ids=schema_ids[positions],
    )


def _selected(decoded: Decoded, rows: Int32s) -> dict[str, pa.Array]:
    return {
        path: array.slice(0, len(rows)) if path in decoded.blank else select_rows(array, rows)
        for path, array in decoded.columns.items()
    }


def _undecoded(decoded: Decoded, schema_ids: Int32s, refused: Mapping[int, tuple[str, str]]) -> list[Rejection]:
    """Return a rejection for every message that did not decode."""
    return [
        _undecoded_one(p, int(decoded.errors[p]), int(schema_ids[p]), refused)
        for p in np.flatnonzero(decoded.errors).tolist()
    ]


def _undecoded_one(position: int, error: int, schema_id: int, refused: Mapping[int, tuple[str, str]]) -> Rejection:
    code, text = DecodeError(error).name, explain(error)
    if error == DecodeError.schema_unknown:
        code, text = refused[schema_id]
    return Rejection(position, "decode", code, text)


def _position(rejection: Rejection) -> int:
    return rejection.position


def _flag_counts(accepted: Accepted) -> dict[Flag, int]:
    counts = {flag: int(np.count_nonzero(accepted.flags & flag.bit)) for flag in Flag} if accepted.flags.any() else {}
    return {flag: count for flag, count in counts.items() if count}


def _ends(accepted: Accepted) -> tuple[datetime | None, datetime | None]:
    times = int64s(accepted.columns["occurred_at"])
    if not len(times):
        return None, None
    oldest, newest = (_EPOCH + timedelta(microseconds=int(t)) for t in (times.min(), times.max()))
    return oldest, newest
