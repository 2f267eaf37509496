"""How a batch is stored exactly once: the one protocol that every sink follows, over a store that does the input and output.

The numbered order, and why a stop after any step does no harm:

1. dead letters, 2. payloads, 3. events, each one block with the token of range and table. A stop in between leaves
   whole blocks; ``complete`` reads back which offsets are there and adds the others.
4. the manifest, after everything it describes is acknowledged. Where it exists, the range is finished.

A store that crashes may remember a token whose rows it lost. So a repetition under the original token is followed by
reading back, and what is missing then goes in under a token that was never used. The original token comes first,
because the late insert of a stale worker carries it and is then dropped. The new token is made of the attempt's number
and of what is missing, not at random: a stale worker that wakes up in the middle of a repetition inserts what somebody
else has filled meanwhile under the same token, and is dropped as well.

Ranges of several partitions may be written together, as one block per table under a token of their group: the number
of parts, which is what small batches cost a database, then no longer grows with the number of partitions. Each of them
is completed on its own nevertheless, perhaps by different workers, and for each the order is the same: first under the
group's token, so that the late block of a stale worker is dropped wherever this range has rows in it, even though it
holds rows of other ranges as well. What is missing after that goes in under tokens of the range. So whoever writes a
group cannot believe the answer that it is stored: somebody who completes one of its ranges may have used up the token.
That is noted, before the token is used; the writer looks for the note before its manifests say that rows are stored,
and once more after them, and completes its ranges if there is one.

Rows that the database refuses are found by halving the block. A refused row is in no table until its dead letter is
stored, so a stop in between finds it missing and refuses it again; halves carry tokens made of their offsets, so two
workers that halve alike do not store them twice.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import numpy as np
import pyarrow as pa

from sinks.clickhouse_errors import RowsRefused
from sinks.digest import flatten
from sinks.errors import SinkStopped, SinkUnavailable
from sinks.manifest import describe, manifest_row
from sinks.rows import DEAD_LETTERS, EVENTS, MANIFESTS, PAYLOADS, Offsets, offsets_of, plain, schema_of, without
from sinks.sink import JointRows, Manifest, OffsetRange, SinkBatch, StoredOffsets, WriteGroup

#: Attempts to fill what a read-back finds missing: under the original token, then under new ones. A crash of the store
#: can use up a token without its rows, and every further completion begins with the first one again, so there are
#: more than any series of crashes will use up.
ROUNDS = 8
#: Refused rows of a block up to which each becomes a dead letter, whatever the share.
FEW_REFUSED = 8

Clock = Callable[[], int]
#: What the first attempt at a range was made under.
Original = OffsetRange | WriteGroup


def now_ms() -> int:
    """Return the time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Store(Protocol):
    """Tables that take blocks under tokens and give rows back. Methods may be called from several threads."""

    def insert(self, table: str, rows: pa.Table, token: str, name: str) -> None:
        """Store a block unless its token is known.

        Args:
            table: The table.
            rows: The block.
            token: Deduplication token.
            name: Name of the range or group on whose behalf it is stored, for ``settle``.

        Raises:
            RowsRefused: Because of a value in it; nothing of it is stored.
            SinkUnavailable: Unknown whether it is stored.
            SinkStopped: Refused for good.
        """
        ...

    def read(self, table: str, range_: OffsetRange) -> pa.Table:
        """Return the rows of a range in offset order, without ``ingested_at``."""
        ...

    def offsets(self, table: str, range_: OffsetRange) -> Sequence[int]:
        """Return the offsets of a range that a table holds, ascending."""
        ...

    def manifest(self, range_: OffsetRange) -> Manifest | None:
        """Return the manifest of exactly this range, None when it is not stored."""
        ...

    def manifests(self, ranges: Sequence[OffsetRange]) -> Mapping[OffsetRange, Manifest]:
        """Return the manifests of exactly these ranges that are stored; they are of one topic, one of a partition."""
        ...

    def heads(self, topic_id: UUID, partitions: Sequence[int]) -> Mapping[int, Manifest]:
        """Return the newest manifest of each partition that has one."""
        ...

    def last_offsets(self, table: str, topic_id: UUID, firsts: Mapping[int, int]) -> Mapping[int, int]:
        """Return the highest offset in a table of each partition that has any from a given one on."""
        ...

    def break_up(self, group: WriteGroup, range_: OffsetRange) -> None:
        """Note that a range of a group is completed by somebody else than the group's writer.

        Raises:
            SinkUnavailable: Unknown whether it is noted.
        """
        ...

    def is_broken(self, group: WriteGroup) -> bool:
        """Whether that was noted of any range of a group."""
        ...

    def settle(self, names: Sequence[str]) -> None:
        """Return when no earlier insert on behalf of these ranges and groups runs any more, ending those that do.

        Raises:
            SinkUnavailable: One still runs, or the store could not be asked.
        """
        ...


@dataclass(slots=True)
class _Refusals:
    """Offsets whose rows were refused while a block was halved."""

    table: str
    limit: int
    reasons: dict[int, str] = field(default_factory=dict)

    def add(self, offset: int, error: RowsRefused) -> None:
        self.reasons[offset] = error.detail
        if len(self.reasons) > self.limit:
            raise SinkStopped(
                f"{len(self.reasons)} rows of one block for {self.table} were refused, so the table is at fault and not its rows: {error.detail}",
                code=error.code,
            ) from error


@dataclass(frozen=True, slots=True)
class _Missing:
    """Rows of a batch that a read-back did not find."""

    dead_letters: pa.Table
    payloads: pa.Table
    events: pa.Table

    def any(self) -> bool:
        return bool(self.dead_letters.num_rows or self.payloads.num_rows or self.events.num_rows)

    def digest(self) -> str:
        sha = hashlib.sha256()
        for _, rows in _steps(self.dead_letters, self.payloads, self.events):
            sha.update(offsets_of(rows).tobytes() + b"|")
        return sha.hexdigest()[:16]


class Delivery:
    """Writes batches into a store, each offset once.

    Args:
        store: Where rows go.
        clock: Time in milliseconds since 1970 UTC; tells which rows have expired.
    """

    def __init__(self, store: Store, clock: Clock = now_ms) -> None:
        self._store = store
        self._clock = clock

    def write(self, batch: SinkBatch, previous_sha256: bytes) -> Manifest:
        """See ``sinks.sink.Sink.write``."""
        range_ = batch.range
        try:
            for table, rows in _steps(batch.dead_letters, batch.payloads, batch.events):
                self._insert_twice(table, rows, range_.token(table), range_.name)
        except RowsRefused:
            return self._finish(batch, previous_sha256, range_)
        manifest = _described(batch, previous_sha256)
        self._store.insert(MANIFESTS, manifest_row(manifest), range_.token(MANIFESTS), range_.name)
        return manifest

    def write_together(
        self, batches: Sequence[SinkBatch], rows: JointRows, previous_sha256: Sequence[bytes], group: WriteGroup
    ) -> Sequence[Manifest]:
        """See ``sinks.sink.Sink.write_together``."""
        try:
            self._insert_joint(rows, group)
        except RowsRefused:
            return [self._finish(b, p, group) for b, p in zip(batches, previous_sha256, strict=True)]
        if not self._store.is_broken(group):
            manifests = [_described(b, p) for b, p in zip(batches, previous_sha256, strict=True)]
            told = pa.concat_tables(map(manifest_row, manifests)).combine_chunks()
            self._store.insert(MANIFESTS, told, group.token(MANIFESTS), group.name)
            if not self._store.is_broken(group):
                return manifests
        # Somebody completes one of the ranges: blocks may have been dropped.
        return self.complete_together(batches, rows, previous_sha256, group)

    def complete_together(
        self, batches: Sequence[SinkBatch], rows: JointRows, previous_sha256: Sequence[bytes], group: WriteGroup
    ) -> Sequence[Manifest]:
        """See ``sinks.sink.Sink.complete_together``."""
        self._store.settle([group.name, *(b.range.name for b in batches)])
        known = self._store.manifests([b.range for b in batches])
        if not known:
            # As a rule nothing is stored yet or all of it: one block under the group's token spares one for each range.
            with suppress(RowsRefused):
                self._insert_joint(rows, group)
        return [
            known.get(batch.range) or self._finish(batch, previous, group)
            for batch, previous in zip(batches, previous_sha256, strict=True)
        ]

    def complete(self, batch: SinkBatch, previous_sha256: bytes, group: WriteGroup | None = None) -> Manifest:
        """See ``sinks.sink.Sink.complete``."""
        if group is None:
            self._store.settle([batch.range.name])
            return self._store.manifest(batch.range) or self._finish(batch, previous_sha256, batch.range)
        self._store.settle([batch.range.name, group.name])
        if manifest := self._store.manifest(batch.range):
            return manifest
        self._store.break_up(group, batch.range)
        return self._finish(batch, previous_sha256, group)

    def stored(self, range_: OffsetRange) -> StoredOffsets:
        """See ``sinks.sink.Sink.stored``."""
        events, dead, payloads = (self._store.offsets(table, range_) for table in (EVENTS, DEAD_LETTERS, PAYLOADS))
        return StoredOffsets(events, dead, payloads, self._store.manifest(range_))

    def heads(self, topic_id: UUID, partitions: Sequence[int]) -> Mapping[int, Manifest]:
        """See ``sinks.sink.Sink.heads``."""
        return self._store.heads(topic_id, partitions)

    def last_offsets(self, topic_id: UUID, firsts: Mapping[int, int]) -> Mapping[int, int]:
        """See ``sinks.sink.Sink.last_offsets``."""
        last: dict[int, int] = {}
        for table in (EVENTS, DEAD_LETTERS, PAYLOADS):
            for partition, offset in self._store.last_offsets(table, topic_id, firsts).items():
                last[partition] = max(offset, last.get(partition, offset))
        return last

    def _insert_joint(self, rows: JointRows, group: WriteGroup) -> None:
        for table, block in _steps(rows.dead_letters, rows.payloads, rows.events):
            self._insert_twice(table, block, group.token(table), group.name)

    def _insert_twice(self, table: str, rows: pa.Table, token: str, name: str) -> None:
        """Insert a block; when its rows are refused, once more under the same token, as some refusals pass."""
        try:
            self._store.insert(table, rows, token, name)
        except RowsRefused:
            self._store.insert(table, rows, token, name)

    def _finish(self, batch: SinkBatch, previous_sha256: bytes, original: Original) -> Manifest:
        """Put in what is missing: first under the original token, which a stale worker may come with, then under others.

        Another range of the same group may have used up the group's token without these rows. Then they are still
        missing after the first attempt, and only rows of this range are put in under the names of this range.
        """
        for attempt in range(ROUNDS):
            missing = self._missing(batch, expired_too=attempt == 0)
            if not missing.any():
                return self._describe_stored(batch, previous_sha256, original)
            if attempt == 0:
                self._fill(batch, missing, original, "")
            else:
                self._fill(batch, missing, batch.range, f":{attempt}:{missing.digest()}")
        if self._missing(batch, expired_too=False).any():
            raise SinkUnavailable(
                "incomplete", f"rows of {batch.range} are missing after {ROUNDS} attempts", retry_after_s=2.0
            )
        return self._describe_stored(batch, previous_sha256, original)

    def _missing(self, batch: SinkBatch, *, expired_too: bool) -> _Missing:
        """Return what is in neither table.

        Rows that expired before they were read back may be gone rightly: they are put in once and then not waited for.
        """
        stored = self.stored(batch.range)
        done = {*stored.events, *stored.dead_letters}
        payloads = without(without(batch.payloads, stored.payloads), stored.dead_letters)
        rows = (without(batch.dead_letters, done), payloads, without(batch.events, done))
        return _Missing(*rows) if expired_too else _Missing(*(self._living(r) for r in rows))

    def _living(self, rows: pa.Table) -> pa.Table:
        return rows.filter(pa.array(_expiry_ms(rows) > self._clock())) if rows.num_rows else rows

    def _fill(self, batch: SinkBatch, missing: _Missing, original: Original, salt: str) -> None:
        refused: dict[int, str] = {}
        for table, rows in _steps(missing.dead_letters, missing.payloads, missing.events):
            left = without(rows, refused)
            refused |= self._insert_rows(batch.range, table, left, token=original.token(table) + salt, salt=salt)
        if refused:
            rows = batch.dead_letter_source.dead_letters(refused, stage="insert", reason_code="row_refused")
            token = f"{batch.range.token(DEAD_LETTERS)}:refused:{min(refused)}-{max(refused)}:{len(refused)}{salt}"
            self._insert_twice_or_stop(rows, token, batch.range)

    def _insert_rows(
        self, range_: OffsetRange, table: str, rows: pa.Table, *, token: str, salt: str
    ) -> Mapping[int, str]:
        """Insert rows of one table, leaving out those that are refused; return the reasons by offset."""
        if rows.num_rows == 0:
            return {}
        if table == DEAD_LETTERS:
            self._insert_twice_or_stop(rows, token, range_)
            return {}
        refusals = _Refusals(table, max(FEW_REFUSED, rows.num_rows // 2))
        try:
            self._insert_twice(table, rows, token, range_.name)
        except RowsRefused as error:
            # Named after the range: offsets alone would be the same in another range of the group.
            self._halve(range_, rows, range_.token(table) + salt, refusals=refusals, error=error)
        return refusals.reasons

    def _halve(
        self, range_: OffsetRange, rows: pa.Table, token: str, *, refusals: _Refusals, error: RowsRefused
    ) -> None:
        offsets = offsets_of(rows)
        if len(offsets) == 1:
            refusals.add(int(offsets[0]), error)
            return
        middle = len(offsets) // 2
        for part in (rows.slice(0, middle), rows.slice(middle)):
            within = offsets_of(part)
            try:
                self._store.insert(refusals.table, part, f"{token}:{within[0]}-{within[-1]}:{len(within)}", range_.name)
            except RowsRefused as inner:
                self._halve(range_, part, token, refusals=refusals, error=inner)

    def _insert_twice_or_stop(self, rows: pa.Table, token: str, range_: OffsetRange) -> None:
        try:
            self._insert_twice(DEAD_LETTERS, rows, token, range_.name)
        except RowsRefused as error:
            raise SinkStopped(
                f"{DEAD_LETTERS} refuses rows, and there is no other place for them: {error.detail}", code=error.code
            ) from error

    def _describe_stored(self, batch: SinkBatch, previous_sha256: bytes, original: Original) -> Manifest:
        """Store the manifest of what is there, not of what this attempt decoded: enrichment may have changed meanwhile."""
        events = self._store.read(EVENTS, batch.range)
        dead = list(self._store.offsets(DEAD_LETTERS, batch.range))
        expired_dead = self._expired(batch.dead_letters, [*offsets_of(events).tolist(), *dead])
        expired = self._expired(batch.events, [*offsets_of(events).tolist(), *dead])
        manifest = describe(
            batch.range,
            _with_expired(events, expired),
            dead_lettered=len(dead) + expired_dead.num_rows,
            skipped=batch.skipped,
            schema_ids=batch.schema_ids,
            previous_sha256=previous_sha256,
        )
        return self._store_manifest(manifest, original)

    def _expired(self, rows: pa.Table, found: Sequence[int]) -> pa.Table:
        absent = without(rows, found)
        return absent.filter(pa.array(_expiry_ms(absent) <= self._clock())) if absent.num_rows else absent

    def _store_manifest(self, manifest: Manifest, original: Original) -> Manifest:
        range_ = manifest.range
        for attempt in range(ROUNDS):
            token = f"{range_.token(MANIFESTS)}:{attempt}" if attempt else original.token(MANIFESTS)
            self._store.insert(MANIFESTS, manifest_row(manifest), token, range_.name)
            if stored := self._store.manifest(range_):
                return stored
        raise SinkUnavailable(
            "incomplete", f"the manifest of {range_} is missing after {ROUNDS} attempts", retry_after_s=2.0
        )


def _described(batch: SinkBatch, previous_sha256: bytes) -> Manifest:
    return describe(
        batch.range,
        batch.events,
        dead_lettered=batch.dead_letters.num_rows,
        skipped=batch.skipped,
        schema_ids=batch.schema_ids,
        previous_sha256=previous_sha256,
    )


def _steps(dead_letters: pa.Table, payloads: pa.Table, events: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    for table, rows in ((DEAD_LETTERS, dead_letters), (PAYLOADS, payloads), (EVENTS, events)):
        if rows.num_rows:
            yield table, rows


def _expiry_ms(rows: pa.Table) -> Offsets:
    millis: Offsets = flatten(rows["expires_at"]).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return millis


def _with_expired(stored: pa.Table, expired: pa.Table) -> pa.Table:
    if expired.num_rows == 0:
        return stored
    names = schema_of(EVENTS).names
    rows = pa.concat_tables([plain(EVENTS, stored.select(names)), plain(EVENTS, expired)])
    return rows.take(pa.array(np.argsort(offsets_of(rows), kind="stable")))
