"""A schema registry with the Confluent API for tests: a given address, a container, or Apicurio's jars as one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import httpx

from infrastructure import artifacts
from infrastructure.containers import ContainerServer, docker_answers
from infrastructure.ports import LOOPBACK, free_port, wait_until
from infrastructure.processes import ControlledProcess
from infrastructure.requirements import Unavailable
from infrastructure.server import Server

ADDRESS_VARIABLE = "AUDITSTREAM_TEST_REGISTRY"
_API = "/apis/ccompat/v7"
_START_TIMEOUT_S = 60.0
_JVM = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


class Registry(Server, Protocol):
    """A schema registry under the control of a test; its schemas are in memory and gone after a restart."""

    @property
    def url(self) -> str:
        """URL of its Confluent API."""
        ...


class JavaRegistry:
    """Apicurio Registry with storage in memory as one Java process."""

    def __init__(self, directory: Path) -> None:
        """Prepare a registry with its log in an existing directory.

        Raises:
            Unavailable: No Java, or the jars could not be fetched.
        """
        program, port = artifacts.java(), free_port()
        jar = next(artifacts.registry_directory().glob("*-runner.jar"))
        quarkus = {
            "quarkus.http.host": LOOPBACK,
            "quarkus.http.port": str(port),
            "quarkus.log.level": "WARN",
            'quarkus.log.category."io.apicurio".level': "WARN",
        }
        options = [f"-D{key}={value}" for key, value in quarkus.items()]
        self._url = f"http://{LOOPBACK}:{port}{_API}"
        self._process = ControlledProcess("registry", [program, *_JVM, *options, "-jar", jar], directory=directory)

    @property
    def url(self) -> str:
        """URL of its Confluent API."""
        return self._url

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process.start()
        try:
            wait_until(self._answered_or_ended, timeout_s=_START_TIMEOUT_S, what="an answer of the registry")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log ends with:\n{self._process.log_tail()}") from error
        if not self._process.running:
            raise TimeoutError(f"the registry ended at its start; its log ends with:\n{self._process.log_tail()}")

    def _answered_or_ended(self) -> bool:
        return not self._process.running or answers(self._url)

    def stop(self) -> None:
        """Stop it in order and wait."""
        self._process.terminate()

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


class ContainerRegistry(ContainerServer):
    """Apicurio's own image with storage in memory."""

    def __init__(self) -> None:
        """Prepare the container.

        Raises:
            Unavailable: No Docker engine answers.
        """
        docker_answers()
        port = free_port()
        self._url = f"http://{LOOPBACK}:{port}{_API}"
        image = f"apicurio/apicurio-registry-mem:{artifacts.REGISTRY_VERSION}"
        super().__init__(image, {8080: port}, {}, lambda: answers(self._url))

    @property
    def url(self) -> str:
        """URL of its Confluent API."""
        return self._url


def open_registry_server(directory: Path) -> Registry:
    """Return a registry of its own for a test, not started: a container, else a Java process.

    Raises:
        Unavailable: Neither can be had.
    """
    tried: list[str] = []
    try:
        return ContainerRegistry()
    except Unavailable as error:
        tried += error.tried
    try:
        return JavaRegistry(directory)
    except Unavailable as error:
        raise Unavailable(tried + error.tried) from error


def given_address() -> str | None:
    """Return the URL of a running registry from AUDITSTREAM_TEST_REGISTRY."""
    return os.environ.get(ADDRESS_VARIABLE)


def answers(url: str) -> bool:
    """Return whether a registry lists its subjects within two seconds."""
    try:
        return httpx.get(f"{url}/subjects", timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
