"""Batches become rows: every column, every offset, exactly one place."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from audit_batches import NOW_MS, SCHEMA_ID, TOPIC_ID, batch, encode, event, new_decoder
from consumers.batch import MessageBatch
from consumers.enrich import ActorCard, ActorDirectory
from consumers.metrics import Metrics
from consumers.processing import BatchUnbalanced, Processed, Processor, check_balance
from consumers.rows import DICTIONARY_COLUMNS
from consumers.settings import EnrichSettings, ValidateSettings, WorkerSettings
from consumers.validation import Flag
from consumers.validation.limits import event_fields
from consumers.writers import NOT_FOUND_TTL_S, Writers
from schemas.columns import DEAD_LETTER_BINARY, DEAD_LETTER_COLUMNS, avro_schema, event_columns, payload_columns
from schemas.errors import RegistryUnavailable, SchemaNotFound
from sinks.digest import digest_by_day
from sinks.settings import RetentionSettings

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
FOR_EVER = datetime(2299, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    category: str = "activate"
    crud: str = "u"
    object_type: str = "campaign"
    retention_class: str = "security"


CATALOGUE = {
    "campaign.activate": Entry(),
    "debug.noise": Entry(retention_class="debug"),
    "odd": Entry(retention_class="?"),
}


def newest(schema_id: int) -> dict[str, Any]:
    del schema_id
    return avro_schema("audit_event", 1)


def processor(
    directory: ActorDirectory | None = None,
    writer_schema: Callable[[int], dict[str, Any]] = newest,
    retention: RetentionSettings | None = None,
    validate: ValidateSettings | None = None,
    **worker: Any,
) -> Processor:
    return Processor(
        writer_schema,
        CATALOGUE,
        validate=validate or ValidateSettings(),
        enrich=EnrichSettings(),
        retention=retention or RetentionSettings(),
        worker=WorkerSettings(**worker),
        directory=ActorDirectory(10, enabled=False) if directory is None else directory,
        worker_version="1.2.3",
    )


@pytest.fixture(scope="module")
def shared() -> Processor:
    return processor()


def rows(processed: Processed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = processed.sink_batch.events.to_pylist()
    return found


def dead(processed: Processed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = processed.sink_batch.dead_letters.to_pylist()
    return found


def plain_type(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def test_tables_have_exactly_the_columns_of_the_contract(shared: Processor) -> None:
    sink_batch = shared.process(batch([encode(event(api={"request_body": "x"})), b"junk"])).sink_batch
    for table, columns in ((sink_batch.events, event_columns()), (sink_batch.payloads, payload_columns())):
        assert table.num_rows == 1
        assert table.column_names == [c.name for c in columns]
        assert [plain_type(f.type) for f in table.schema] == [c.arrow for c in columns]
        coded = {f.name for f in table.schema if pa.types.is_dictionary(f.type)}
        assert coded <= {c.name for c in columns if c.clickhouse_type == "LowCardinality(String)"}
        assert all(column.num_chunks == 1 for column in table.columns)
    letters = sink_batch.dead_letters
    assert letters.column_names == [c.name for c in DEAD_LETTER_COLUMNS]
    for field, column in zip(letters.schema, DEAD_LETTER_COLUMNS, strict=True):
        binary = pa.list_(pa.binary()) if column.clickhouse_type.startswith("Array") else pa.binary()
        assert plain_type(field.type) == (binary if column.name in DEAD_LETTER_BINARY else column.arrow), field


def test_a_batch_without_messages_gives_empty_tables(shared: Processor) -> None:
    processed = shared.process(batch([], first=5, last=9))
    assert processed.sink_batch.skipped == 5
    assert processed.sink_batch.events.num_rows == processed.sink_batch.dead_letters.num_rows == 0
    assert processed.oldest_occurred_at is None
    assert processed.sink_batch.events.schema.names == [c.name for c in event_columns()]


def test_where_a_row_comes_from_is_on_the_row(shared: Processor) -> None:
    values = [encode(event()), b"junk", encode(event())]
    first, second = rows(shared.process(batch(values, first=10, gaps=[11], timestamps_ms=[NOW_MS, NOW_MS, NOW_MS + 1])))
    assert (first["kafka_topic"], first["kafka_partition"], first["schema_id"]) == ("audit.events", 3, SCHEMA_ID)
    assert first["kafka_topic_id"] == TOPIC_ID.bytes
    assert (first["kafka_offset"], second["kafka_offset"]) == (10, 13)
    assert second["received_at"] == NOW + timedelta(milliseconds=1)


def test_values_of_an_event_arrive_unchanged(shared: Processor) -> None:
    odd = {
        "message": "a\0b\u202e\u05e9\u05dc",
        "details": {"k": "v", "": "\0"},
        "changes": [
            {"field": "a", "before": None, "after": "x"},
            {"field": "b", "before": "", "after": None, "masked": True},
        ],
        "task": {"task_id": "t", "progress_pct": 0.5, "started_at": 0, "done_items": None},
        "duration_ms": 2**62,
        "actor_id": "ü",
        "ip_chain": ["anything"],
    }
    row = rows(shared.process(batch([encode(event()), encode(event(**odd)), encode(event(tenant_id=""))])))[1]
    assert row["message"] == odd["message"]
    assert dict(row["details"]) == odd["details"]
    assert (row["changes.field"], row["changes.before"], row["changes.after"]) == (["a", "b"], [None, ""], ["x", None])
    assert row["changes.masked"] == [False, True]
    assert (row["task_id"], row["task_progress_pct"], row["task_done_items"]) == ("t", 0.5, None)
    assert row["task_started_at"] == datetime(1970, 1, 1, tzinfo=UTC)
    assert (row["duration_ms"], row["actor_id"], row["api_method"], row["auth_new_device"]) == (2**62, "ü", "", None)


def test_meaning_is_filled_from_the_catalogue_where_the_event_leaves_it_open(shared: Processor) -> None:
    own = event(event_category="delete", crud="d", target_type="voucher")
    open_, stated, unknown = rows(shared.process(batch([encode(e) for e in (event(), own, event(event_code="new"))])))
    assert [open_[c] for c in ("event_category", "crud", "target_type")] == ["activate", "u", "campaign"]
    assert [stated[c] for c in ("event_category", "crud", "target_type")] == ["delete", "d", "voucher"]
    assert [unknown[c] for c in ("event_category", "crud", "target_type")] == ["unspecified", "unspecified", ""]
    assert unknown["validation_flags"] == "unknown_event_code"


def test_the_own_platform_wins_over_that_of_the_user_agent(shared: Processor) -> None:
    values = [encode(event(user_agent="curl/8")), encode(event(user_agent="curl/8", platform="kiosk")), encode(event())]
    assert [r["platform"] for r in rows(shared.process(batch(values)))] == ["api", "kiosk", ""]


def test_flags_are_joined_in_alphabetical_order_and_counted(shared: Processor) -> None:
    skewed = event(occurred_at=NOW_MS * 1000 + 10_000_000, event_code="new", ip_chain=["x"], retention_class="?")
    processed = shared.process(batch([encode(event()), encode(skewed)]))
    names = "clock_skew,ip_chain_invalid,unknown_event_code,unknown_retention_class"
    assert [r["validation_flags"] for r in rows(processed)] == ["", names]
    assert processed.flags == {Flag(name): 1 for name in names.split(",")}
    assert rows(processed)[1]["clock_skew_ms"] == 10_000


def test_expiry_counts_from_the_later_of_both_times(shared: Processor) -> None:
    old, ahead = event(occurred_at=0), event(occurred_at=NOW_MS * 1000 + 3_600_000_999)
    first, second = rows(shared.process(batch([encode(old), encode(ahead)])))
    assert (first["retention_class"], first["retention_days"]) == ("security", 365)
    assert first["expires_at"] == NOW + timedelta(days=365)
    assert second["expires_at"] == NOW + timedelta(days=365, hours=1)


def test_for_ever_is_the_last_representable_time() -> None:
    made = processor(retention=RetentionSettings(tenants={"acme": {"*": 0}}))
    processed = made.process(batch([encode(event(api={"response_body": "x"}))]))
    assert (rows(processed)[0]["retention_days"], rows(processed)[0]["expires_at"]) == (0, FOR_EVER)
    (payload,) = processed.sink_batch.payloads.to_pylist()
    assert (payload["retention_days"], payload["expires_at"]) == (7, NOW + timedelta(days=7))


def test_bodies_go_to_a_table_of_their_own_and_never_outlive_their_event() -> None:
    made = processor(retention=RetentionSettings(classes={"debug": 1, "security": 365, "business": 180}))
    values = [
        encode(event()),
        encode(event(event_id=str(uuid.UUID(int=5)), api={"query_params": "a=b"}, request_id="r")),
        encode(event(tenant_id="")),
        encode(event(api={"request_body": "{}", "response_body": "[]"}, retention_class="debug")),
        encode(event(api={})),
    ]
    first, second = made.process(batch(values)).sink_batch.payloads.to_pylist()
    assert (first["api_query_params"], first["request_id"], first["kafka_offset"]) == ("a=b", "r", 101)
    assert first["event_id"] == uuid.UUID(int=5).bytes
    assert (first["retention_days"], second["retention_days"]) == (7, 1)
    assert (second["api_request_body"], second["api_response_body"]) == ("{}", "[]")
    assert second["expires_at"] == NOW + timedelta(days=1)


def test_a_dead_letter_keeps_what_is_needed_to_understand_and_repeat_it(shared: Processor) -> None:
    value = encode(event(tenant_id="", event_id="not one"))
    options: dict[str, Any] = {"keys": {1: b"\xffkey"}, "headers": {1: [("trace", b"\x00\xff"), ("empty", None)]}}
    (letter,) = dead(shared.process(batch([encode(event()), value], **options)))
    assert (letter["stage"], letter["reason_code"]) == ("validate", "tenant_id_missing")
    assert (letter["tenant_id"], letter["event_code"], letter["event_id"]) == ("", "campaign.activate", "not one")
    assert (letter["key"], letter["headers.name"], letter["headers.value"]) == (
        b"\xffkey", ["trace", "empty"], [b"\x00\xff", b""],
    )  # fmt: skip
    assert (letter["raw"], letter["raw_bytes"], letter["raw_truncated"]) == (value, len(value), False)
    assert letter["raw_sha256"] == hashlib.sha256(value).digest()
    assert (letter["kafka_offset"], letter["schema_id"], letter["worker_version"]) == (101, SCHEMA_ID, "1.2.3")
    assert letter["expires_at"] == NOW + timedelta(days=30)


def test_a_long_message_is_kept_in_part_with_size_and_digest_of_the_whole() -> None:
    value = b"\1" * 1000
    (letter,) = dead(processor(dead_letter_raw_bytes=10).process(batch([value])))
    assert (letter["raw"], letter["raw_bytes"], letter["raw_truncated"]) == (value[:10], 1000, True)
    assert letter["raw_sha256"] == hashlib.sha256(value).digest()


def test_a_message_above_the_limit_is_refused_with_its_neighbours_stored() -> None:
    processed = processor(message_bytes=500).process(batch([encode(event()), encode(event(message="x" * 600))]))
    assert [r.reason_code for r in processed.rejections] == ["too_large"]
    assert len(rows(processed)) == 1


def test_a_tenant_too_long_to_be_one_is_left_out_of_its_dead_letter(shared: Processor) -> None:
    (letter,) = dead(shared.process(batch([encode(event(tenant_id="x" * 513))])))
    assert (letter["reason_code"], letter["tenant_id"]) == ("key_too_long", "")


def test_without_kafka_time_nothing_is_born_expired(shared: Processor) -> None:
    processed = shared.process(batch([encode(event()), b""], timestamps_ms=[-1, -1]))
    assert rows(processed)[0]["received_at"] == datetime(1970, 1, 1, tzinfo=UTC)
    assert rows(processed)[0]["expires_at"] == NOW + timedelta(days=365)
    assert dead(processed)[0]["expires_at"] == FOR_EVER


def test_dropped_codes_are_filtered_and_everything_adds_up() -> None:
    values = [encode(event()), encode(event(event_code="debug.noise")), b"junk", None]
    sink_batch = processor(drop_event_codes=("debug.*",)).process(batch(values, gaps=[101], last=110)).sink_batch
    parts = (sink_batch.events.num_rows, sink_batch.dead_letters.num_rows, sink_batch.filtered, sink_batch.skipped)
    assert parts == (1, 2, 1, 7)
    check_balance([sink_batch], sink_batch.filtered)
    with pytest.raises(BatchUnbalanced, match="8 skipped do not add up"):
        check_balance([replace(sink_batch, skipped=8)], sink_batch.filtered)


def test_the_sink_can_turn_rows_into_dead_letters(shared: Processor) -> None:
    event_id = str(uuid.uuid4())
    sink_batch = shared.process(
        batch([encode(event(event_id=event_id)), b"junk", encode(event())], gaps=[101])
    ).sink_batch
    source = sink_batch.dead_letter_source
    letters = source.dead_letters({103: "late", 100: "bad"}, stage="insert", reason_code="row_refused").to_pylist()
    assert [(x["kafka_offset"], x["reason"]) for x in letters] == [(100, "bad"), (103, "late")]
    assert [(x["stage"], x["reason_code"], x["tenant_id"]) for x in letters] == [("insert", "row_refused", "acme")] * 2
    assert letters[0]["event_id"] == event_id
    with pytest.raises(KeyError, match="101"):
        source.dead_letters({101: "a gap"}, stage="insert", reason_code="row_refused")


def test_the_registry_decides_about_exactly_its_messages() -> None:
    answers: dict[int, dict[str, Any]] = {
        7: avro_schema("audit_event", 1),
        8: {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "int"}]},
    }

    def writer_schema(schema_id: int) -> dict[str, Any]:
        if schema_id not in answers:
            raise SchemaNotFound(schema_id)
        return answers[schema_id]

    values = [encode(event(), 7), encode(event(), 8), encode(event(), 9), encode(event(), 7)]
    processed = processor(writer_schema=writer_schema).process(batch(values))
    assert [(r.position, r.stage, r.reason_code) for r in processed.rejections] == [
        (1, "decode", "schema_incompatible"),
        (2, "decode", "schema_unknown"),
    ]
    assert len(rows(processed)) == 2
    assert "no schema 9" in processed.rejections[1].reason


def test_an_outage_of_the_registry_is_nobodys_fault_and_the_batch_can_be_repeated() -> None:
    outage = [True]

    def writer_schema(schema_id: int) -> dict[str, Any]:
        if outage.pop() if outage else False:
            raise RegistryUnavailable("connection refused")
        return newest(schema_id)

    made = processor(writer_schema=writer_schema)
    with pytest.raises(RegistryUnavailable):
        made.process(batch([encode(event())]))
    assert len(rows(made.process(batch([encode(event())])))) == 1


def test_a_schema_that_appears_later_is_found_after_a_while() -> None:
    asked: list[int] = []
    now = [0.0]

    def writer_schema(schema_id: int) -> dict[str, Any]:
        asked.append(schema_id)
        if len(asked) == 1:
            raise SchemaNotFound(schema_id)
        return newest(schema_id)

    writers = Writers(new_decoder(), writer_schema, lambda: now[0])
    ids = np.array([9, -1, 9], np.int32)
    assert set(writers.learn(ids)) == {9}
    assert set(writers.learn(ids)) == {9}
    now[0] = NOT_FOUND_TTL_S
    assert writers.learn(ids) == {}
    assert asked == [9, 9]


def test_actors_are_filled_as_known_and_the_own_snapshot_wins() -> None:
    directory = ActorDirectory(10)
    directory.state = "ready"
    directory.apply("acme", "u1", ActorCard("ann", "Ann", "a@x", "HR", "http://a", "active", ("admin",)), 0, 0)
    made = processor(directory)
    values = [
        encode(event(actor_id="u1")),
        encode(
            event(actor_id="u1", actor_name="Anne", actor_roles=["own"], actor_status="deleted", actor_department="IT")
        ),
        encode(event(actor_id="u1", tenant_id="other")),
        encode(event()),
    ]
    first, own, other, nobody = rows(made.process(batch(values)))
    names = ("actor_login", "actor_name", "actor_email", "actor_department", "actor_avatar_url", "actor_status")
    assert [first[n] for n in names] == ["ann", "Ann", "a@x", "HR", "http://a", "active"]
    assert first["actor_roles"] == ["admin"]
    assert [own[n] for n in names] == ["ann", "Anne", "a@x", "IT", "http://a", "deleted"]
    assert own["actor_roles"] == ["own"]
    assert [other[n] for n in names] == [nobody[n] for n in names] == ["", "", "", "", "", "unspecified"]
    statuses = [r["actor_directory_status"] for r in (first, own, other, nobody)]
    assert statuses == ["ok", "ok", "not_found", "none"]


def test_a_change_in_the_directory_shows_in_the_next_batch() -> None:
    directory = ActorDirectory(10)
    made = processor(directory)
    value = encode(event(actor_id="u1"))
    seen = []
    directory.apply("acme", "u1", ActorCard(name="Ann"), 0, 0)
    seen.append(rows(made.process(batch([value])))[0])
    directory.state = "ready"
    directory.apply("acme", "u1", ActorCard(name="Anna"), 0, 1)
    seen.append(rows(made.process(batch([value])))[0])
    directory.apply("acme", "u1", None, 0, 2)
    seen.append(rows(made.process(batch([value])))[0])
    assert [(r["actor_name"], r["actor_directory_status"]) for r in seen] == [
        ("Ann", "ok"),
        ("Anna", "ok"),
        ("", "not_found"),
    ]


def test_a_replay_under_other_settings_may_decide_otherwise_and_still_adds_up() -> None:
    same = batch([encode(event(event_code="new")), encode(event())])
    lenient = processor().process(same).sink_batch
    strict = processor(validate=ValidateSettings(catalogue="strict")).process(same).sink_batch
    assert (lenient.events.num_rows, lenient.dead_letters.num_rows) == (2, 0)
    assert (strict.events.num_rows, strict.dead_letters.num_rows) == (1, 1)


def test_processing_a_batch_again_gives_the_same_rows(shared: Processor) -> None:
    same = batch([encode(event(ip="8.8.8.8", user_agent="curl/8", event_code="odd", tenant_id=t)) for t in "abca"])
    assert rows(shared.process(same)) == rows(shared.process(same)) == rows(processor().process(same))


def test_stages_reasons_and_flags_are_reported(shared: Processor) -> None:
    processed = shared.process(batch([encode(event(event_code="new")), b"", b"", encode(event(ip="x"))]))
    metrics = Metrics()
    processed.report(metrics)
    assert metrics.value("auditstream_dead_letters_total", stage="decode", reason="empty") == 2
    assert metrics.value("auditstream_dead_letters_total", stage="validate", reason="ip_invalid") == 1
    assert metrics.value("auditstream_flags_total", flag="unknown_event_code") == 1
    for stage in ("decode", "validate", "enrich", "build"):
        assert metrics.value("auditstream_stage_seconds_count", stage=stage) == 1


def test_every_low_cardinality_string_and_every_joined_column_is_dictionary_encoded() -> None:
    low = {c.path for c in event_columns() if c.path and c.clickhouse_type == "LowCardinality(String)"}
    assert {"ip", "actor_id", "retention_class", "tenant_id", "user_agent", "api.method"} <= DICTIONARY_COLUMNS
    assert low - DICTIONARY_COLUMNS == set(event_fields().enums)
    assert "record_kind" not in DICTIONARY_COLUMNS


def of_partition(partition: int, one: MessageBatch) -> MessageBatch:
    return replace(one, range=replace(one.range, partition=partition))


def test_batches_that_are_processed_together_become_what_each_becomes_alone(shared: Processor) -> None:
    body = event(event_id=str(uuid.uuid4()), api={"request_body": "{}"}, ip="203.0.113.7")
    batches = [
        of_partition(2, batch([encode(event()), b"junk", encode(body)], gaps=[101], last=107)),
        of_partition(5, batch([], first=40, last=44)),
        of_partition(7, batch([b"\0\0", encode(body), encode(event(actor={"id": "u-1", "name": "Ann"})), None])),
        of_partition(9, batch([encode(event(event_code=f"user.change{n}")) for n in range(3)], first=0)),
    ]
    together = shared.process_together(batches)
    assert [b.range for b in together.sink_batches] == [b.range for b in batches]
    for one, found in zip(batches, together.sink_batches, strict=True):
        alone = shared.process(one).sink_batch
        for table in ("events", "payloads", "dead_letters"):
            assert getattr(found, table).to_pylist() == getattr(alone, table).to_pylist(), (one.range, table)
        assert (found.filtered, found.skipped, found.schema_ids) == (alone.filtered, alone.skipped, alone.schema_ids)
        assert digest_by_day(found.events, event_columns()) == digest_by_day(alone.events, event_columns())
    assert together.joint.events.num_rows == 7
    assert together.joint.dead_letters.num_rows == 3


def test_a_sink_turns_rows_of_the_right_partition_into_dead_letters(shared: Processor) -> None:
    batches = [of_partition(p, batch([encode(event(message=f"{p} {n}")) for n in range(3)])) for p in (3, 4)]
    _, second = shared.process_together(batches).sink_batches
    (letter,) = second.dead_letter_source.dead_letters(
        {101: "bad"}, stage="insert", reason_code="row_refused"
    ).to_pylist()
    assert (letter["kafka_partition"], letter["kafka_offset"]) == (4, 101)
    assert b"4 1" in letter["raw"]
    with pytest.raises(KeyError, match="999"):
        second.dead_letter_source.dead_letters({999: "bad"}, stage="insert", reason_code="row_refused")


def test_filtered_messages_are_counted_for_the_batch_that_they_are_of() -> None:
    values = [encode(event(event_code="debug.noise")), encode(event())]
    batches = [of_partition(1, batch(values)), of_partition(2, batch([*values, values[0]]))]
    together = processor(drop_event_codes=("debug.*",)).process_together(batches)
    assert [b.filtered for b in together.sink_batches] == [1, 2]
    with pytest.raises(BatchUnbalanced, match="4 filtered"):
        check_balance(together.sink_batches, 4)
