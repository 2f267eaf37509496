"""``auditstream export`` as people type it, on the real engine."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from auditstream.cli import cli
from infrastructure.clickhouse import fresh_database
from query_log import Log, at, open_log
from sinks.settings import ClickHouseSettings


@pytest.fixture(scope="module")
def tables(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        ann = {
            "occurred_at": at("2026-01-31T23:30:00.123456"),
            "tenant_id": "acme",
            "actor_name": "=cmd|' /C calc'!A1",
            "target_type": "campaign",
            "target_name": "Winter",
            "record_kind": "action",
            "outcome": "failure",
        }
        opened.store([ann, *({"tenant_id": "acme", "outcome": "success"} for _ in range(4)), {"tenant_id": "other"}])
        yield opened


@pytest.fixture
def folder(tables: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory; exports are kept beside it and leave no audit events."""
    given = {
        "CLICKHOUSE_INTERFACE": "chdb",
        "CLICKHOUSE_PATH": str(tables.settings.path),
        "CLICKHOUSE_DATABASE": tables.settings.database,
        "EXPORT_STORAGE": str(tmp_path / "kept"),
        "EXPORT_INTERACTIVE_ROWS": "3",
        "EXPORT_AUDIT": "false",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"AUDITSTREAM_{name}", value)
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["export", *arguments])


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def listed() -> list[dict[str, object]]:
    return [json.loads(line) for line in run("--list").stdout.splitlines()]


def test_standard_output_is_the_file_and_standard_error_says_what_it_is(folder: Path) -> None:
    arguments = ["tenant:acme", "--columns", "time,actor,title,outcome", "--tz", "Europe/Berlin", "--asc", "--full"]
    result = run(*arguments, "--output", "-")
    assert result.exit_code == 0, result.stderr
    heading, *_, last = rows(result.stdout_bytes)
    assert heading == ["time (Europe/Berlin)", "actor", "title", "outcome"]
    assert last[0] == "2026-02-01 00:30:00.123456+01:00"
    assert last[1] == "'=cmd|' /C calc'!A1"
    assert last[2].endswith("activated campaign Winter")
    assert "5 rows, all that match" in result.stderr
    assert f"sha256 {hashlib.sha256(result.stdout_bytes).hexdigest()}" in result.stderr


def test_the_newest_rows_are_exported_and_it_is_said_that_there_are_more(folder: Path) -> None:
    result = run("tenant:acme", "--output", f"{folder}/a.csv")
    assert result.exit_code == 0
    assert "the newest 3 rows; there are more, left out by the limit of 3" in result.stderr
    content = (folder / "a.csv").read_bytes()
    assert len(rows(content)) == 1 + 3
    manifest = json.loads((folder / "a.csv.manifest.json").read_text())
    assert (manifest["truncated"], manifest["rows"], manifest["file"]) == (True, 3, "a.csv")
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_name_of_the_file_chooses_the_format_and_xls_gives_a_workbook(folder: Path) -> None:
    assert run("--output", f"{folder}/a.ndjson").exit_code == 0
    assert len([json.loads(line) for line in (folder / "a.ndjson").read_text().splitlines()]) == 3
    result = run("--output", f"{folder}/a.xls")
    assert (result.exit_code, "xls is written as xlsx" in result.stderr) == (0, True)
    book = openpyxl.load_workbook(io.BytesIO((folder / "a.xls").read_bytes()))
    assert book.sheetnames == ["events", "about"]
    about = {str(row[0].value): row[1].value for row in book["about"]}
    assert about["rows"] == "the newest 3 rows; there are more, left out by the limit of 3"


def test_a_directory_gets_a_file_of_a_telling_name(folder: Path) -> None:
    assert run("--format", "parquet", "--output", str(folder)).exit_code == 0
    data, manifest = sorted(folder.iterdir())
    assert data.name.startswith("auditstream-20")
    assert (data.suffix, manifest.name) == (".parquet", f"{data.name}.manifest.json")


def test_past_exports_are_listed_and_made_again(folder: Path) -> None:
    first = run("tenant:acme outcome:success", "--full", "--columns", "kafka_offset", "--output", "-")
    (line,) = listed()
    assert (line["state"], line["rows"], line["downloads"]) == ("ready", 4, 1)
    assert (line["filter"], line["kind"]) == ("tenant:acme outcome:success", "full")
    again = run("--again", str(line["id"]), "--output", "-")
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert [job["id"] for job in listed()][1] == line["id"]


def test_without_output_the_file_stays_where_exports_are_kept(folder: Path) -> None:
    result = run("--format", "csv")
    assert (result.exit_code, result.stdout) == (0, "")
    (line,) = listed()
    assert (folder.parent / "kept" / "files" / f"{line['id']}.csv").is_file()
    assert line["downloads"] == 0


def test_a_terminal_sees_progress_and_standard_output_only_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--full", "--columns", "kafka_offset", "--output", "-"]
    plain = run(*arguments)
    assert "exporting" not in plain.stderr
    monkeypatch.setenv("FORCE_COLOR", "1")  # by which rich takes the stream for a terminal
    shown = run(*arguments)
    assert "exporting" in shown.stderr
    assert shown.stdout == plain.stdout


def test_a_device_is_written_to_and_not_replaced(folder: Path) -> None:
    assert run("--output", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()
    full = run("--output", "/dev/full")
    assert (full.exit_code, "/dev/full cannot be written" in full.stderr) == (1, True)
    assert Path("/dev/full").is_char_device()


def test_a_link_stays_a_link(folder: Path) -> None:
    (folder / "b.csv").write_text("old")
    (folder / "a.csv").symlink_to(folder / "b.csv")
    assert run("--output", f"{folder}/a.csv").exit_code == 0
    assert (folder / "a.csv").is_symlink()
    assert len(rows((folder / "b.csv").read_bytes())) == 4
    assert (folder / "a.csv.manifest.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acton:x"], 'there is no filter "acton"'),
        (["--columns", "nme"], "there is no such column"),
        (["--format", "doc"], "Invalid value for '--format'"),
        (["--tz", "Mars/Olympus"], "there is no such time zone"),
        (["--list", "--again", "x"], "exclude each other"),
    ],
)
def test_a_wrong_request_ends_with_2_and_leaves_no_record(folder: Path, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert listed() == []


def test_what_cannot_be_done_ends_with_1_and_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = run("--again", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
    assert (unknown.exit_code, "there is no export" in unknown.stderr) == (1, True)
    (folder / "file").write_text("kept")
    blocked = run("--output", f"{folder}/file/below.csv")
    assert (blocked.exit_code, "cannot be written" in blocked.stderr) == (1, True)
    assert (folder / "file").read_text() == "kept"
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_DATABASE", "test_none")
    empty = run()
    assert (empty.exit_code, "run `auditstream migrate`" in empty.stderr) == (1, True)
    assert {line["state"] for line in listed()} == {"ready"}
    monkeypatch.setenv("AUDITSTREAM_EXPORT_STORAGE", "nosuch://bucket")
    nowhere = run()
    assert (nowhere.exit_code, "exports cannot be kept in nosuch://bucket" in nowhere.stderr) == (1, True)
