"""The client against a real registry that goes away and comes back, and the commands against one that stays."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditstream.cli import cli
from infrastructure.registry import Registry as RegistryServer
from schemas.errors import RegistryRefused, RegistryUnavailable, SchemaNotFound
from schemas.published import newest
from schemas.registry import open_registry, value_subject
from schemas.settings import RegistrySettings
from schemas.wire import EventCodec, unframe

EVENT = {"event_id": "01934f3e-0000-7000-8000-000000000001", "event_code": "a.b", "tenant_id": "t", "occurred_at": 1}


def run(url: str, topic: str, cache: Path, *arguments: str) -> Result:
    environment = {
        "AUDITSTREAM_REGISTRY_URL": url,
        "AUDITSTREAM_REGISTRY_CACHE_DIR": str(cache),
        "AUDITSTREAM_KAFKA_EVENTS_TOPIC": topic,
        "AUDITSTREAM_KAFKA_ACTORS_TOPIC": f"{topic}.actors",
    }
    return CliRunner().invoke(cli, ["schemas", *arguments], env=environment)


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_producer_and_worker_start_while_the_registry_is_away(
    controlled_registry: RegistryServer, tmp_path: Path
) -> None:
    settings = RegistrySettings(url=controlled_registry.url, cache_dir=tmp_path, retries=0, timeout_s=2.0)
    published = newest("audit_event").schema
    before = open_registry(settings)
    schema_id = before.register("audit.events-value", published)
    before.schema(schema_id)
    before.close()
    controlled_registry.kill()

    producer, worker = open_registry(settings), open_registry(settings)
    message = EventCodec(published, producer.register("audit.events-value", published)).encode(dict(EVENT))
    assert worker.schema(unframe(message)[0]) == published
    with pytest.raises(RegistryUnavailable):
        worker.schema(schema_id + 1)

    controlled_registry.start()
    with pytest.raises(SchemaNotFound):
        worker.schema(schema_id + 1)
    producer.close()
    worker.close()


def test_a_registry_that_accepts_and_never_answers_is_an_outage(
    controlled_registry: RegistryServer, tmp_path: Path
) -> None:
    opened = open_registry(RegistrySettings(url=controlled_registry.url, cache_dir=tmp_path, retries=1, timeout_s=0.3))
    assert opened.subjects() == []
    controlled_registry.pause()
    try:
        with pytest.raises(RegistryUnavailable, match=r"no answer within 0\.3 s"):
            opened.subjects()
    finally:
        controlled_registry.resume()
    opened.close()


def test_the_root_of_the_server_is_not_the_api_and_the_address_is_named(
    schema_registry_url: str, tmp_path: Path
) -> None:
    root = schema_registry_url.partition("/apis")[0]
    if root == schema_registry_url:
        pytest.skip("this registry serves the API at its root")
    opened = open_registry(RegistrySettings(url=root, cache_dir=tmp_path))
    with pytest.raises(RegistryRefused, match=r"check registry\.url"):
        opened.subjects()
    opened.close()


def test_schemas_are_checked_registered_and_listed_from_the_command_line(
    schema_registry_url: str, tmp_path: Path
) -> None:
    topic = f"events.{uuid.uuid4()}"
    checked = run(schema_registry_url, topic, tmp_path, "check")
    assert (checked.exit_code, checked.stdout) == (0, ""), checked.output

    first, again = (run(schema_registry_url, topic, tmp_path, "register") for _ in range(2))
    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert [r["state"] for r in rows(first)] == ["registered"] * 2
    assert [r["state"] for r in rows(again)] == ["registered before"] * 2
    assert [r["schema_id"] for r in rows(first)] == [r["schema_id"] for r in rows(again)]

    listed = {r["subject"]: r for r in rows(run(schema_registry_url, topic, tmp_path, "list"))}
    assert listed[value_subject(topic)]["published_as"] == "audit_event v1"
    assert listed[value_subject(f"{topic}.actors")]["record"] == "auditstream.Actor"


def test_an_incompatible_file_is_told_with_its_place(schema_registry_url: str, tmp_path: Path) -> None:
    topic = f"events.{uuid.uuid4()}"
    run(schema_registry_url, topic, tmp_path, "register")
    schema = dict(newest("audit_event").schema)
    schema["fields"] = [*schema["fields"], {"name": "mandatory", "type": "string"}]
    file = tmp_path / "next.avsc"
    file.write_text(json.dumps(schema))
    result = run(schema_registry_url, topic, tmp_path, "check", "--file", str(file), "--subject", value_subject(topic))
    assert result.exit_code == 1
    assert rows(result)[0]["problem"].startswith("AuditEvent.mandatory: the writer has no such field")  # type: ignore[attr-defined]
