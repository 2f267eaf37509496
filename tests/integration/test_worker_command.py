"""The real command ``auditstream worker`` against real servers: exit codes, signals, probes, metrics and logs."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infrastructure.bench import Bench
from infrastructure.clickhouse import Database
from infrastructure.fleet import worker_environment
from infrastructure.processes import ControlledProcess, Processes
from infrastructure.running import Warehouse, eventually, joined
from sinks.settings import ClickHouseSettings

pytest_plugins = ["infrastructure.running_fixtures"]

Start = Callable[..., ControlledProcess]


@pytest.fixture
def start(bench: Bench, clickhouse_settings: ClickHouseSettings, processes: Processes, tmp_path: Path) -> Start:
    """Starts the command on the bench; further settings as ``section_key="value"``."""

    def run(clickhouse: ClickHouseSettings = clickhouse_settings, **settings: str) -> ControlledProcess:
        address = (bench.topics.bootstrap, bench.registry_settings.url, bench.topic)
        given = {"worker_group_id": bench.group, "worker_batch_age_s": "0.1"} | settings
        environment = worker_environment(*address, clickhouse, tmp_path, **given)
        command = [Path(sys.executable).with_name("auditstream"), "worker"]
        return processes.start("worker", command, environment=environment)

    return run


def url(worker: ControlledProcess) -> str:
    found = worker.wait_for_log(r'"event": "probe_listening"|"port": \d+.*probe_listening|probe_listening.*"port": \d+')
    line = next(line for line in worker.log_text().splitlines() if "probe_listening" in line)
    assert found
    return f"http://127.0.0.1:{json.loads(line)['port']}"


def sample(text: str, name: str) -> float:
    """Return the sum of a metric over its labels."""
    return sum(s.value for f in text_string_to_metric_families(text) for s in f.samples if s.name == name)


def metric(worker: ControlledProcess, name: str) -> float:
    return sample(httpx.get(f"{url(worker)}/metrics").text, name)


def is_ready(worker: ControlledProcess) -> bool:
    return httpx.get(f"{url(worker)}/health/ready").status_code == httpx.codes.OK


def log_lines(worker: ControlledProcess) -> list[dict[str, object]]:
    return [json.loads(line) for line in worker.log_text().splitlines()]


def test_a_worker_serves_probes_and_metrics_logs_json_without_secrets_and_stops_with_0(
    bench: Bench, warehouse: Warehouse, start: Start
) -> None:
    secrets = {"kafka_sasl_password": "hush-kafka-4711", "registry_password": "hush-registry-4712"}
    bench.send(*bench.events(300), b"bad", bench.event(300, event_code="noise.a"))
    more = {"kafka_sasl_username": "u", "registry_username": "r", "log_level": "debug"}
    worker = start(worker_drop_event_codes='["noise.*"]', **more, **secrets)
    eventually(lambda: metric(worker, "auditstream_messages_total") >= 302, "all messages")
    eventually(lambda: metric(worker, "auditstream_messages_held") == 0, "the gauge")
    text = httpx.get(f"{url(worker)}/metrics").text
    parts = ("auditstream_messages_total", "auditstream_messages_held", "auditstream_messages_discarded_total")
    assert sample(text, "auditstream_messages_consumed_total") == sum(sample(text, p) for p in parts) == 302
    assert httpx.get(f"{url(worker)}/health/live").status_code == httpx.codes.OK
    ready = httpx.get(f"{url(worker)}/health/ready")
    assert (ready.status_code, ready.text) == (httpx.codes.OK, "making progress\n")
    assert httpx.get(f"{url(worker)}/secrets").status_code == httpx.codes.NOT_FOUND
    eventually(lambda: bench.committed()[1].endswith(" -"), "the idle commit")
    assert worker.terminate() == 0
    lines = log_lines(worker)
    assert {"probe_listening", "worker_started", "partitions_assigned", "worker_stopped"} <= {
        str(n["event"]) for n in lines
    }
    assert all({"timestamp", "level"} <= line.keys() for line in lines)
    assert not [secret for secret in secrets.values() if secret in worker.log_text() + text]
    assert bench.committed()[0] == 302
    assert bench.committed()[1].endswith(" -"), "nothing is left to replay"
    assert joined(warehouse.oracle.manifests(bench.topic, 0)) == (0, 301)


def test_a_database_that_was_not_migrated_is_refused_with_what_to_run(start: Start) -> None:
    worker = start()
    assert worker.wait(30.0) == 2
    assert "auditstream migrate" in worker.log_text()


def test_wrong_settings_are_refused_with_key_value_and_what_is_expected(start: Start) -> None:
    worker = start(worker_batch_rows="many", kafka_security_protocol="TLS", worker_batch_rowz="1")
    assert worker.wait(30.0) == 2
    text = worker.log_text()
    assert "AUDITSTREAM_WORKER_BATCH_ROWS = 'many'" in text
    assert "valid integer" in text
    assert "AUDITSTREAM_KAFKA_SECURITY_PROTOCOL = 'TLS'" in text
    assert "'SASL_SSL'" in text
    assert "AUDITSTREAM_WORKER_BATCH_ROWZ" in text


def test_deleted_unread_messages_end_the_worker_with_1_and_say_what_to_do(
    bench: Bench, warehouse: Warehouse, start: Start
) -> None:
    bench.send(*bench.events(10))
    bench.commit(2)
    bench.delete_before(6)
    worker = start()
    assert worker.wait(30.0) == 1
    assert f"{bench.topic}-0: offset 2 is to be read next, but 4 messages (2 to 5) were deleted" in worker.log_text()
    assert "worker.on_lost_data=skip" in worker.log_text()
    assert warehouse.rows("audit_events") == []
    again = start(worker_on_lost_data="skip")
    eventually(lambda: metric(again, "auditstream_messages_total") == 4, "what is left")
    assert metric(again, "auditstream_offsets_lost_total") == 4
    assert again.terminate() == 0
    assert joined(warehouse.oracle.manifests(bench.topic, 0)) == (6, 9)


@pytest.fixture
def own_warehouse(controlled_database: Database) -> Iterator[Warehouse]:
    made = Warehouse(controlled_database.settings.model_copy(update={"database": "command"}))
    made.migrate()
    yield made
    made.close()


def stuck(bench: Bench, database: Database, start: Start, warehouse: Warehouse, **settings: str) -> ControlledProcess:
    """Start a worker and freeze its database while a range is announced."""
    worker = start(warehouse.settings, **settings)
    bench.send(*bench.events(5))
    eventually(lambda: metric(worker, "auditstream_messages_total") == 5, "the first batch")
    database.pause()
    bench.send(*bench.events(5, 5))
    eventually(lambda: bench.committed()[1].endswith(" 9"), "the range to be announced")
    return worker


def test_a_stop_while_the_database_hangs_keeps_its_budget_and_the_next_worker_finishes(
    bench: Bench, controlled_database: Database, own_warehouse: Warehouse, start: Start
) -> None:
    worker = stuck(bench, controlled_database, start, own_warehouse, worker_stop_budget_s="2")
    begun = time.monotonic()
    assert worker.terminate() == 0
    assert 1.5 < time.monotonic() - begun < 8.0
    assert bench.committed()[0] == 5
    controlled_database.resume()
    again = start(own_warehouse.settings)
    eventually(lambda: bench.committed()[0] == 10, "the announced range")
    assert again.terminate() == 0
    assert [r["kafka_offset"] for r in own_warehouse.rows("audit_events")] == list(range(10))
    assert joined(own_warehouse.oracle.manifests(bench.topic, 0)) == (0, 9)


def test_a_second_signal_ends_the_worker_at_once(
    bench: Bench, controlled_database: Database, own_warehouse: Warehouse, start: Start
) -> None:
    worker = stuck(bench, controlled_database, start, own_warehouse)
    worker.send(signal.SIGTERM)
    time.sleep(0.5)
    assert worker.running, "it waits for the announced range"
    worker.send(signal.SIGTERM)
    assert worker.wait(2.0) == 128 + signal.SIGTERM
    controlled_database.resume()


def test_a_worker_told_to_stop_while_it_waits_for_its_database_ends_with_0(
    start: Start, controlled_database: Database, own_warehouse: Warehouse
) -> None:
    controlled_database.kill()
    worker = start(own_warehouse.settings)
    worker.wait_for_log('"stage": "check"')
    assert worker.terminate(10.0) == 0
