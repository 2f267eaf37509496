"""Processes under the control of a test: started, killed, frozen, stopped, and never left behind."""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from infrastructure.ports import wait_until

#: Lines of a process's log that a failed test shows.
SHOWN_LINES = 80

_started: list[ControlledProcess] = []


class ControlledProcess:
    """One command as a process that can be started again and again; its output is appended to one log file."""

    def __init__(
        self, name: str, argv: Sequence[object], *, directory: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Describe the process without starting it.

        Args:
            name: Name for messages and the log file.
            argv: Program and arguments; paths and numbers are written as text.
            directory: Existing directory to run in; the log is ``<name>.log`` there.
            environment: Variables beside those of this process.
        """
        self.name, self.directory = name, directory
        self.argv = [str(a) for a in argv]
        self.log_path = directory / f"{name}.log"
        # Without the safe path, `python -m` would import from the directory instead of what is installed.
        self.environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> ControlledProcess:
        """Start it; must not be running."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already as process {self.pid}")
        with self.log_path.open("ab") as log:
            # A session of its own: Ctrl-C reaches the test run only, which then stops its processes in order.
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=self.environment,
                start_new_session=True,
            )
        if self not in _started:
            _started.append(self)
        return self

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._popen

    @property
    def pid(self) -> int:
        """Process id of the last start."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended; a frozen process is running."""
        return self._popen is not None and self._popen.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self._process.send_signal(number)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): it keeps its connections and misses every deadline."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once and all it started (SIGKILL), without a chance to clean up."""
        self._signal_group(signal.SIGKILL)
        self._process.wait()

    def terminate(self, timeout_s: float = 30.0) -> int:
        """Ask it to stop (SIGTERM) and wait.

        Returns:
            Its exit code, negative for a signal.

        Raises:
            TimeoutError: It did not stop in time; it is running still.
        """
        self.resume()
        self.send(signal.SIGTERM)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return the exit code, negative for a signal.

        Raises:
            TimeoutError: It is running still; the end of its log is in the message.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            message = f"{self.name} did not end within {timeout_s:g} s; its log ends with:\n{self.log_tail()}"
            raise TimeoutError(message) from None

    def close(self, grace_s: float = 10.0) -> None:
        """Stop it for good, by force after the grace time, and whatever it started. Idempotent."""
        if self.running:
            try:
                self.terminate(grace_s)
            except TimeoutError:
                self.kill()
        if self._popen is not None:
            self._signal_group(signal.SIGKILL)
        if self in _started:
            _started.remove(self)

    def _signal_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # all of the group have ended
            return

    def log_text(self) -> str:
        """Return everything it wrote since the first start."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = SHOWN_LINES) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def wait_for_log(self, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
        """Wait until its log matches a regular expression.

        Raises:
            TimeoutError: It did not in time, or the process ended before.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            alive = self.running
            found = re.search(pattern, self.log_text(), re.MULTILINE)
            if found:
                return found
            if not alive or time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} never logged {pattern!r}; its log ends with:\n{self.log_tail()}")
            time.sleep(0.05)


class Processes:
    """Starts the processes of one test in one directory and stops them all at its end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._mine: list[ControlledProcess] = []

    def start(
        self, name: str, argv: Sequence[object], *, environment: Mapping[str, str] | None = None
    ) -> ControlledProcess:
        """Start a command; a name that is in use gets a number."""
        taken = {p.name for p in self._mine}
        unique = next(n for n in _numbered(name) if n not in taken)
        process = ControlledProcess(unique, argv, directory=self.directory, environment=environment)
        self._mine.append(process)
        return process.start()

    def close(self) -> None:
        """Stop all of them."""
        close_all(self._mine)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def close_all(processes: Sequence[ControlledProcess], grace_s: float = 10.0) -> None:
    """Stop several processes at the same time, by force after the grace time."""
    for process in processes:
        if process.running:
            process.resume()
            process.send(signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    for process in list(processes):
        try:
            wait_until(lambda p=process: not p.running, timeout_s=max(0.0, deadline - time.monotonic()), what="the end")  # type: ignore[misc]
        except TimeoutError:
            process.kill()
        process.close()


def logs_of_started() -> list[tuple[str, str]]:
    """Return name and end of the log of every process that was started and not yet closed."""
    return [(p.name, p.log_tail()) for p in _started]


@atexit.register
def _stop_what_is_left() -> None:
    # Fixtures stop their processes; this is for a test run that ends in between.
    close_all(_started, grace_s=3.0)
