"""What every sink promises of a range that is written alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pytest

from schemas.columns import ACTOR_COLUMNS, event_columns
from sink_subjects import UNWANTED, StoppingStore, Subject, assert_each_offset_once, mixed, write_until_killed
from sinks.delivery import Delivery
from sinks.digest import digest_by_day
from sinks.errors import SinkStopped, SinkUnavailable
from sinks.manifest import NO_PREVIOUS, describe
from sinks.rows import ACTORS, DEAD_LETTERS, EVENTS, MANIFESTS, PAYLOADS
from sinks.sink import OffsetRange, SinkBatch, StoredOffsets
from sinks.testing import batch, rows

STEPS = (DEAD_LETTERS, PAYLOADS, EVENTS, MANIFESTS)


def test_a_written_batch_is_read_back_offset_by_offset(subject: Subject, span: OffsetRange) -> None:
    manifest = subject.sink.write(mixed(span), NO_PREVIOUS)
    found = subject.sink.stored(span)
    assert found.dead_letters == (101, 105)
    assert found.payloads == (102, 103)
    assert found.events == tuple(o for o in range(100, 120) if o not in {101, 105, 110, 111})
    assert found.manifest == manifest
    assert (manifest.stored, manifest.dead_lettered, manifest.filtered, manifest.skipped) == (16, 2, 1, 1)


def test_other_partitions_and_topics_of_the_same_name_are_not_read_back(subject: Subject, span: OffsetRange) -> None:
    subject.sink.write(mixed(span), NO_PREVIOUS)
    elsewhere = OffsetRange(span.topic, span.topic_id, span.partition + 1, span.first, span.last)
    recreated = OffsetRange(span.topic, uuid4(), span.partition, span.first, span.last)
    assert subject.sink.stored(elsewhere) == StoredOffsets()
    assert subject.sink.stored(recreated) == StoredOffsets()


def test_the_heads_are_the_newest_manifests_of_the_partitions_that_have_one(
    subject: Subject, span: OffsetRange
) -> None:
    first = subject.sink.write(mixed(span), NO_PREVIOUS)
    following = OffsetRange(span.topic, span.topic_id, span.partition, span.next_offset, span.next_offset + 4)
    second = subject.sink.write(batch(following), first.sha256)
    assert subject.sink.heads(span.topic_id, [span.partition, span.partition + 1]) == {span.partition: second}
    assert second.previous_sha256 == first.sha256


@pytest.mark.parametrize("stored", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("insert", [1, 2, 3, 4], ids=STEPS)
def test_a_batch_cut_short_at_any_insert_is_completed_exactly_once(
    subject: Subject, span: OffsetRange, insert: int, stored: bool
) -> None:
    one = mixed(span)
    write_until_killed(subject, one, insert, stored=stored)
    manifest = subject.sink.complete(one, NO_PREVIOUS)
    found = subject.sink.stored(span)
    assert_each_offset_once(found, one)
    assert found.payloads == (102, 103)
    assert found.manifest == manifest
    assert manifest.digests == digest_by_day(one.events, event_columns())
    assert subject.sink.complete(one, NO_PREVIOUS) == manifest


@pytest.mark.parametrize(
    ("insert", "table", "lost"), [(1, DEAD_LETTERS, [105]), (2, PAYLOADS, [102]), (3, EVENTS, [100, 119])]
)
def test_rows_lost_behind_a_remembered_token_are_put_in_again(
    subject: Subject, span: OffsetRange, insert: int, table: str, lost: list[int]
) -> None:
    one = mixed(span)
    write_until_killed(subject, one, insert, stored=True)
    subject.lose(table, lost, span)
    subject.sink.complete(one, NO_PREVIOUS)
    found = subject.sink.stored(span)
    assert_each_offset_once(found, one)
    assert found.payloads == (102, 103)


def test_a_replay_that_is_killed_itself_is_completed_by_the_next_one(subject: Subject, span: OffsetRange) -> None:
    one = mixed(span)
    write_until_killed(subject, one, 2, stored=False)
    with pytest.raises(SinkUnavailable):
        Delivery(StoppingStore(subject.store, 2, stored=True)).complete(one, NO_PREVIOUS)
    subject.sink.complete(one, NO_PREVIOUS)
    assert_each_offset_once(subject.sink.stored(span), one)


def test_a_replay_that_judges_messages_anew_keeps_what_is_stored(subject: Subject, span: OffsetRange) -> None:
    write_until_killed(subject, mixed(span), 3, stored=True)
    judged_anew = batch(span, dead=[102, 107], payloads=[103], filtered=[110], skipped=[111])
    manifest = subject.sink.complete(judged_anew, NO_PREVIOUS)
    found = subject.sink.stored(span)
    assert found.dead_letters == (101, 105)
    assert found.events == tuple(o for o in range(100, 120) if o not in {101, 105, 110, 111})
    assert (manifest.stored, manifest.dead_lettered, manifest.filtered, manifest.skipped) == (16, 2, 1, 1)


def test_a_replay_under_a_new_filter_still_adds_up_to_the_range(subject: Subject, span: OffsetRange) -> None:
    write_until_killed(subject, mixed(span), 1, stored=True)
    filtering = batch(span, dead=[105], filtered=[101, 102, 103, 110], skipped=[111])
    manifest = subject.sink.complete(filtering, NO_PREVIOUS)
    assert (manifest.dead_lettered, manifest.stored, manifest.filtered, manifest.skipped) == (2, 14, 3, 1)


def test_the_manifest_of_a_replay_describes_what_is_stored_and_not_what_was_enriched_meanwhile(
    subject: Subject, span: OffsetRange
) -> None:
    one = mixed(span)
    write_until_killed(subject, one, 4, stored=False)
    enriched_anew = mixed(span, values={o: {"geo_city": "Lisbon"} for o in range(100, 120)})
    manifest = subject.sink.complete(enriched_anew, NO_PREVIOUS)
    assert manifest.digests == digest_by_day(one.events, event_columns())
    assert manifest.digests != digest_by_day(enriched_anew.events, event_columns())


def test_the_late_inserts_of_a_stale_worker_are_dropped(subject: Subject, span: OffsetRange) -> None:
    one = mixed(span)
    write_until_killed(subject, one, 1, stored=True)
    manifest = subject.sink.complete(one, NO_PREVIOUS)
    assert subject.sink.write(one, NO_PREVIOUS) == manifest
    assert_each_offset_once(subject.sink.stored(span), one)
    assert subject.sink.stored(span).manifest == manifest


def test_a_refused_row_becomes_a_dead_letter_and_its_neighbours_are_stored(subject: Subject, span: OffsetRange) -> None:
    manifest = subject.sink.write(mixed(span, values={107: {"actor_id": UNWANTED}}), NO_PREVIOUS)
    found = subject.sink.stored(span)
    assert found.dead_letters == (101, 105, 107)
    assert found.events == tuple(o for o in range(100, 120) if o not in {101, 105, 107, 110, 111})
    assert (manifest.stored, manifest.dead_lettered) == (15, 3)
    refused = subject.store.read(DEAD_LETTERS, span).to_pylist()[-1]
    assert (refused["stage"], refused["reason_code"]) == (b"insert", b"row_refused")


@pytest.mark.parametrize("insert", [3, 5, 6, 9, 12])
def test_a_kill_while_bad_rows_are_searched_loses_and_repeats_nothing(
    subject: Subject, span: OffsetRange, insert: int
) -> None:
    one = mixed(span, values={107: {"actor_id": UNWANTED}})
    try:
        Delivery(StoppingStore(subject.store, insert, stored=True)).write(one, NO_PREVIOUS)
    except SinkUnavailable:
        subject.sink.complete(one, NO_PREVIOUS)
    found = subject.sink.stored(span)
    assert_each_offset_once(found, one)
    assert 107 in found.dead_letters


def test_a_table_that_refuses_most_rows_stops_the_sink_instead_of_diverting_everything(
    subject: Subject, span: OffsetRange
) -> None:
    one = batch(span, values={o: {"actor_id": UNWANTED} for o in range(100, 120)})
    with pytest.raises(SinkStopped, match="the table is at fault"):
        subject.sink.write(one, NO_PREVIOUS)
    assert subject.sink.stored(span).dead_letters == ()


ODD = {
    100: {
        "message": "a\0b",
        "details": [("k", "v"), ("k", "w"), ("", "\u202e\u05e2\u05d1")],
        "changes.field": ["name", "x"],
        "changes.before": [None, ""],
        "changes.after": ["é\0", None],
        "changes.masked": [True, False],
        "run_value_num": -0.0,
        "actor_roles": ["admin", ""],
        "occurred_at": 0,
    },
    101: {
        "run_value_num": float("nan"),
        "geo_lat": -0.0,
        "ip": bytes(10) + b"\xff\xff\x01\x02\x03\x04",
        "user_agent": "x" * 70_000,
        "auth_new_device": False,
        "occurred_at": 7_258_118_400_000_000,
    },
    102: {
        "event_id": UUID("00112233-4455-6677-8899-aabbccddeeff").bytes,
        "affected_count": 0,
        "task_started_at": -1,
        "labels": [("\u200f", "")],
        "tenant_id": "",
        "expires_at": 10_413_791_999_999,
        "retention_days": 0,
        "geo_lon": float("inf"),
        "producer_seq": -(2**63),
        "redactions.count": [2**31 - 1, -(2**31)],
        "redactions.field": ["a", "b"],
        "redactions.rule": ["", ""],
    },
}


def test_odd_values_have_the_same_digest_before_the_insert_and_when_read_back(
    subject: Subject, span: OffsetRange
) -> None:
    one = batch(span, values=ODD)
    manifest = subject.sink.write(one, NO_PREVIOUS)
    stored = subject.store.read(EVENTS, span)
    assert digest_by_day(stored, event_columns()) == manifest.digests
    assert [d.rows for d in manifest.digests] == [19, 1]
    again = describe(span, stored, dead_lettered=0, skipped=0, schema_ids=[1], previous_sha256=NO_PREVIOUS)
    assert again == manifest


def test_dictionary_encoded_columns_are_stored_as_their_values(subject: Subject, span: OffsetRange) -> None:
    plain = batch(span, values={o: {"geo_city": f"city {o % 3}"} for o in range(100, 120)})
    position = plain.events.column_names.index("geo_city")
    wide = pa.array([f"city {n}" for n in (2, 1, 0)] + [f"unused {n}" for n in range(1000)])
    codes = pa.array([2 - o % 3 for o in range(100, 120)], pa.int32())
    encoded = plain.events.set_column(position, "geo_city", pa.DictionaryArray.from_arrays(codes, wide))
    one = SinkBatch(span, encoded, plain.payloads, plain.dead_letters, 0, 0, (1,), plain.dead_letter_source)
    manifest = subject.sink.write(one, NO_PREVIOUS)
    assert manifest.digests == digest_by_day(plain.events, event_columns())
    assert digest_by_day(subject.store.read(EVENTS, span), event_columns()) == manifest.digests


def test_of_two_cards_of_an_actor_the_one_with_the_higher_offset_counts(subject: Subject) -> None:
    def card(name: str, offset: int) -> dict[str, Any]:
        return {"tenant_id": "t", "actor_id": "a", "name": name, "kafka_offset": offset, "kafka_topic_id": bytes(16)}

    assert {c.name for c in ACTOR_COLUMNS} >= set(card("", 0))
    subject.sink.write_actors(rows(ACTORS, [card("new", 9), card("old", 3)]))
    subject.sink.write_actors(rows(ACTORS, [card("older", 1)]))
    assert subject.actors() == {"a": "new"}


def test_partitions_are_written_from_several_threads_at_once(subject: Subject, span: OffsetRange) -> None:
    ranges = [OffsetRange(span.topic, span.topic_id, partition, 0, 9) for partition in range(4)]
    with ThreadPoolExecutor(4) as pool:
        manifests = list(pool.map(lambda r: subject.sink.write(batch(r, dead=[r.partition]), NO_PREVIOUS), ranges))
    assert subject.sink.heads(span.topic_id, range(4)) == {m.range.partition: m for m in manifests}
    for one in ranges:
        found = subject.sink.stored(one)
        assert found.dead_letters == (one.partition,)
        assert found.events == tuple(o for o in range(10) if o != one.partition)


def test_a_fresh_sink_passes_its_own_check(subject: Subject) -> None:
    subject.sink.check()
