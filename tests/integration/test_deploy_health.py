"""The health check of the image."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "health.py"


class _Probe(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 - as the base class has it
        return


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Probe)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _check(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, url], capture_output=True, text=True, check=False)


def test_a_worker_that_is_alive_is_healthy(address: str) -> None:
    assert _check(f"{address}/health/live").returncode == 0


def test_a_worker_that_says_no_is_not(address: str) -> None:
    answer = _check(f"{address}/health/other")
    assert answer.returncode == 1
    assert "503" in answer.stderr


def test_a_worker_that_does_not_answer_is_not() -> None:
    assert _check("http://127.0.0.1:1/health/live").returncode == 1


def test_another_kind_of_address_is_refused() -> None:
    assert "expected an http:// address" in _check("file:///etc/passwd").stderr
