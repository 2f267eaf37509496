"""Exports as audit events: sent by our own producer, kept while Kafka is away, never in the way of an export."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditstream.export_trail import audit_event, export_trail
from auditstream.settings import Settings
from infrastructure.clickhouse import fresh_database
from infrastructure.kafka import Topics
from infrastructure.ports import free_port
from infrastructure.sent_events import sent_events
from producers import ProducerSettings
from query.exports import Entry, ExportJobs, ExportRequest, ExportSettings, Job, Requester
from query.period import micros
from query_log import Log, asked, open_log
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.registry import open_registry, value_subject
from schemas.settings import KafkaSettings, RegistrySettings
from sinks.settings import ClickHouseSettings

BOB = Requester("u-2", name="Bob", origin="api", ip="203.0.113.7", request_id="req-1")


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        opened.store([{"tenant_id": "acme"}, {"tenant_id": "acme"}])
        yield opened


def settings_of(tmp_path: Path, kafka: KafkaSettings, registry: RegistrySettings) -> Settings:
    kept = ExportSettings(storage=str(tmp_path / "kept"), audit_spool_dir=tmp_path / "spool", expire_after_s=60)
    return Settings(kafka=kafka, registry=registry, export=kept, producer=ProducerSettings(source_service="never used"))


@pytest.fixture
def unreachable(tmp_path: Path) -> Settings:
    kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_port()}")
    registry = RegistrySettings(url=f"http://127.0.0.1:{free_port()}", cache_dir=tmp_path / "cache", retries=0)
    return settings_of(tmp_path, kafka, registry)


def test_every_step_of_an_export_becomes_an_event_of_the_log(
    log: Log, tmp_path: Path, kafka_bootstrap: str, schema_registry_url: str, topics: Topics
) -> None:
    topic = topics.create(partitions=1)
    registry_settings = RegistrySettings(url=schema_registry_url, cache_dir=tmp_path / "cache")
    registry = open_registry(registry_settings)
    registry.register(value_subject(topic), avro_schema("audit_event", 1))
    registry.close()
    kafka = KafkaSettings(bootstrap_servers=kafka_bootstrap, events_topic=topic)
    settings = settings_of(tmp_path, kafka, registry_settings)
    clock = [datetime.now(UTC)]
    problems: list[str] = []
    with export_trail(settings, problems.append) as trail:
        jobs = ExportJobs(settings.export, trail=trail, now=lambda: clock[0])
        job = jobs.make(ExportRequest(asked("tenant:acme outcome:success"), BOB, "csv"), log.reader)
        clock[0] += timedelta(seconds=1)
        with jobs.download(job.id, BOB) as download:
            assert download.file.read()
        clock[0] += timedelta(seconds=60)
        jobs.expire()
    assert problems == []
    events = sent_events(settings, 4, timeout_s=30)
    assert [e["event_code"] for e in events] == [
        "export.request",
        "export.ready",
        "export.download",
        "export.expired",
    ]
    assert [e["export"]["state"] for e in events] == ["pending", "ready", "ready", "expired"]
    assert [e["export"]["download_count"] for e in events] == [0, 0, 1, 1]
    assert {(e["tenant_id"], e["record_kind"], e["source_service"]) for e in events} == {
        ("acme", "export", "auditstream")
    }
    assert {e["export"]["export_id"] for e in events} == {e["target_id"] for e in events} == {job.id}
    assert job.manifest is not None
    ready = events[1]["export"]
    assert (ready["sha256"], ready["row_count"]) == (job.manifest["sha256"], job.manifest["rows"])
    assert "outcome:success" in ready["filters"]
    assert [e["actor_id"] for e in events] == ["u-2", "auditstream", "u-2", "auditstream"]
    assert [(e["origin"], e["request_id"], bool(e["ip"])) for e in events[::2]] == [("api", "req-1", True)] * 2
    sequence = [e["export"]["state_seq"] for e in events]
    assert sequence == sorted(sequence)


def test_an_outage_holds_no_export_up_and_its_events_wait(log: Log, unreachable: Settings) -> None:
    problems: list[str] = []
    started = time.monotonic()
    with export_trail(unreachable, problems.append) as trail:
        job = ExportJobs(unreachable.export, trail=trail).make(ExportRequest(asked(), BOB), log.reader)
    assert job.state == "ready"
    assert time.monotonic() - started < 30
    assert problems == [f"2 audit events of exports wait for Kafka in {unreachable.export.audit_spool_dir}"]
    with export_trail(unreachable, problems.append):
        pass
    assert problems[1:] == problems[:1]


def test_commands_side_by_side_have_a_spool_each(unreachable: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditstream.export_trail._CLOSE_S", 0.1)
    problems: list[str] = []
    with export_trail(unreachable, problems.append), export_trail(unreachable, problems.append):
        assert {p.name for p in unreachable.export.audit_spool_dir.iterdir()} == {"0", "1"}
    assert problems == []


def test_a_trail_that_cannot_be_opened_is_reported_and_the_export_goes_on(unreachable: Settings) -> None:
    unreachable.export.audit_spool_dir.write_text("a file where a directory should be")
    problems: list[str] = []
    with export_trail(unreachable, problems.append) as trail:
        ExportJobs(unreachable.export, trail=trail).request(ExportRequest(asked(), BOB))
    assert len(problems) == 1
    assert problems[0].startswith("this export leaves no audit events")


def test_a_trail_that_is_switched_off_makes_no_spool(unreachable: Settings) -> None:
    off = unreachable.model_copy(update={"export": unreachable.export.model_copy(update={"audit": False})})
    with export_trail(off, pytest.fail) as trail:
        ExportJobs(off.export, trail=trail).request(ExportRequest(asked(), BOB))
    assert not off.export.audit_spool_dir.exists()


def test_every_event_code_of_an_export_is_in_the_catalogue() -> None:
    catalogue = Catalogue.load(())
    entry = Entry("error", datetime.now(UTC), data={"problem": "gone"})
    asked_for = ExportRequest(asked(), BOB)
    job = Job("7c9e6679-7425-40de-944b-e07fc1f90ae7", asked_for, (Entry("request", entry.at, BOB), entry))
    made = audit_event(job, entry, "auditstream")
    assert made.event_code in catalogue
    assert (made.outcome, made.outcome_reason, made.tenant_id) == ("failure", "gone", "auditstream")
    assert made.export is not None
    assert made.export.state_seq == micros(entry.at)
