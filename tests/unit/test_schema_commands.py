"""`auditstream schemas` and `auditstream catalogue`: output and exit codes."""

from __future__ import annotations

import csv
import io
import json
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditstream.cli import cli
from schemas.catalogue import Catalogue, reference_page
from schemas.published import all_versions, newest
from schemas.registry import open_registry
from schemas.settings import RegistrySettings

CATALOGUE_FILE = """
[[event]]
code = "invoice.approve"
title = "{actor} approved invoice {target}"
category = "complete"
retention_class = "tax"
description = "An invoice was approved."
"""


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={f"AUDITSTREAM_{k}": v for k, v in environment.items()})


@pytest.fixture
def mock_url() -> str:
    return f"mock://{uuid.uuid4()}"


def test_registering_puts_both_schemas_under_the_subjects_of_the_topics(mock_url: str) -> None:
    result = run("schemas", "register", "--format", "json", REGISTRY_URL=mock_url, KAFKA_EVENTS_TOPIC="e")
    assert result.exit_code == 0, result.output
    assert [(r["subject"], r["schema"]) for r in json.loads(result.stdout)] == [
        ("e-value", "audit_event v1"),
        ("audit.actors-value", "actor v1"),
    ]
    registry = open_registry(RegistrySettings(url=mock_url))
    assert registry.latest("e-value").schema == newest("audit_event").schema


def test_an_incompatible_newest_schema_is_refused_with_exit_code_1(mock_url: str) -> None:
    fields = [{"name": "event_id", "type": "long"}]
    old = {"type": "record", "name": "AuditEvent", "namespace": "auditstream", "fields": fields}
    open_registry(RegistrySettings(url=mock_url)).register("audit.events-value", old)
    for command in ("register", "check"):
        result = run("schemas", command, REGISTRY_URL=mock_url)
        assert result.exit_code == 1
        assert "AuditEvent.event_id: the writer writes long" in result.output


def test_checking_without_registry_compares_what_ships() -> None:
    result = run("schemas", "check", "--offline", REGISTRY_URL="http://127.0.0.1:1")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no problems\n")


def test_a_registry_that_is_away_is_exit_code_1_and_told() -> None:
    result = run("schemas", "list", REGISTRY_URL="http://127.0.0.1:1", REGISTRY_RETRIES="0")
    assert result.exit_code == 1
    assert "the schema registry is not available" in result.stderr


def test_an_address_that_is_none_is_exit_code_2(mock_url: str) -> None:
    result = run("schemas", "list", REGISTRY_URL="registry:8081")
    assert result.exit_code == 2
    assert "registry.url" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("--file", __file__), ("--subject", "s"), ("--file", __file__, "--subject", "s", "--offline")]
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert run("schemas", "check", *arguments).exit_code == 2


def test_a_file_that_is_no_schema_is_told(tmp_path: Path, mock_url: str) -> None:
    file = tmp_path / "x.avsc"
    for text, words in (("{", "not JSON"), ('{"type": "nonsense"}', "nonsense")):
        file.write_text(text)
        result = run("schemas", "check", "--file", str(file), "--subject", "s", REGISTRY_URL=mock_url)
        assert result.exit_code == 1
        assert words in result.stderr


def test_the_published_versions_are_listed_without_registry() -> None:
    result = run("schemas", "list", "--published", "--format", "ndjson")
    listed = [json.loads(line)["sha256"] for line in result.stdout.splitlines()]
    assert listed == [p.sha256 for p in all_versions()]


def test_codes_are_listed_by_pattern_kind_and_category() -> None:
    result = run("catalogue", "list", "loyalty_*", "--category", "activate", "--format", "csv")
    codes = [row["code"] for row in csv.DictReader(io.StringIO(result.stdout))]
    assert codes == ["loyalty_level.activate", "loyalty_program.activate"]
    tasks = run("catalogue", "list", "--kind", "task", "--format", "json")
    assert len(json.loads(tasks.stdout)) == 19


def test_all_codes_are_listed_without_a_pattern() -> None:
    result = run("catalogue", "list", "--format", "ndjson")
    assert [json.loads(line)["code"] for line in result.stdout.splitlines()] == list(Catalogue.load().codes)


def test_one_code_is_shown_with_the_place_that_defines_it() -> None:
    shown = json.loads(run("catalogue", "show", "customer.anonymize", "--format", "json").stdout)[0]
    assert shown["category"] == "anonymize"
    assert shown["defined_at"].startswith("schemas/catalogue/resources.toml:")
    assert "customer.anonymize" in run("catalogue", "show", "customer.anonymize", "--format", "table").stdout


def test_an_unknown_code_is_exit_code_1_with_the_nearest_ones() -> None:
    result = run("catalogue", "show", "campaign.activat")
    assert result.exit_code == 1
    assert "campaign.activate" in result.stderr


def test_a_file_is_checked_with_the_classes_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(CATALOGUE_FILE)
    without = run("catalogue", "check", str(file))
    assert without.exit_code == 1
    assert "retention_class is 'tax'" in without.stderr
    config = tmp_path / "auditstream.toml"
    config.write_text("[retention.classes]\nbusiness = 180\ntax = 3650\n")
    within = run("catalogue", "check", str(file), CONFIG=str(config))
    assert within.exit_code == 0, within.output
    assert within.stdout.startswith("1 codes, all well")


def test_a_catalogue_file_of_the_settings_that_is_wrong_is_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text("[[event]]\n")
    result = run("catalogue", "list", CATALOGUE_FILES=json.dumps([str(file)]))
    assert result.exit_code == 2
    assert f"{file}:1: code is missing" in result.stderr


def test_the_reference_page_is_printed_or_written(tmp_path: Path) -> None:
    page = reference_page(Catalogue.load())
    assert run("catalogue", "docs").stdout == page
    output = tmp_path / "events.md"
    assert run("catalogue", "docs", "--output", str(output)).exit_code == 0
    assert output.read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    "command",
    [
        "schemas register",
        "schemas check",
        "schemas list",
        "catalogue list",
        "catalogue show",
        "catalogue check",
        "catalogue docs",
    ],
)
def test_every_command_has_an_example_in_its_help(command: str) -> None:
    result = run(*command.split(), "--help")
    assert f"auditstream {command}" in result.stdout.partition("Example")[2]
