"""`auditstream resend` as people type it: on the real engine, with a real HTTP service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from auditstream.cli import cli
from query_log import Log
from resend_log import SECRET, EmittingService, attempt, emitting_service

pytest_plugins = ["infrastructure.log_fixtures"]


@pytest.fixture
def service() -> Iterator[EmittingService]:
    with emitting_service() as running:
        yield running


@pytest.fixture
def log(tables: Log, service: EmittingService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    tables.clear()
    shop = {"source": "shop", "url": service.url, "secret": SECRET, "attempts": 1}
    environment = {
        "CLICKHOUSE_INTERFACE": "chdb",
        "CLICKHOUSE_PATH": str(tables.settings.path),
        "CLICKHOUSE_DATABASE": tables.settings.database,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "REGISTRY_URL": f"mock://{uuid4().hex}",
        "REGISTRY_CACHE_DIR": str(tmp_path / "cache"),
        "RESEND_SPOOL_DIR": str(tmp_path / "spool"),
        "RESEND_ROUTES": json.dumps({"shop": shop}),
    }
    for name, value in environment.items():
        monkeypatch.setenv(f"AUDITSTREAM_{name}", value)
    monkeypatch.setattr("auditstream.resending._CLOSE_S", 0.1)  # Kafka is away; the events wait in the spool
    return tables


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["resend", *arguments], input=typed)


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids(*names: str) -> list[str]:
    """Return fresh ids, since the requests of other tests are kept."""
    return [f"{name}-{uuid4().hex[:6]}" for name in names]


def test_a_sendout_is_named_and_sent_again(log: Log, service: EmittingService) -> None:
    (a,) = ids("a")
    log.store([attempt(a, 3)])
    result = run(a, "--reason", "the receiver was down")
    assert result.exit_code == 0, result.output
    (row,) = rows(result)
    assert (row["sendout_id"], row["outcome"], row["state"]) == (a, "accepted", "error")
    (call,) = service.calls
    assert call.is_signed()
    assert (call.content["reason"], call.content["asked_by"]["type"]) == ("the receiver was down", "user")


def test_all_that_failed_of_a_question_are_sent_again_oldest_first_after_a_confirmation(
    log: Log, service: EmittingService
) -> None:
    old, new, fine, other = ids("old", "new", "fine", "other")
    log.store([attempt(new, 3), attempt(old, 3, occurred_at=1_000_000), attempt(fine, 3), attempt(fine, 4, "sent")])
    log.store([attempt(other, 1, hook_event_type="refund.done")])
    question = ("--failed", "webhook_type:order.*", "--reason", "why")
    declined = run(*question, typed="n\n")
    assert declined.exit_code == 1
    assert "Ask for 2 of 2 failed webhooks to be sent again?" in declined.stderr
    assert service.calls == []
    result = run(*question, typed="y\n")
    assert [(row["sendout_id"], row["outcome"]) for row in rows(result)] == [(old, "accepted"), (new, "accepted")]
    assert [call.content["sendout_id"] for call in service.calls] == [old, new]


def test_nobody_at_the_terminal_means_no(log: Log, service: EmittingService) -> None:
    log.store([attempt(ids("a")[0], 3)])
    assert run("--failed", "", "--reason", "why").exit_code == 1
    assert service.calls == []


def test_a_dry_run_says_what_would_happen_and_asks_nothing(log: Log, service: EmittingService) -> None:
    shop, stray = ids("shop", "stray")
    log.store([attempt(shop, 3), attempt(stray, 3, source_service="unknown")])
    result = run("--failed", "", "--dry-run")
    assert result.exit_code == 1
    found = {row["sendout_id"]: (row["outcome"], row["detail"]) for row in rows(result)}
    assert found[shop] == ("possible", "by route shop")
    assert found[stray][0] == "not possible"
    assert "resend.routes" in found[stray][1]
    assert service.calls == []


def test_the_limit_is_kept_and_said(log: Log, service: EmittingService) -> None:
    log.store([attempt(sendout_id, 3) for sendout_id in ids("a", "b", "c")])
    result = run("--failed", "", "--limit", "2", "--reason", "why", "--yes")
    assert "there are more than 2" in result.stderr
    assert len(rows(result)) == len(service.calls) == 2


def test_a_repeated_command_asks_nobody_twice(log: Log, service: EmittingService) -> None:
    log.store([attempt(ids("a")[0], 3)])
    run("--failed", "", "--reason", "why", "--yes")
    again = run("--failed", "", "--reason", "why", "--yes")
    assert again.exit_code == 1
    assert "the service took it" in rows(again)[0]["detail"]
    assert len(service.calls) == 1
    (sendout_id,) = {row["sendout_id"] for row in rows(again)}
    for _ in range(2):
        forced = run(sendout_id, "--reason", "why", "--force", "--key", "k")
        assert forced.exit_code == 0
    assert "asked before, under this key" in rows(forced)[0]["detail"]
    assert len(service.calls) == 2


def test_one_that_fails_does_not_hold_up_the_others(log: Log, service: EmittingService) -> None:
    a, b = ids("a", "b")
    log.store([attempt(a, 3), attempt(b, 3)])
    service.answers(422, b"too old")
    result = run(a, "never", b, "--reason", "why")
    assert result.exit_code == 1
    assert [row["outcome"] for row in rows(result)] == ["refused", "accepted", "not found"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "name sendouts, or give --failed"),
        (("a", "--failed", ""), "name sendouts, or give --failed"),
        (("a",), "give --reason"),
        (("--failed", "webhook_sta:error", "--reason", "why"), "webhook_status"),
        (("a", "--limit", "0"), "0 is not in the range"),
    ],
)
def test_wrong_usage_is_told(log: Log, arguments: tuple[str, ...], problem: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_a_reason_that_is_too_long_is_refused_before_anything_is_asked(log: Log, service: EmittingService) -> None:
    (a,) = ids("a")
    log.store([attempt(a, 3)])
    result = run(a, "--reason", "x" * 501)
    assert result.exit_code == 2
    assert "1 to 500 characters" in result.stderr
    assert service.calls == []
