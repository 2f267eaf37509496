"""What only the sink in memory can show: time that passes, answers that get lost, connections without a database."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pyarrow as pa
import pytest

from sinks import open_sink
from sinks.clickhouse_errors import RowsRefused
from sinks.delivery import ROUNDS
from sinks.errors import SinkStopped, SinkUnavailable
from sinks.manifest import NO_PREVIOUS
from sinks.memory import MemorySink, MemoryStore
from sinks.rows import DEAD_LETTERS, EVENTS, insertable, joint_rows
from sinks.settings import ClickHouseSettings
from sinks.sink import OffsetRange
from sinks.testing import EXPIRES_AT_MS, batch

SPAN = OffsetRange("audit.events", uuid4(), 0, 0, 9)


def test_rows_that_expired_before_they_were_read_back_are_not_waited_for_and_stay_in_the_count() -> None:
    store = MemoryStore()
    sink = MemorySink(store, clock=lambda: EXPIRES_AT_MS + 1)
    one = batch(SPAN, dead=[4])

    def expire(table: str, rows: pa.Table, token: str) -> None:
        if table in {EVENTS, DEAD_LETTERS}:
            store.delete(table, list(range(10)))

    store.after_insert = expire
    manifest = sink.complete(one, NO_PREVIOUS)
    assert (manifest.stored, manifest.dead_lettered) == (9, 1)
    assert [d.rows for d in manifest.digests] == [9]
    assert sink.events.num_rows == 0


def test_a_database_that_keeps_losing_rows_is_reported_and_not_believed() -> None:
    store = MemoryStore()
    tries: list[str] = []

    def lose(table: str, rows: pa.Table, token: str) -> None:
        if table == EVENTS:
            tries.append(token)
            store.delete(EVENTS, [3])

    store.after_insert = lose
    with pytest.raises(SinkUnavailable, match="missing after"):
        MemorySink(store).complete(batch(SPAN), NO_PREVIOUS)
    assert tries[0] == SPAN.token(EVENTS)
    assert len(set(tries)) == len(tries) == ROUNDS
    assert store.all_manifests() == []


def test_a_refused_dead_letter_stops_the_sink_because_there_is_no_other_place_for_it() -> None:
    def refuse(table: str, rows: pa.Table, token: str) -> None:
        if table == DEAD_LETTERS:
            raise RowsRefused("no", code=469)

    with pytest.raises(SinkStopped, match="no other place"):
        MemorySink(MemoryStore(before_insert=refuse)).write(batch(SPAN, dead=[1]), NO_PREVIOUS)


def test_a_refusal_that_passes_costs_one_repetition_under_the_same_token() -> None:
    answers: Iterator[bool] = iter([False, True, True, True])
    tokens: list[str] = []

    def refuse_once(table: str, rows: pa.Table, token: str) -> None:
        tokens.append(token)
        if not next(answers):
            raise RowsRefused("once", code=117)

    manifest = MemorySink(MemoryStore(before_insert=refuse_once)).write(batch(SPAN), NO_PREVIOUS)
    assert manifest.stored == 10
    assert tokens[:2] == [SPAN.token(EVENTS)] * 2


def test_rows_without_one_of_the_columns_are_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="geo_city"):
        insertable(EVENTS, batch(SPAN).events.drop_columns(["geo_city"]))


def test_a_block_that_the_database_would_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.rows.MAX_BLOCK_ROWS", 10)
    with pytest.raises(ValueError, match="too large for one block"):
        insertable(EVENTS, batch(SPAN).events)


def test_rows_in_memory_have_the_types_of_the_contract() -> None:
    sink = MemorySink()
    one = batch(SPAN, dead=[2], payloads=[1])
    sink.write(one, NO_PREVIOUS)
    assert sink.events.equals(one.events)
    assert sink.payloads.equals(one.payloads)
    assert sink.dead_letters.equals(one.dead_letters)


def test_opening_a_sink_asks_nothing_of_the_database() -> None:
    sink = open_sink(ClickHouseSettings(port=1))
    with pytest.raises(SinkUnavailable):
        sink.check()
    sink.close()
    sink.close()


def test_the_rows_of_no_batch_are_empty_tables() -> None:
    nothing = joint_rows([])
    assert (nothing.events.num_rows, nothing.payloads.num_rows, nothing.dead_letters.num_rows) == (0, 0, 0)
