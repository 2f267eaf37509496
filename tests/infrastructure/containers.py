"""Servers in Docker containers, when a Docker engine answers."""

from __future__ import annotations

import functools
import gc
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from infrastructure.requirements import Unavailable

_READY_TIMEOUT_S = 120.0


def docker_answers() -> None:
    """Ask the Docker engine for a sign of life.

    Raises:
        Unavailable: No engine answers.
    """
    problem = _docker_problem()
    if problem:
        raise Unavailable([problem])


@functools.cache
def _docker_problem() -> str:
    import docker  # noqa: PLC0415 - slow to import, and most machines that run the tests have no engine

    with warnings.catch_warnings():
        # The client does not close its socket when the engine does not answer; collected here, it harms no test.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env(timeout=5)
            client.ping()
            client.close()
        except (docker.errors.DockerException, OSError) as error:
            return f"Docker does not answer ({type(error).__name__})"
        finally:
            gc.collect()
    return ""


class ContainerServer:
    """A ``Server`` in a container whose port is the same inside and outside, so that it can advertise itself."""

    def __init__(
        self, image: str, ports: Mapping[int, int], environment: Mapping[str, str], answers: Callable[[], bool]
    ) -> None:
        """Describe the container without starting it.

        Args:
            image: Image with its tag.
            ports: Port inside the container to port on loopback.
            environment: Variables of the container.
            answers: Whether the server in it answers.
        """
        self._image, self._ports, self._environment, self._answers = image, ports, environment, answers
        self._container: Any = None

    def start(self) -> None:
        """Start the container, or start it again, and wait until the server answers."""
        if self._container is None:
            self._container = self._run()
        else:
            self._container.get_wrapped_container().start()
        self._wait()

    def _run(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # testcontainers warns about its own past at import
            from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above

        container = DockerContainer(self._image)
        for inside, outside in self._ports.items():
            container.with_bind_ports(inside, outside)
        for name, value in self._environment.items():
            container.with_env(name, value)
        return container.start()

    def _wait(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline:
                output = b"\n".join(self._container.get_logs()).decode("utf-8", "replace")
                raise TimeoutError(f"{self._image} does not answer; its log ends with:\n{output[-4000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the server in order; the container and its data stay."""
        self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        """End the server at once; the container and its data stay."""
        self._container.get_wrapped_container().kill()

    def pause(self) -> None:
        """Freeze the container."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Let it go on."""
        self._container.get_wrapped_container().unpause()

    def close(self) -> None:
        """Remove the container with its data. Idempotent."""
        if self._container is not None:
            self._container.stop(force=True, delete_volume=True)
            self._container = None
