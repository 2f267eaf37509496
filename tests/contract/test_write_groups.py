"""What every sink promises of ranges that are written together: each of them is stored once, whoever completes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pytest

from schemas.columns import event_columns
from sink_subjects import UNWANTED, StoppingStore, Subject, assert_each_offset_once, mixed
from sinks.delivery import Delivery, Store
from sinks.digest import digest_by_day
from sinks.errors import SinkUnavailable
from sinks.manifest import NO_PREVIOUS
from sinks.rows import DEAD_LETTERS, EVENTS, MANIFESTS, PAYLOADS, joint_rows
from sinks.sink import Manifest, OffsetRange, SinkBatch, WriteGroup
from sinks.testing import batch

#: The engine in this process is the one that is served: once is enough.
pytestmark = pytest.mark.parametrize("subject", ["memory", "served"], indirect=True, scope="module")

STEPS = (DEAD_LETTERS, PAYLOADS, EVENTS, MANIFESTS)
#: Rows of some offsets live shorter, so that a block spreads over two table partitions.
SHORT = {"retention_days": 30, "retention_class": "api"}


class CountingStore(StoppingStore):
    """The tables, which note the token of every insert."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, 0, stored=True)
        self.tokens: list[str] = []

    def insert(self, table: str, block: pa.Table, token: str, name: str) -> None:
        self.tokens.append(token)
        super().insert(table, block, token, name)


class IntrudedStore(StoppingStore):
    """The tables behind a worker in whose midst somebody else acts: before its n-th statement, reads among them."""

    def __init__(self, store: Store, statement: int, act: Callable[[], object]) -> None:
        super().__init__(store, 0, stored=True)
        self.before, self.act = statement, act

    def _count(self) -> None:
        self.before -= 1
        if self.before == 0:
            self.act()

    def insert(self, table: str, block: pa.Table, token: str, name: str) -> None:
        self._count()
        super().insert(table, block, token, name)

    def offsets(self, table: str, range_: OffsetRange) -> Sequence[int]:
        self._count()
        return super().offsets(table, range_)

    def read(self, table: str, range_: OffsetRange) -> pa.Table:
        self._count()
        return super().read(table, range_)

    def break_up(self, group: WriteGroup, range_: OffsetRange) -> None:
        self._count()
        super().break_up(group, range_)

    def is_broken(self, group: WriteGroup) -> bool:
        self._count()
        return super().is_broken(group)

    def manifest(self, range_: OffsetRange) -> Manifest | None:
        self._count()
        return super().manifest(range_)

    def manifests(self, ranges: Sequence[OffsetRange]) -> Mapping[OffsetRange, Manifest]:
        self._count()
        return super().manifests(ranges)


@pytest.fixture
def group() -> WriteGroup:
    return WriteGroup(uuid4().hex)


def members(span: OffsetRange, values: Mapping[int, Mapping[str, Any]] | None = None) -> list[SinkBatch]:
    """Return batches of three partitions with the same offsets; the second one has rows that the others have not."""
    first, second, third = (replace(span, partition=p) for p in (3, 4, 5))
    short = dict.fromkeys((103, 115), SHORT)
    return [
        mixed(first, values=values or {}),
        batch(second, payloads=[103, 104], values={**short, 100: {"actor_id": "else"}}),
        batch(third, dead=[100, 119]),
    ]


def write(sink: Delivery, batches: Sequence[SinkBatch], group: WriteGroup) -> Sequence[Manifest]:
    return sink.write_together(batches, joint_rows(batches), [NO_PREVIOUS] * len(batches), group)


def write_until_killed(
    subject: Subject, batches: Sequence[SinkBatch], group: WriteGroup, insert: int, *, stored: bool
) -> None:
    with pytest.raises(SinkUnavailable):
        write(Delivery(StoppingStore(subject.store, insert, stored=stored)), batches, group)


def expect_once(subject: Subject, batches: Sequence[SinkBatch]) -> None:
    for one in batches:
        found = subject.sink.stored(one.range)
        assert_each_offset_once(found, one)
        assert len(found.payloads) == one.payloads.num_rows
        assert found.manifest is not None
        assert found.manifest.digests == digest_by_day(one.events, event_columns())
        counts = (found.manifest.stored, found.manifest.dead_lettered, found.manifest.filtered, found.manifest.skipped)
        assert counts == (one.events.num_rows, one.dead_letters.num_rows, one.filtered, one.skipped)
    # Not one row more than these, in none of the tables.
    for table in (EVENTS, DEAD_LETTERS, PAYLOADS):
        everything = {one.range.partition: subject.store.read(table, one.range).num_rows for one in batches}
        wanted = {EVENTS: "events", DEAD_LETTERS: "dead_letters", PAYLOADS: "payloads"}[table]
        assert everything == {one.range.partition: getattr(one, wanted).num_rows for one in batches}


def test_ranges_of_a_group_are_one_block_per_table_and_have_a_manifest_each(
    subject: Subject, span: OffsetRange, group: WriteGroup
) -> None:
    batches, store = members(span), CountingStore(subject.store)
    manifests = write(Delivery(store), batches, group)
    assert store.tokens == [group.token(table) for table in STEPS]
    expect_once(subject, batches)
    assert [subject.sink.stored(one.range).manifest for one in batches] == list(manifests)
    assert subject.sink.heads(span.topic_id, [3, 4, 5]) == {m.range.partition: m for m in manifests}


@pytest.mark.parametrize("stored", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("insert", [1, 2, 3, 4], ids=STEPS)
def test_a_group_cut_short_at_any_insert_is_completed_range_by_range(
    subject: Subject, span: OffsetRange, group: WriteGroup, insert: int, stored: bool
) -> None:
    batches = members(span)
    write_until_killed(subject, batches, group, insert, stored=stored)
    for one in (batches[1], batches[2], batches[0]):
        manifest = subject.sink.complete(one, NO_PREVIOUS, group)
        assert subject.sink.complete(one, NO_PREVIOUS, group) == manifest
    expect_once(subject, batches)


@pytest.mark.parametrize("insert", [1, 2, 3, 4], ids=STEPS)
def test_the_worker_that_wrote_a_group_completes_it_together(
    subject: Subject, span: OffsetRange, group: WriteGroup, insert: int
) -> None:
    batches = members(span)
    write_until_killed(subject, batches, group, insert, stored=insert % 2 == 0)
    previous = [NO_PREVIOUS] * len(batches)
    manifests = subject.sink.complete_together(batches, joint_rows(batches), previous, group)
    assert subject.sink.complete_together(batches, joint_rows(batches), previous, group) == manifests
    expect_once(subject, batches)


@pytest.mark.parametrize("insert", [1, 2, 3, 4], ids=STEPS)
@pytest.mark.parametrize("done", [1, 2, 3])
def test_the_late_block_of_a_stale_worker_is_dropped_wherever_a_range_was_completed(
    subject: Subject, span: OffsetRange, group: WriteGroup, insert: int, done: int
) -> None:
    batches = members(span)
    write_until_killed(subject, batches, group, insert, stored=False)
    for one in batches[:done]:
        subject.sink.complete(one, NO_PREVIOUS, group)
    stale = write(Delivery(subject.store), batches, group)
    assert len(stale) == len(batches)
    for one in batches[done:]:
        subject.sink.complete(one, NO_PREVIOUS, group)
    expect_once(subject, batches)


@pytest.mark.parametrize("statement", range(1, 16))
def test_a_stale_worker_may_wake_up_in_the_middle_of_a_completion(
    subject: Subject, span: OffsetRange, group: WriteGroup, statement: int
) -> None:
    batches = members(span)
    write_until_killed(subject, batches, group, 1, stored=False)
    stale = Delivery(subject.store)
    intruded = IntrudedStore(subject.store, statement, lambda: write(stale, batches, group))
    Delivery(intruded).complete(batches[1], NO_PREVIOUS, group)
    for one in (batches[2], batches[0]):
        subject.sink.complete(one, NO_PREVIOUS, group)
    expect_once(subject, batches)


@pytest.mark.parametrize("statement", range(1, 11))
@pytest.mark.parametrize("taken", [0, 1])
def test_one_of_the_ranges_may_be_completed_by_its_next_owner_while_the_group_is_being_written(
    subject: Subject, span: OffsetRange, group: WriteGroup, statement: int, taken: int
) -> None:
    batches = members(span)
    next_owner = Delivery(subject.store)
    intruded = IntrudedStore(subject.store, statement, lambda: next_owner.complete(batches[taken], NO_PREVIOUS, group))
    # Whoever writes still owns the others and leaves them behind when this returns: nobody looks at them again.
    manifests = write(Delivery(intruded), batches, group)
    assert [m.range for m in manifests] == [one.range for one in batches]
    if intruded.before > 0:
        subject.sink.complete(batches[taken], NO_PREVIOUS, group)
    expect_once(subject, batches)


@pytest.mark.parametrize("statement", range(1, 16, 2))
def test_two_ranges_of_a_group_may_be_completed_at_the_same_time(
    subject: Subject, span: OffsetRange, group: WriteGroup, statement: int
) -> None:
    batches = members(span)
    write_until_killed(subject, batches, group, 2, stored=True)
    other = Delivery(subject.store)
    intruded = IntrudedStore(subject.store, statement, lambda: other.complete(batches[2], NO_PREVIOUS, group))
    Delivery(intruded).complete(batches[0], NO_PREVIOUS, group)
    for one in (batches[1], batches[2]):
        subject.sink.complete(one, NO_PREVIOUS, group)
    expect_once(subject, batches)


@pytest.mark.parametrize("killed", [1, 2, 3, 4, 5, 6])
def test_a_completion_that_is_killed_itself_is_completed_by_the_next_one(
    subject: Subject, span: OffsetRange, group: WriteGroup, killed: int
) -> None:
    batches = members(span)
    write_until_killed(subject, batches, group, 3, stored=True)
    subject.sink.complete(batches[0], NO_PREVIOUS, group)
    for stored in (False, True):
        try:
            Delivery(StoppingStore(subject.store, killed, stored=stored)).complete(batches[1], NO_PREVIOUS, group)
        except SinkUnavailable:
            continue
    for one in batches[1:]:
        subject.sink.complete(one, NO_PREVIOUS, group)
    expect_once(subject, batches)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_rows_of_every_range_that_are_lost_behind_the_token_of_the_group_are_put_in_again(
    subject: Subject, span: OffsetRange, group: WriteGroup, order: tuple[int, ...]
) -> None:
    batches = members(span)
    write_until_killed(subject, batches, group, 3, stored=True)
    for one in batches:
        # The same offsets in all three: what fills one hole must not look like what fills another.
        subject.lose(EVENTS, [102, 103, 112], one.range)
    for number in order:
        subject.sink.complete(batches[number], NO_PREVIOUS, group)
    expect_once(subject, batches)


def test_a_partition_that_was_lost_is_left_out_and_completed_by_its_next_owner(
    subject: Subject, span: OffsetRange, group: WriteGroup
) -> None:
    batches = members(span)
    kept = batches[:2]
    write_until_killed(subject, batches, group, 3, stored=False)
    subject.sink.complete_together(kept, joint_rows(kept), [NO_PREVIOUS] * 2, group)
    subject.sink.complete(batches[2], NO_PREVIOUS, group)
    expect_once(subject, batches)


def test_a_refused_row_of_one_range_harms_none_of_the_others(
    subject: Subject, span: OffsetRange, group: WriteGroup
) -> None:
    batches = members(span, values={107: {"actor_id": UNWANTED}})
    manifests = write(Delivery(subject.store), batches, group)
    assert [(m.stored, m.dead_lettered) for m in manifests] == [(15, 3), (20, 0), (18, 2)]
    assert subject.sink.stored(batches[0].range).dead_letters == (101, 105, 107)
    expect_once(subject, batches[1:])


def test_columns_that_are_encoded_differently_are_one_column_of_the_group(
    subject: Subject, span: OffsetRange, group: WriteGroup
) -> None:
    batches = members(span)
    encoded = []
    for number, one in enumerate(batches):
        cities = pa.array([f"city {n % 3}" for n in range(one.events.num_rows)])
        column = cities.dictionary_encode() if number else cities
        place = one.events.column_names.index("geo_city")
        encoded.append(replace(one, events=one.events.set_column(place, "geo_city", column)))
    manifests = write(Delivery(subject.store), encoded, group)
    for one, manifest in zip(encoded, manifests, strict=True):
        assert digest_by_day(subject.store.read(EVENTS, one.range), event_columns()) == manifest.digests
        assert manifest.digests == digest_by_day(one.events, event_columns())


def test_last_offsets_are_told_by_partition_from_a_given_one_on(
    subject: Subject, span: OffsetRange, group: WriteGroup
) -> None:
    batches = members(span)
    assert subject.sink.last_offsets(span.topic_id, {3: 0, 4: 0}) == {}
    write_until_killed(subject, batches, group, 1, stored=True)
    assert subject.sink.last_offsets(span.topic_id, {3: 0, 4: 0, 5: 0}) == {3: 105, 5: 119}
    write(Delivery(subject.store), batches, group)
    assert subject.sink.last_offsets(span.topic_id, {3: 119, 4: 120, 5: 0, 6: 0}) == {3: 119, 5: 119}
    assert subject.sink.last_offsets(UUID(int=1), {3: 0}) == {}
