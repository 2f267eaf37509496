"""Pages, cursors, arrivals, states and details on the real engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from query import (
    START,
    DatabaseNotReady,
    DeadLetterFilter,
    InvalidCursor,
    InvalidFilter,
    Position,
    QueryTooExpensive,
    Question,
    Reader,
    open_reader,
    parse,
)
from query.database import Limits, open_client
from query.ledger import BatchFilter
from query.parameters import Parameters
from query.question import SortName
from query.shortcut import SETTINGS, Shortcut
from query_log import TOPIC, Log, address, asked, at
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings
from sinks.sink import OffsetRange
from sinks.testing import batch

pytest_plugins = ["infrastructure.log_fixtures"]

OTHER_TOPIC = UUID("5f0a4f0e-0000-4000-8000-00000000000b")


def walk(log: Log, question: Question, limit: int) -> list[tuple[int, int]]:
    found, cursor = [], None
    while True:
        page = log.reader.page(question, limit=limit, cursor=cursor, fields=["kafka_partition", "kafka_offset"])
        found += [(r["kafka_partition"], r["kafka_offset"]) for r in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            return found


def follow(log: Log, text: str, position: Position, limit: int = 3) -> tuple[list[tuple[str, int, int]], Position]:
    found = []
    fields = ["kafka_topic_id", "kafka_partition", "kafka_offset"]
    while True:
        step = log.reader.arrivals(asked(text), position, limit=limit, fields=fields)
        found += [tuple(r.values()) for r in step.rows]
        position = step.position
        if step.caught_up:
            return found, position


@pytest.mark.parametrize("sort", ["time", "user", "ip", "object"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_join_without_gap_or_repetition_when_everything_ties(log: Log, sort: SortName, descending: bool) -> None:
    same: dict[str, Any] = {
        "event_id": UUID(int=7).bytes,
        "occurred_at": at("2026-06-01T00:00:00"),
        "ip": address("10.0.0.1"),
    }
    log.store([same] * 5)
    log.store([same] * 4, partition=1)
    log.store([same] * 2, topic=OTHER_TOPIC)
    # Offset by offset, what was sent is the same in each partition: one event, delivered there too.
    found = walk(log, asked(sort=sort, descending=descending), 2)
    assert sorted(found) == [(0, i) for i in range(5)]
    assert found == walk(log, asked(sort=sort, descending=descending), 100)


def test_events_stored_between_two_pages_repeat_and_hide_nothing(log: Log) -> None:
    log.store([{"occurred_at": at("2026-06-01T00:00:00") + i} for i in range(0, 10, 2)])
    first = log.reader.page(asked(), limit=2, fields=["kafka_offset"])
    log.store([{"occurred_at": at("2026-06-01T00:00:00") + i} for i in (9, 1)])
    rest = log.reader.page(asked(), limit=10, cursor=first.next_cursor, fields=["kafka_offset"])
    assert [r["kafka_offset"] for r in (*first.rows, *rest.rows)] == [4, 3, 2, 1, 6, 0]


def test_a_relative_period_means_the_same_on_every_page(log: Log) -> None:
    now = datetime.now(UTC)
    times = [now - timedelta(minutes=m) for m in (1, 2, 3, 59)]
    log.store([{"occurred_at": int(t.timestamp() * 1_000_000)} for t in times])
    first = log.reader.page(Question(parse("since:1h"), now=now), limit=2)
    later = Question(parse("since:1h"), now=now + timedelta(minutes=30))
    assert len(log.reader.page(later, cursor=first.next_cursor).rows) == 2


def test_a_cursor_is_refused_for_another_question(log: Log) -> None:
    log.store([{}] * 3)
    cursor = log.reader.page(asked("tenant:tenant-0,tenant-1"), limit=1).next_cursor
    for other in (
        asked(),
        asked("tenant:tenant-0,tenant-1", sort="ip"),
        asked("tenant:tenant-0,tenant-1", descending=False),
    ):
        with pytest.raises(InvalidCursor, match="another filter"):
            log.reader.page(other, cursor=cursor)
    with pytest.raises(InvalidCursor, match="another filter"):
        log.reader.latest_states("task", asked("tenant:tenant-0,tenant-1"), cursor=cursor)


def test_microseconds_and_far_times_come_back_exactly(log: Log) -> None:
    texts = ["2026-06-15T11:30:00.123456", "1970-01-01T00:00:00.000001", "2200-12-31T23:59:59.999999"]
    log.store([{"occurred_at": at(t), "received_at": at("2026-06-15T11:30:00") // 1000} for t in texts])
    rows = log.reader.page(asked(), fields=["occurred_at", "kafka_offset"]).rows
    assert {r["kafka_offset"]: r["occurred_at"].isoformat() for r in rows} == {
        i: f"{t}+00:00" for i, t in enumerate(texts)
    }
    days = log.reader.histogram(asked(), "day")
    assert [b.start.date().isoformat() for b in days] == ["1970-01-01", "2026-06-15", "2200-12-31"]


def test_an_expired_event_is_gone_although_no_merge_removed_it(log: Log) -> None:
    past = at("2026-01-01T00:00:00") // 1000
    log.store([{"expires_at": past}, {}])
    assert log.offsets("") == [1]
    assert log.reader.count(asked()) == 1
    assert log.reader.details(str(UUID(int=1))) == []
    assert follow(log, "", START)[0] == [(str(TOPIC), 0, 1)]


def test_an_event_comes_with_its_bodies_and_the_card_of_its_actor_now(log: Log) -> None:
    log.store([{"actor_id": "u-1", "actor_name": "Ann then", "tenant_id": "acme"}, {"tenant_id": "acme"}], payloads=[0])
    insert_card(log, name="Ann now", status="active", offset=1)
    detail = log.reader.details(str(UUID(int=1)))[0]
    assert (detail.event["actor_name"], detail.actor and detail.actor["name"]) == ("Ann then", "Ann now")
    assert detail.payload
    assert detail.payload["api_request_body"] == "body 0"
    insert_card(log, name="Ann now", status="active", offset=2, deleted=True)
    assert log.reader.actor("acme", "u-1") == {**(detail.actor or {}), "deleted": True}
    other = log.reader.details(str(UUID(int=2)))[0]
    assert (other.payload, other.actor) == (None, None)


def insert_card(log: Log, *, name: str, status: str, offset: int, deleted: bool = False) -> None:
    connections = Connections(log.settings)
    connections.command(
        f"INSERT INTO {log.settings.database}.actors (tenant_id, actor_id, name, status, kafka_offset, deleted) "
        f"VALUES ('acme', 'u-1', '{name}', '{status}', {offset}, {deleted})"
    )
    connections.close()


def test_an_event_sent_twice_is_shown_twice_and_only_of_the_tenant_asked_for(log: Log) -> None:
    same = {"event_id": UUID(int=9).bytes}
    log.store([{**same, "tenant_id": "a"}, {**same, "tenant_id": "b"}, {**same, "tenant_id": "a"}])
    assert [d.event["kafka_offset"] for d in log.reader.details(str(UUID(int=9)))] == [0, 1, 2]
    assert [d.event["kafka_offset"] for d in log.reader.details(str(UUID(int=9)), tenant="a")] == [0, 2]
    with pytest.raises(InvalidFilter, match="UUID"):
        log.reader.details("' OR 1=1 --")


def test_nested_groups_are_lists_of_objects(log: Log) -> None:
    changes = {
        "changes.field": ["a", "b"],
        "changes.before": [None, "1"],
        "changes.after": ["x", None],
        "changes.masked": [True, False],
    }
    log.store([changes])
    assert log.reader.page(asked(), fields=["changes"]).rows == [
        {
            "changes": [
                {"field": "a", "before": None, "after": "x", "masked": True},
                {"field": "b", "before": "1", "after": None, "masked": False},
            ]
        }
    ]


def test_arrivals_skip_no_event_of_any_partition_and_repeat_none(log: Log) -> None:
    log.store([{}] * 7, dead=[0, 6])
    log.store([{}] * 2, partition=1)
    first, position = follow(log, "", START)
    log.store([{"occurred_at": at("1990-01-01T00:00:00")}] * 5)
    log.store([{}] * 1, partition=5)
    log.store([{}] * 4, topic=OTHER_TOPIC)
    second, position = follow(log, "", Position.decode(position.encode()))
    assert sorted(first) == sorted([(str(TOPIC), 0, i) for i in range(1, 6)] + [(str(TOPIC), 1, i) for i in (0, 1)])
    new = (
        [(str(TOPIC), 0, i) for i in range(7, 12)] + [(str(TOPIC), 5, 0)] + [(str(OTHER_TOPIC), 0, i) for i in range(4)]
    )
    assert sorted(second) == sorted(new)
    assert position == log.reader.newest_position()
    assert follow(log, "", position)[0] == []


def test_arrivals_do_not_show_a_range_before_it_is_complete(log: Log) -> None:
    log.store([{}] * 2)
    _, position = follow(log, "", START)
    # Events of a range that a worker began and has not finished: the manifest does not have it yet.
    half = OffsetRange("audit.events", TOPIC, 0, 2, 5)
    connections = Connections(log.settings)
    connections.insert(f"{log.settings.database}.audit_events", batch(half).events.slice(2), "", query_id="half")
    connections.close()
    assert follow(log, "", position) == ([], position)
    log.sink.complete(batch(half), log.sink.heads(TOPIC, [0])[0].sha256)
    assert follow(log, "", position)[0] == [(str(TOPIC), 0, i) for i in range(2, 6)]


def test_arrivals_with_a_filter_move_on_over_what_does_not_match(log: Log) -> None:
    log.store([{"outcome": "failure" if i in (3, 17) else "success"} for i in range(20)])
    found, position = follow(log, "outcome:failure", START, limit=1)
    assert found == [(str(TOPIC), 0, 3), (str(TOPIC), 0, 17)]
    assert position == log.reader.newest_position()


def test_the_latest_state_of_a_task_is_the_one_with_the_highest_sequence(log: Log) -> None:
    def task(id_: str, seq: int, status: str, tenant: str = "acme") -> dict[str, Any]:
        return {
            "record_kind": "task",
            "tenant_id": tenant,
            "task_id": id_,
            "task_state_seq": seq,
            "task_status": status,
        }

    log.store(
        [task("a", 2, "done"), task("a", 1, "failed"), task("b", 1, "in_progress"), task("a", 1, "failed", "globex")]
    )
    log.store([task("b", 2, "failed")], partition=1)
    log.store(
        [{"record_kind": "task", "task_id": ""}, {"record_kind": "action", "task_id": "c", "task_status": "failed"}]
    )

    def latest(text: str) -> list[tuple[str, str, str]]:
        fields = ["tenant_id", "task_id", "task_status"]
        return sorted(tuple(r.values()) for r in log.reader.latest_states("task", asked(text), fields=fields).rows)

    assert latest("") == [("acme", "a", "done"), ("acme", "b", "failed"), ("globex", "a", "failed")]
    assert latest("task_status:failed") == [("acme", "b", "failed"), ("globex", "a", "failed")]
    assert latest("task_status:failed tenant:acme") == [("acme", "b", "failed")]
    first = log.reader.latest_states("task", asked(), limit=2)
    rest = log.reader.latest_states("task", asked(), limit=2, cursor=first.next_cursor)
    assert (len(first.rows), len(rest.rows), rest.next_cursor) == (2, 1, None)


def test_a_shortcut_changes_no_answer(log: Log) -> None:
    past = at("2026-01-01T00:00:00") // 1000
    rows: list[dict[str, Any]] = []
    for i in range(400):
        row = {
            "tenant_id": "t",
            "actor_id": f"u{i % 3}",
            "occurred_at": at("2026-06-01T00:00:00") + i // 5,
            "target_type": "x",
        }
        row |= {
            "target_id": f"{i % 2}",
            "ip": address(f"10.0.0.{i % 4}"),
            "outcome": "denied" if i % 50 == 0 else "success",
        }
        rows.append(row | ({"expires_at": past} if i % 7 == 0 else {}))
    log.store(rows)
    for text in (
        "actor_id:u1",
        "target:x/1",
        "object_type:x object_id:0",
        "ip:10.0.0.2",
        "actor_id:u0 outcome:denied",
        "(ip:10.0.0.3 OR actor_id:u2 OR (target:x/1 outcome:denied))",
    ):
        for descending in (True, False):
            short = asked(f"tenant:t {text}", descending=descending)
            # A negated negation is the same question, and no shortcut serves it.
            long = asked(f"tenant:t NOT NOT ({text})", descending=descending)
            assert Shortcut.of(short)
            assert Shortcut.of(long) is None
            assert walk(log, short, 40) == walk(log, long, 1000)


@pytest.mark.parametrize(
    "text",
    [
        "actor_id:u1",
        "target:x/1",
        "ip:10.0.0.2",
        "actor_id:u1 since:2025-01-01",
        "(ip:10.0.0.2 OR actor_id:u1 OR target:x/1)",
    ],
)
def test_a_shortcut_is_served_by_its_projection(log: Log, text: str) -> None:
    log.store([{"tenant_id": "t", "actor_id": "u1"}] * 3)
    shortcut = Shortcut.of(asked(f"tenant:t {text}"))
    assert shortcut
    parameters = Parameters()
    statement = shortcut.statement(None, 10, parameters)
    client = open_client(log.settings)
    # The engine refuses this setting (code 584) when no projection can be used.
    client.query(statement, parameters=parameters.values, settings={**SETTINGS, "force_optimize_projection": 1})
    client.close()


def test_figures_count_every_event_once(log: Log) -> None:
    log.store([{"geo_country": c, "occurred_at": at("2026-03-29T00:30:00")} for c in ("DE", "FR", "DE", "AT")])
    assert [(v.value, v.events) for v in log.reader.facet(asked(), "country", top=2)] == [("DE", 2), ("AT", 1)]
    assert [v.value for v in log.reader.facet(asked(), "ip")] == [None]
    assert [b.events for b in log.reader.histogram(asked("-country:AT"), "hour")] == [3]
    with pytest.raises(InvalidFilter, match='did you mean "country"'):
        log.reader.facet(asked(), "contry")
    with pytest.raises(InvalidFilter, match='did you mean "month"'):
        log.reader.histogram(asked(), "months")


def test_dead_letters_and_batches_are_listed_page_by_page(log: Log) -> None:
    log.store([{}] * 6, dead=[1, 2, 4])
    log.store([{}] * 1, partition=1)
    first = log.reader.dead_letters(DeadLetterFilter(topic="audit.events", stage="decode"), limit=2)
    rest = log.reader.dead_letters(
        DeadLetterFilter(topic="audit.events", stage="decode"), limit=2, cursor=first.next_cursor
    )
    assert [r["kafka_offset"] for r in (*first.rows, *rest.rows)] == [4, 2, 1]
    assert (rest.next_cursor, rest.rows[0]["raw"]) == (None, b"\x00\xff")
    with pytest.raises(InvalidCursor):
        log.reader.dead_letters(limit=2, cursor=first.next_cursor)
    assert log.reader.dead_letters(DeadLetterFilter(reason_code="' OR 1=1 --")).rows == []
    batches = log.reader.ingest_batches(BatchFilter(partition=0)).rows
    assert [(b["first_offset"], b["last_offset"], b["stored"], b["dead_lettered"]) for b in batches] == [(0, 5, 3, 3)]
    assert len(batches[0]["digests"][0]["sha256"]) == 64


def test_a_read_past_its_limit_says_which_filter_would_help(log: Log) -> None:
    log.store([{"tenant_id": f"t{i}"} for i in range(2000)])
    with Reader(open_client(log.settings), Limits(rows=100)) as reader:
        with pytest.raises(QueryTooExpensive, match="limit of rows: add a period, for example since:7d"):
            reader.count(asked("text:x"))
        with pytest.raises(QueryTooExpensive, match="add tenant:ID"):
            reader.count(asked("since:2000-01-01 text:x"))


def test_a_read_cannot_write(log: Log) -> None:
    with pytest.raises(Exception, match="Cannot execute query in readonly mode"):
        open_client(log.settings).query(
            f"INSERT INTO {log.settings.database}.audit_events (tenant_id) SELECT 'x'", settings=Limits().settings()
        )


def test_a_database_without_tables_says_what_to_run(chdb_settings: ClickHouseSettings) -> None:
    with pytest.raises(DatabaseNotReady, match="auditstream migrate"):
        open_reader(chdb_settings)


def test_limits_and_columns_out_of_range_are_refused(log: Log) -> None:
    for limit in (0, -1, 10_001):
        with pytest.raises(InvalidFilter, match="1 to 10000"):
            log.reader.page(asked(), limit=limit)
    with pytest.raises(InvalidFilter, match='did you mean "actor_id"'):
        log.reader.page(asked(), fields=["actr_id"])
    with pytest.raises(InvalidFilter, match="no such column"):
        log.reader.page(asked(), fields=["1) FROM system.one --"])
