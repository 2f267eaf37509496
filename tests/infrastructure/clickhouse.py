"""ClickHouse for tests: a given address, a container, or the real engine served over HTTP by one process."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from infrastructure.containers import ContainerServer, docker_answers
from infrastructure.ports import LOOPBACK, free_port, wait_until
from infrastructure.processes import ControlledProcess
from infrastructure.requirements import Unavailable
from infrastructure.server import Server
from sinks.settings import ClickHouseSettings

ADDRESS_VARIABLE = "AUDITSTREAM_TEST_CLICKHOUSE"
IMAGE = "clickhouse/clickhouse-server:26.8"
_START_TIMEOUT_S = 60.0


class Database(Server, Protocol):
    """A ClickHouse under the control of a test."""

    @property
    def settings(self) -> ClickHouseSettings:
        """How to connect to it, with the database ``default``."""
        ...


class ServedEngine:
    """The engine behind ``python -m sinks.served``: the embedded mode for several processes, with its data on disk."""

    def __init__(self, directory: Path, *options: str) -> None:
        """Prepare it with data and log in an existing directory.

        Args:
            directory: Where its data and its log go.
            options: Further arguments of ``sinks.served``.
        """
        self._port = free_port()
        self._ready = directory / "ready.json"
        arguments: list[str | Path] = [directory / "data", str(self._port), "--ready-file", self._ready, *options]
        self._process = ControlledProcess(
            "clickhouse", [sys.executable, "-m", "sinks.served", *arguments], directory=directory
        )

    @property
    def settings(self) -> ClickHouseSettings:
        """How to connect to it."""
        return ClickHouseSettings(host=LOOPBACK, port=self._port, database="default")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._ready.unlink(missing_ok=True)
        self._process.start()
        try:
            wait_until(self._answered_or_ended, timeout_s=_START_TIMEOUT_S, what="an answer of the engine")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log ends with:\n{self._process.log_tail()}") from error
        if not self._process.running:
            raise TimeoutError(f"the engine ended at its start; its log ends with:\n{self._process.log_tail()}")

    def _answered_or_ended(self) -> bool:
        return not self._process.running or (self._ready.exists() and answers(self.settings))

    def stop(self) -> None:
        """Stop it in order and wait."""
        self._process.terminate(120.0)  # merges under way are waited for

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()

    def pause(self) -> None:
        """Freeze it."""
        self._process.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._process.resume()

    def close(self) -> None:
        """Stop it for good. Idempotent."""
        if self._process.running:
            self._process.kill()
        self._process.close()


class ContainerDatabase(ContainerServer):
    """ClickHouse's own image."""

    def __init__(self) -> None:
        """Prepare the container.

        Raises:
            Unavailable: No Docker engine answers.
        """
        docker_answers()
        self._settings = ClickHouseSettings(host=LOOPBACK, port=free_port(), database="default")
        environment = {"CLICKHOUSE_SKIP_USER_SETUP": "1"}
        super().__init__(IMAGE, {8123: self._settings.port}, environment, lambda: answers(self._settings))

    @property
    def settings(self) -> ClickHouseSettings:
        """How to connect to it."""
        return self._settings


def open_database(directory: Path) -> Database:
    """Return a database of its own for a test, not started: a container, else the served engine."""
    try:
        return ContainerDatabase()
    except Unavailable:
        return ServedEngine(directory)


def given_settings() -> ClickHouseSettings | None:
    """Return how to reach a running ClickHouse from AUDITSTREAM_TEST_CLICKHOUSE (http://user:password@host:port)."""
    address = os.environ.get(ADDRESS_VARIABLE)
    if not address:
        return None
    parts = urlsplit(address if "//" in address else f"http://{address}")
    return ClickHouseSettings(
        interface="https" if parts.scheme == "https" else "http",
        host=parts.hostname or LOOPBACK,
        port=parts.port or 8123,
        user=parts.username or "default",
        password=SecretStr(parts.password or ""),
        database="default",
    )


def fresh_database(settings: ClickHouseSettings) -> ClickHouseSettings:
    """Return the same connection with the name of a database that does not exist yet."""
    return settings.model_copy(update={"database": f"test_{uuid.uuid4().hex[:12]}"})


def drop_database(settings: ClickHouseSettings) -> None:
    """Drop the database of these settings if it exists.

    Raises:
        httpx.HTTPError: The server refused or did not answer.
    """
    _post(settings, f"DROP DATABASE IF EXISTS `{settings.database}` SYNC").raise_for_status()


def answers(settings: ClickHouseSettings) -> bool:
    """Return whether the server answers a query within two seconds."""
    try:
        return _post(settings, "SELECT 1", timeout_s=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _post(settings: ClickHouseSettings, statement: str, timeout_s: float = 30.0) -> httpx.Response:
    url = f"{settings.interface}://{settings.host}:{settings.port}/"
    user = (settings.user, settings.password.get_secret_value())
    return httpx.post(url, content=statement.encode(), auth=user, timeout=timeout_s)
