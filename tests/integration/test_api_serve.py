"""`auditstream serve` as a process: it answers while Kafka is away, keeps its records on disk, and stops in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from infrastructure.ports import LOOPBACK, free_port
from query.access import Scope, TokenStore
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings

_START_S = 60.0


@contextmanager
def served(
    settings: ClickHouseSettings, spool: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command and wait until it answers."""
    port = free_port()
    variables = {
        "AUDITSTREAM_CLICKHOUSE_HOST": settings.host,
        "AUDITSTREAM_CLICKHOUSE_PORT": str(settings.port),
        "AUDITSTREAM_CLICKHOUSE_DATABASE": settings.database,
        "AUDITSTREAM_KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:9",
        "AUDITSTREAM_REGISTRY_URL": f"http://{LOOPBACK}:9",
        "AUDITSTREAM_REGISTRY_CACHE_DIR": str(spool / "cache"),
        "AUDITSTREAM_ACCESS_SPOOL_DIR": str(spool),
        "AUDITSTREAM_EXPORT_STORAGE": str(spool / "exports"),
        "AUDITSTREAM_EXPORT_AUDIT_SPOOL_DIR": str(spool / "export-spool"),
        "AUDITSTREAM_HTTP_STOP_S": "5",
        **environment,
    }
    program = Path(sys.executable).with_name("auditstream")
    process = subprocess.Popen(
        [program, "serve", "--port", str(port)],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    url = f"http://{LOOPBACK}:{port}"
    try:
        _wait(process, url)
        yield process, url
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _wait(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"it ended: {process.communicate()[0]}")
        try:
            if httpx.get(f"{url}/health/live").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("it did not answer in time")


@pytest.fixture
def secret(clickhouse_settings: ClickHouseSettings) -> Iterator[str]:
    connections = Connections(clickhouse_settings)
    Migrator(connections).migrate()
    yield TokenStore(connections).create("test", "auditor", Scope())[1]
    connections.close()


def test_it_answers_without_kafka_records_on_disk_and_stops_with_its_streams(
    clickhouse_settings: ClickHouseSettings, secret: str, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    with served(clickhouse_settings, tmp_path) as (process, url):
        assert httpx.get(f"{url}/api/v1/events", headers=headers).json()["data"] == []
        assert httpx.head(f"{url}/api/v1/events", headers=headers).status_code == httpx.codes.OK
        assert httpx.get(f"{url}/api/v1/events", headers={"Authorization": "Bearer guess"}).status_code == 401
        first, ended = _stream_in_background(f"{url}/api/v1/tail", headers)
        assert first.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert ended.wait(5)
    spooled = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    # Two reads by GET and HEAD, the tail, and the guess.
    assert spooled.count(b"access.search") == 2
    assert spooled.count(b"access.tail") == 1
    assert spooled.count(b"auth.login_failed") == 1
    assert secret.encode() not in spooled
    assert b"guess" not in spooled


def _stream_in_background(url: str, headers: dict[str, str]) -> tuple[threading.Event, threading.Event]:
    first, ended = threading.Event(), threading.Event()

    def follow() -> None:
        accept = {**headers, "Accept": "text/event-stream"}
        with httpx.stream("GET", url, headers=accept, timeout=30) as stream:
            for _ in stream.iter_lines():
                first.set()
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    return first, ended


def test_recording_can_be_switched_off_and_an_address_in_use_ends_with_1(
    clickhouse_settings: ClickHouseSettings, secret: str, tmp_path: Path
) -> None:
    off = {"AUDITSTREAM_ACCESS_RECORD": "false"}
    with served(clickhouse_settings, tmp_path, **off) as (_, url):
        headers = {"Authorization": f"Bearer {secret}"}
        assert httpx.get(f"{url}/api/v1/me", headers=headers).json()["role"] == "auditor"
        assert {path.name for path in tmp_path.iterdir()} <= {"exports", "export-spool"}
        program = Path(sys.executable).with_name("auditstream")
        second = subprocess.run(
            [program, "serve", "--port", url.rpartition(":")[2]],
            env={**os.environ, "AUDITSTREAM_ACCESS_RECORD": "false"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert second.returncode == 1
    assert "address already in use" in second.stdout + second.stderr
