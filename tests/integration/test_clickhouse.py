"""What the promise rests on in ClickHouse itself: tables, expiry, start-up checks, migrations, error codes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from infrastructure.clickhouse import fresh_database
from sinks.checks import expected_types
from sinks.clickhouse import ClickHouseSink
from sinks.clickhouse_errors import BAD_ROW, STOP
from sinks.connection import Connections
from sinks.errors import SinkMisconfigured, SinkStopped
from sinks.manifest import NO_PREVIOUS
from sinks.migrate import Migration, Migrator, shipped
from sinks.rows import ACTORS, EVENTS
from sinks.settings import ClickHouseSettings
from sinks.sink import OffsetRange
from sinks.testing import batch, rows

FOREVER_MS = 10_413_791_999_999


@pytest.fixture
def connections(chdb_settings: ClickHouseSettings) -> Iterator[Connections]:
    opened = Connections(chdb_settings)
    yield opened
    opened.command(f"DROP DATABASE IF EXISTS {chdb_settings.database} SYNC")
    opened.close()


@pytest.fixture
def sink(connections: Connections) -> Iterator[ClickHouseSink]:
    Migrator(connections).migrate()
    opened = ClickHouseSink(connections.settings)
    yield opened
    opened.close()


@pytest.fixture
def name(connections: Connections) -> str:
    return connections.settings.database


def span() -> OffsetRange:
    return OffsetRange("audit.events", uuid4(), 0, 0, 3)


def problems(sink: ClickHouseSink) -> str:
    with pytest.raises(SinkMisconfigured) as caught:
        sink.check()
    return "\n".join(caught.value.problems)


@pytest.mark.usefixtures("sink")
def test_the_tables_have_exactly_the_columns_that_the_contract_names(connections: Connections, name: str) -> None:
    for table, wanted in expected_types().items():
        found = connections.rows(f"DESCRIBE TABLE {name}.{table}")
        assert {r["name"]: r["type"] for r in found} == wanted
        assert [r["name"] for r in found] == list(wanted)


def test_expired_rows_go_and_rows_that_are_kept_for_ever_stay(
    sink: ClickHouseSink, connections: Connections, name: str
) -> None:
    past = int(time.time() * 1000) - 86_400_000
    lives = {0: (past, 1), 1: (FOREVER_MS, 0), 2: (past + 30 * 86_400_000, 30), 3: (FOREVER_MS, 3650)}
    values = {o: {"expires_at": ms, "retention_days": days} for o, (ms, days) in lives.items()}
    sink.write(batch(span(), values=values), NO_PREVIOUS)
    connections.command(f"ALTER TABLE {name}.{EVENTS} MODIFY SETTING merge_with_ttl_timeout = 0")
    connections.command(f"OPTIMIZE TABLE {name}.{EVENTS} FINAL")
    kept = connections.rows(f"SELECT kafka_offset FROM {name}.{EVENTS} ORDER BY kafka_offset")
    assert [r["kafka_offset"] for r in kept] == [1, 2, 3]


def test_what_expires_leaves_its_partition_and_its_projections_and_nothing_else(
    sink: ClickHouseSink, connections: Connections, name: str
) -> None:
    past = int(time.time() * 1000) - 60 * 86_400_000
    values = {
        o: {"expires_at": FOREVER_MS if o % 2 else past, "retention_days": 0 if o % 2 else 90, "actor_id": "a"}
        for o in range(4)
    }
    sink.write(batch(span(), values=values), NO_PREVIOUS)
    partitions = (
        f"SELECT uniqExact(partition_id) AS n FROM system.parts WHERE database = '{name}' AND table = '{EVENTS}'"
    )
    assert connections.rows(partitions) == [{"n": 1}]
    connections.command(f"ALTER TABLE {name}.{EVENTS} MODIFY SETTING merge_with_ttl_timeout = 0")
    connections.command(f"OPTIMIZE TABLE {name}.{EVENTS} FINAL")
    kept = connections.rows(f"SELECT kafka_offset FROM {name}.{EVENTS} ORDER BY kafka_offset")
    assert [r["kafka_offset"] for r in kept] == [1, 3]
    for projection, asked in {
        "p_hour": "count() AS n",
        "n_actor": "countIf(actor_id = 'a') AS n",
        "n_kafka": "countIf(kafka_offset >= 0) AS n",
    }.items():
        forced = f"SETTINGS force_optimize_projection = 1, force_optimize_projection_name = '{projection}'"
        group = (
            "GROUP BY tenant_id"
            if projection == "p_hour"
            else "WHERE tenant_id != ''"
            if projection == "n_actor"
            else "WHERE kafka_partition >= 0"
        )
        assert sum(r["n"] for r in connections.rows(f"SELECT {asked} FROM {name}.{EVENTS} {group} {forced}")) == 2


def test_the_view_hides_what_has_expired_although_it_is_still_there(
    sink: ClickHouseSink, connections: Connections, name: str
) -> None:
    connections.command(f"SYSTEM STOP MERGES {name}.{EVENTS}")
    values = {0: {"expires_at": int(time.time() * 1000) - 1000}}
    one = span()
    sink.write(batch(one, values=values), NO_PREVIOUS)
    shown = connections.rows(f"SELECT kafka_offset FROM {name}.audit_log ORDER BY kafka_offset")
    assert [r["kafka_offset"] for r in shown] == [1, 2, 3]
    connections.command(f"SYSTEM START MERGES {name}.{EVENTS}")


def test_the_view_shows_addresses_as_text_and_the_actor_as_it_is_today(
    sink: ClickHouseSink, connections: Connections, name: str
) -> None:
    v4, v6 = bytes(10) + b"\xff\xff\x01\x02\x03\x04", bytes.fromhex("20010db8000000000000000000000001")
    people: dict[int, dict[str, Any]] = {
        0: {"actor_id": "a", "ip": v4},
        1: {"actor_id": "b", "ip": v6},
        2: {"actor_id": "c"},
        3: {"actor_id": "a"},
    }
    values = {o: {"tenant_id": "t", "actor_name": "then", **v} for o, v in people.items()}
    sink.write(batch(span(), values=values), NO_PREVIOUS)
    cards = [
        {"tenant_id": "t", "actor_id": "a", "name": "now", "status": "active", "kafka_offset": 1},
        {"tenant_id": "t", "actor_id": "b", "name": "gone", "deleted": True, "kafka_offset": 2},
        {"tenant_id": "other", "actor_id": "c", "name": "stranger", "kafka_offset": 3},
    ]
    sink.write_actors(rows(ACTORS, cards))
    shown = connections.rows(
        f"SELECT ip_text, actor_name, live_actor_name, live_actor_status FROM {name}.audit_log ORDER BY kafka_offset"
    )
    assert [tuple(r.values()) for r in shown] == [
        ("1.2.3.4", "then", "now", "active"),
        ("2001:db8::1", "then", "gone", "deleted"),
        ("", "then", "", ""),
        ("", "then", "now", "active"),
    ]


def test_uuids_and_addresses_read_as_the_text_they_were_made_from(
    sink: ClickHouseSink, connections: Connections, name: str
) -> None:
    one, identity = span(), uuid4()
    sink.write(batch(one, values={0: {"event_id": identity.bytes, "ip": bytes(15) + b"\x01"}}), NO_PREVIOUS)
    row = connections.rows(
        f"SELECT toString(event_id) AS id, toString(kafka_topic_id) AS topic, toString(ip) AS ip FROM {name}.{EVENTS} WHERE kafka_offset = 0"
    )
    assert row == [{"id": str(identity), "topic": str(one.topic_id), "ip": "::1"}]


def test_dates_from_1970_to_2200_are_stored_in_one_block_that_does_not_spray_over_partitions(
    sink: ClickHouseSink, connections: Connections, name: str
) -> None:
    year_us = 31_556_952_000_000
    one = OffsetRange("audit.events", uuid4(), 0, 0, 230)
    sink.write(batch(one, values={o: {"occurred_at": o * year_us} for o in range(231)}), NO_PREVIOUS)
    assert len(sink.stored(one).events) == 231
    where = f"database = '{name}' AND table = '{EVENTS}' AND active"
    found = connections.rows(f"SELECT uniqExact(partition) AS n FROM system.parts WHERE {where}")
    assert found[0]["n"] <= 3


def test_a_null_where_none_may_be_is_refused_and_not_silently_emptied(sink: ClickHouseSink) -> None:
    one = span()
    manifest = sink.write(batch(one, values={2: {"outcome_reason": None}}), NO_PREVIOUS)
    assert (manifest.stored, manifest.dead_lettered) == (3, 1)
    assert sink.stored(one).dead_letters == (2,)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "ALTER TABLE {db}.audit_events MODIFY SETTING non_replicated_deduplication_window = 0",
            "audit_events: non_replicated_deduplication_window: found 0, needed 10000 or more",
        ),
        ("ALTER TABLE {db}.dead_letters RESET SETTING non_replicated_deduplication_window", "dead_letters: non_repl"),
        (
            "ALTER TABLE {db}.audit_events DROP COLUMN hook_error",
            "audit_events: column hook_error: found no such column",
        ),
        (
            "ALTER TABLE {db}.audit_payloads MODIFY COLUMN request_id Nullable(String)",
            "audit_payloads: column request_id: found Nullable(String), needed String",
        ),
        (
            "ALTER TABLE {db}.audit_events MODIFY COLUMN origin_name DEFAULT 'unknown'",
            "audit_events: column origin_name: found a DEFAULT expression, needed none",
        ),
        ("DROP TABLE {db}.ingest_batches SYNC", "ingest_batches: the table is missing"),
        (
            "RENAME TABLE {db}.dead_letters TO {db}.old; CREATE TABLE {db}.dead_letters AS {db}.old ENGINE = Memory",
            "dead_letters: engine: found Memory",
        ),
    ],
)
def test_a_database_that_would_break_the_promise_is_refused_by_name(
    sink: ClickHouseSink, connections: Connections, name: str, statement: str, told: str
) -> None:
    for part in statement.format(db=name).split("; "):
        connections.command(part)
    assert f"{name}.{told}" in problems(sink)


def test_a_database_without_tables_asks_for_the_migration(connections: Connections) -> None:
    assert "run `auditstream migrate`" in problems(ClickHouseSink(connections.settings))


def test_migrating_twice_applies_nothing_the_second_time(connections: Connections) -> None:
    assert [m.version for m in Migrator(connections).migrate()] == [m.version for m in shipped()]
    assert Migrator(connections).migrate() == []


def test_workers_that_migrate_at_the_same_time_do_not_disturb_each_other(
    clickhouse_served: ClickHouseSettings,
) -> None:
    settings = fresh_database(clickhouse_served)
    barrier, failures = threading.Barrier(3), []

    def migrate() -> None:
        own = Connections(settings)
        barrier.wait()
        try:
            Migrator(own).migrate()
        except Exception as error:
            failures.append(error)
        own.close()

    threads = [threading.Thread(target=migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    sink = ClickHouseSink(settings)
    sink.check()
    sink.close()


def test_a_migration_file_that_was_changed_after_it_was_applied_is_refused(connections: Connections) -> None:
    Migrator(connections).migrate()
    changed = [Migration(m.version, m.name, m.sql + "\n-- a note") for m in shipped()]
    with pytest.raises(SinkMisconfigured, match="0001_tables was applied as"):
        Migrator(connections, changed).migrate()


def test_a_database_that_is_newer_than_this_version_is_refused(connections: Connections) -> None:
    newer = Migration(99, "later", "CREATE TABLE IF NOT EXISTS ${database}.later (x UInt8) ENGINE = Memory")
    Migrator(connections, [*shipped(), newer]).migrate()
    with pytest.raises(SinkMisconfigured, match="migration 0099 is applied"):
        Migrator(connections).pending()


def test_a_migration_that_fails_is_not_recorded_and_runs_again(connections: Connections) -> None:
    sql = "CREATE TABLE IF NOT EXISTS ${database}.first (x UInt8) ENGINE = Memory;\nCREATE TABLE ${database}.x (x Nope)"
    with pytest.raises(SinkStopped):
        Migrator(connections, [Migration(1, "broken", sql)]).migrate()
    mended = Migration(1, "broken", sql.replace("(x Nope)", "(x UInt8) ENGINE = Memory"))
    assert Migrator(connections, [mended]).migrate() == [mended]


@pytest.mark.parametrize(("code", "error_name"), sorted({**STOP, **BAD_ROW}.items()))
def test_the_engine_calls_a_code_what_we_call_it(chdb_engine: Connections, code: int, error_name: str) -> None:
    assert chdb_engine.rows(f"SELECT errorCodeToName({code}) AS name") == [{"name": error_name}]


@pytest.fixture(scope="module")
def chdb_engine(request: pytest.FixtureRequest) -> Iterator[Connections]:
    opened = Connections(ClickHouseSettings(interface="chdb", path=request.getfixturevalue("chdb_path")))
    yield opened
    opened.close()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, clickhouse_settings: ClickHouseSettings) -> Callable[..., tuple[int, str]]:
    from auditstream.commands.migrate import migrate  # noqa: PLC0415 - as the command line imports it

    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_HOST", clickhouse_settings.host)
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_PORT", str(clickhouse_settings.port))
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_DATABASE", clickhouse_settings.database)

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(migrate, list(arguments))
        return result.exit_code, result.output

    return invoke


def test_the_command_says_what_it_would_run_then_what_it_ran_then_that_nothing_is_left(
    run: Callable[..., tuple[int, str]], clickhouse_settings: ClickHouseSettings
) -> None:
    code, text = run("--dry-run")
    assert code == 0
    assert f"CREATE TABLE IF NOT EXISTS `{clickhouse_settings.database}`.audit_events" in text
    assert f"{len(shipped())} migrations pending; nothing was changed" in text
    code, text = run()
    assert (code, text.splitlines()[-1]) == (0, f"{len(shipped())} migrations applied")
    assert text.startswith("applied 0001_tables (sha256 ")
    assert run() == (0, "nothing to do: all migrations are applied\n")


def test_the_command_fails_with_the_reason_when_there_is_no_database(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_PORT", "1")
    code, text = run()
    assert code == 1
    assert "not available" in text


def test_a_wrong_option_is_wrong_usage(run: Callable[..., tuple[int, str]]) -> None:
    assert run("--nope")[0] == 2
