"""Dead letters and stored ranges by their place in Kafka, and how many letters each reason has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from infrastructure.clickhouse import fresh_database
from query import BatchFilter, DeadLetterFilter
from query.access import Forbidden, PersonalData, Scope, ScopedReader
from query.access.token import Token
from query_log import NOW, TOPIC, Log, open_log
from schemas.catalogue import Catalogue
from sinks.settings import ClickHouseSettings

OTHER_TOPIC = UUID("5f0a4f0e-0000-4000-8000-00000000000b")


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        opened.store([{}] * 6, dead=[1, 2, 4])
        opened.store([{}] * 3, dead=[0])
        opened.store([{}] * 2, partition=1, dead=[1])
        opened.store([{}] * 2, topic=OTHER_TOPIC, dead=[1])
        yield opened


def scoped(log: Log, role: str, scope: Scope) -> ScopedReader:
    catalogue = Catalogue.load()
    return ScopedReader(log.reader, Token("tok_x", "x", role, scope, NOW), catalogue, PersonalData.of(catalogue))


def test_one_letter_is_found_by_topic_partition_and_offset(log: Log) -> None:
    def places(**asked: object) -> set[tuple[str, int, int]]:
        rows = log.reader.dead_letters(DeadLetterFilter(**asked)).rows  # type: ignore[arg-type]
        return {(r["kafka_topic_id"], r["kafka_partition"], r["kafka_offset"]) for r in rows}

    assert places(topic_id=TOPIC, partition=0, offset=1) == {(str(TOPIC), 0, 1)}
    assert places(offset=1) == {(str(TOPIC), 0, 1), (str(TOPIC), 1, 1), (str(OTHER_TOPIC), 0, 1)}
    assert places(topic_id=TOPIC, partition=0, offset=0) == set()


@pytest.mark.parametrize(("offset", "found"), [(0, [(0, 5)]), (5, [(0, 5)]), (6, [(6, 8)]), (8, [(6, 8)]), (9, [])])
def test_the_range_that_holds_an_offset_is_found(log: Log, offset: int, found: list[tuple[int, int]]) -> None:
    rows = log.reader.ingest_batches(BatchFilter(topic_id=TOPIC, partition=0, holding=offset)).rows
    assert [(r["first_offset"], r["last_offset"]) for r in rows] == found


def test_letters_are_counted_by_reason_within_what_is_asked(log: Log) -> None:
    (every,) = log.reader.dead_letter_reasons()
    (some,) = log.reader.dead_letter_reasons(DeadLetterFilter(partition=0, topic_id=TOPIC))
    assert (every.stage, every.reason_code, every.letters, some.letters) == ("decode", "too_short", 6, 4)
    newest = log.reader.dead_letters(limit=1, fields=["ingested_at"]).rows[0]["ingested_at"]
    assert every.newest == newest
    assert log.reader.dead_letter_reasons(DeadLetterFilter(stage="insert")) == []


def test_reasons_are_counted_for_those_only_who_may_see_the_letters(log: Log) -> None:
    assert scoped(log, "administrator", Scope()).dead_letter_reasons()[0].letters == 6
    assert scoped(log, "administrator", Scope(("acme",))).dead_letter_reasons() == []
    with pytest.raises(Forbidden):
        scoped(log, "auditor", Scope()).dead_letter_reasons()
    with pytest.raises(Forbidden):
        scoped(log, "administrator", Scope(("acme",))).dead_letter_reasons(DeadLetterFilter(tenant="globex"))
