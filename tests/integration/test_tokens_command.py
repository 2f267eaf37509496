"""`auditstream tokens` as people type it, on the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditstream.cli import cli
from query.access import Scope, TokenStore
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings


@pytest.fixture
def store(chdb_settings: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch) -> TokenStore:
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_INTERFACE", "chdb")
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_PATH", str(chdb_settings.path))
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_DATABASE", chdb_settings.database)
    monkeypatch.setenv("AUDITSTREAM_ACCESS_RECORD", "false")
    connections = Connections(chdb_settings)
    Migrator(connections).migrate()
    return TokenStore(connections)


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["tokens", *arguments], input=text)


def listed() -> list[dict[str, object]]:
    result = run("list", "--format", "json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, object]] = json.loads(result.stdout)
    return rows


def test_a_secret_is_printed_once_and_opens_what_was_asked_for(store: TokenStore) -> None:
    made = run("create", "support desk", "--role", "auditor", "--tenant", "acme", "--kind", "auth", "--days", "90")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    token = store.find(secret)
    assert token
    assert (token.name, token.scope.tenants, token.scope.record_kinds) == ("support desk", ("acme",), ("auth",))
    assert token.expires_at
    assert (token.expires_at - token.created_at).days in (89, 90)
    (row,) = listed()
    assert (row["token_id"], row["state"], row["scope"]) == (token.token_id, "valid", "tenant acme; kind auth")
    assert secret not in run("list", "--format", "json").stdout


def test_a_revoked_token_is_listed_as_such(store: TokenStore) -> None:
    secret = run("create", "x", "--role", "administrator", "--all-tenants").stdout.strip()
    token = store.find(secret)
    assert token
    assert run("revoke", token.token_id).exit_code == 0
    assert [row["state"] for row in listed()] == ["revoked"]
    assert run("revoke", "tok_nobody").exit_code == 1


def test_a_secret_of_ones_own_comes_from_standard_input_and_is_not_printed(store: TokenStore) -> None:
    made = run(
        "create", "old", "--role", "auditor", "--tenant", "a", "--secret-stdin", text="abcdefghijklmnqrstuvwxyz\n"
    )
    assert (made.exit_code, made.stdout) == (0, "")
    assert store.find("abcdefghijklmnqrstuvwxyz")
    short = run("create", "old", "--role", "auditor", "--tenant", "a", "--secret-stdin", text="abc\n")
    assert (short.exit_code, "at least 24" in short.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "x", "--role", "auditor"),
        ("create", "x", "--role", "auditor", "--tenant", "a", "--all-tenants"),
        ("create", "x", "--role", "root", "--tenant", "a"),
        ("create", "x", "--role", "own_events", "--tenant", "a"),
        ("create", "x", "--role", "auditor", "--all-tenants", "--actor-id", "u"),
        ("create", " ", "--role", "auditor", "--all-tenants"),
    ],
)
def test_what_contradicts_itself_ends_with_2(store: TokenStore, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2
    assert store.tokens() == []


def test_without_tables_it_ends_with_1(chdb_settings: ClickHouseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_INTERFACE", "chdb")
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_PATH", str(chdb_settings.path))
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_DATABASE", chdb_settings.database)
    assert run("list").exit_code == 1


@pytest.fixture
def spool(store: TokenStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Changes are recorded, and Kafka and the registry are away."""
    named = {"ACCESS_RECORD": "true", "ACCESS_SPOOL_DIR": str(tmp_path / "spool"), "PRODUCER_CLOSE_TIMEOUT_S": "0.1"}
    away = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "REGISTRY_URL": "http://127.0.0.1:9"}
    for name, value in (named | away | {"REGISTRY_CACHE_DIR": str(tmp_path / "cache")}).items():
        monkeypatch.setenv(f"AUDITSTREAM_{name}", value)
    return tmp_path / "spool"


def kept(spool: Path) -> bytes:
    return b"".join(path.read_bytes() for path in spool.rglob("*") if path.is_file())


def test_while_kafka_is_away_the_records_of_changes_wait_on_disk_and_that_is_said(
    store: TokenStore, spool: Path
) -> None:
    made = run("create", "support desk", "--role", "auditor", "--tenant", "acme")
    assert made.exit_code == 0, made.output
    assert "1 records of changes wait for Kafka" in made.stderr
    assert store.find(made.stdout.removesuffix("\n"))  # nothing else is on standard output
    (token,) = store.tokens()
    assert run("revoke", token.token_id).exit_code == 0
    assert run("revoke", token.token_id).exit_code == 0
    on_disk = kept(spool)
    # Revoking what is revoked changes nothing.
    assert (on_disk.count(b"access.token_create"), on_disk.count(b"access.token_revoke")) == (1, 1)
    assert on_disk.count(token.token_id.encode()) >= 2
    assert made.stdout.strip().encode() not in on_disk


def test_no_token_is_made_that_could_not_be_recorded_but_one_is_revoked(store: TokenStore, spool: Path) -> None:
    token, _ = store.create("old", "auditor", Scope())
    spool.write_text("a file where the folder should be")
    made = run("create", "new", "--role", "auditor", "--all-tenants")
    assert (made.exit_code, made.stdout) == (1, "")
    assert "the change cannot be recorded" in made.stderr
    revoked = run("revoke", token.token_id)
    assert revoked.exit_code == 0
    assert "the change cannot be recorded" in revoked.stderr
    assert [(t.name, t.revoked_at is not None) for t in store.tokens()] == [("old", True)]
