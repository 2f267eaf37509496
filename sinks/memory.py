"""The sink in memory, for tests of those who build on auditstream and for trial runs: same promise, nothing kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import pyarrow as pa

from sinks.delivery import Clock, Delivery, now_ms
from sinks.manifest import ROW_SCHEMA, manifest_of
from sinks.rows import ACTORS, DEAD_LETTERS, EVENTS, MANIFESTS, PAYLOADS, insertable, offsets_of, plain, schema_of
from sinks.sink import Manifest, OffsetRange, WriteGroup

_MOST_OFFSET = 2**62

#: Called with table, rows and token around each insert; what it raises is what the caller of the sink sees.
InsertHook = Callable[[str, pa.Table, str], None]


def _nothing(_table: str, _rows: pa.Table, _token: str) -> None:
    """Do nothing around an insert."""


@dataclass(slots=True)
class MemoryStore:
    """Tables in memory as ``sinks.delivery`` needs them: blocks, and the tokens seen.

    Attributes:
        before_insert: Hook before a block is stored; raising ``RowsRefused`` or ``SinkUnavailable`` keeps it out.
        after_insert: Hook after it; raising ``SinkUnavailable`` is an answer that got lost.
    """

    before_insert: InsertHook = _nothing
    after_insert: InsertHook = _nothing
    _blocks: dict[str, list[pa.Table]] = field(default_factory=dict)
    _tokens: set[str] = field(default_factory=set)
    _broken: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def insert(self, table: str, rows: pa.Table, token: str, name: str) -> None:
        """See ``sinks.delivery.Store.insert``."""
        del name
        block = rows if table == MANIFESTS else plain(table, insertable(table, rows))
        self.before_insert(table, rows, token)
        with self._lock:
            if not token or token not in self._tokens:
                self._tokens.add(token)
                self._blocks.setdefault(table, []).append(block)
        self.after_insert(table, rows, token)

    def delete(self, table: str, offsets: Sequence[int]) -> None:
        """Take rows away and remember their tokens all the same, as a database does that crashed at the wrong moment."""
        with self._lock:
            rows = self.all(table)
            kept = rows.filter(pa.array(~np.isin(offsets_of(rows), np.array(offsets, np.int64))))
            self._blocks[table] = [kept]

    def all(self, table: str) -> pa.Table:
        """Return all rows of a table."""
        with self._lock:
            blocks = list(self._blocks.get(table, ()))
        empty = ROW_SCHEMA.empty_table() if table == MANIFESTS else plain(table, schema_of(table).empty_table())
        return pa.concat_tables([empty, *blocks])

    def read(self, table: str, range_: OffsetRange) -> pa.Table:
        """See ``sinks.delivery.Store.read``."""
        rows = self.all(table)
        topic = np.array([value == range_.topic_id.bytes for value in rows["kafka_topic_id"].to_pylist()], bool)
        offsets, partitions = offsets_of(rows), rows["kafka_partition"].to_numpy()
        inside = topic & (partitions == range_.partition) & (offsets >= range_.first) & (offsets <= range_.last)
        found = rows.filter(pa.array(inside))
        return found.take(pa.array(np.argsort(offsets_of(found), kind="stable")))

    def offsets(self, table: str, range_: OffsetRange) -> Sequence[int]:
        """See ``sinks.delivery.Store.offsets``."""
        return tuple(offsets_of(self.read(table, range_)).tolist())

    def all_manifests(self) -> Sequence[Manifest]:
        """Return all manifests in the order in which they were stored."""
        return [manifest_of(row) for row in self.all(MANIFESTS).to_pylist()]

    def manifest(self, range_: OffsetRange) -> Manifest | None:
        """See ``sinks.delivery.Store.manifest``."""
        return self.manifests([range_]).get(range_)

    def manifests(self, ranges: Sequence[OffsetRange]) -> Mapping[OffsetRange, Manifest]:
        """See ``sinks.delivery.Store.manifests``."""
        return {m.range: m for m in reversed(self.all_manifests()) if m.range in set(ranges)}

    def heads(self, topic_id: UUID, partitions: Sequence[int]) -> Mapping[int, Manifest]:
        """See ``sinks.delivery.Store.heads``."""
        mine = [
            m for m in self.all_manifests() if m.range.topic_id == topic_id and m.range.partition in set(partitions)
        ]
        return {m.range.partition: m for m in sorted(mine, key=lambda m: m.range.last)}

    def last_offsets(self, table: str, topic_id: UUID, firsts: Mapping[int, int]) -> Mapping[int, int]:
        """See ``sinks.delivery.Store.last_offsets``."""
        ranges = {p: OffsetRange("", topic_id, p, first, max(first, _MOST_OFFSET)) for p, first in firsts.items()}
        return {p: found[-1] for p, range_ in ranges.items() if (found := self.offsets(table, range_))}

    def break_up(self, group: WriteGroup, range_: OffsetRange) -> None:
        """See ``sinks.delivery.Store.break_up``."""
        del range_
        self._broken.add(group.id)

    def is_broken(self, group: WriteGroup) -> bool:
        """See ``sinks.delivery.Store.is_broken``."""
        return group.id in self._broken

    def settle(self, names: Sequence[str]) -> None:
        """See ``sinks.delivery.Store.settle``; an insert has ended when its call has returned."""
        del names


class MemorySink(Delivery):
    """Stores batches in memory; the promise is that of ``sinks.sink.Sink``, until the process ends.

    Args:
        store: The tables, with hooks where faults shall happen; new and empty ones by default.
        clock: Time in milliseconds since 1970 UTC.
    """

    def __init__(self, store: MemoryStore | None = None, clock: Clock = now_ms) -> None:
        self.store = store or MemoryStore()
        super().__init__(self.store, clock)

    @property
    def events(self) -> pa.Table:
        """All rows of ``audit_events``."""
        return self._shown(EVENTS)

    @property
    def payloads(self) -> pa.Table:
        """All rows of ``audit_payloads``."""
        return self._shown(PAYLOADS)

    @property
    def dead_letters(self) -> pa.Table:
        """All rows of ``dead_letters``."""
        return self._shown(DEAD_LETTERS)

    @property
    def manifests(self) -> Sequence[Manifest]:
        """All manifests in the order in which they were stored."""
        return self.store.all_manifests()

    def actors(self) -> Sequence[dict[str, object]]:
        """Return the card with the highest offset of each tenant and actor."""
        cards = sorted(self._shown(ACTORS).to_pylist(), key=lambda card: int(card["kafka_offset"]))
        return list({(c["tenant_id"], c["actor_id"]): c for c in cards}.values())

    def _shown(self, table: str) -> pa.Table:
        return self.store.all(table).cast(schema_of(table))

    def check(self) -> None:
        """See ``sinks.sink.Sink.check``; there is nothing that could be set up wrongly."""

    def write_actors(self, cards: pa.Table) -> None:
        """See ``sinks.sink.Sink.write_actors``."""
        if cards.num_rows:
            self.store.insert(ACTORS, cards, "", ACTORS)

    def close(self) -> None:
        """See ``sinks.sink.Sink.close``; there is nothing to release."""
