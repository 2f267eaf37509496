"""Worker processes of one group, to be killed, frozen, started and stopped while they work."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from random import Random

from infrastructure.ports import wait_until
from infrastructure.processes import ControlledProcess, Processes
from sinks.settings import ClickHouseSettings

#: Short enough that a dead worker's partitions move within a test.
SESSION_TIMEOUT_S = 3.0


def worker_environment(
    bootstrap: str, registry_url: str, topic: str, clickhouse: ClickHouseSettings, directory: Path, **more: str
) -> dict[str, str]:
    """Return the settings of a worker as environment variables.

    Args:
        bootstrap: Address of Kafka.
        registry_url: URL of the registry.
        topic: Topic of the events.
        clickhouse: The database.
        directory: Where the schema cache goes.
        more: Further variables by name without prefix, lower case.
    """
    named = {
        "kafka_bootstrap_servers": bootstrap,
        "kafka_events_topic": topic,
        "kafka_actors_topic": "",
        "registry_url": registry_url,
        "registry_cache_dir": str(directory / "schemas"),
        "clickhouse_interface": clickhouse.interface,
        "clickhouse_host": clickhouse.host,
        "clickhouse_port": str(clickhouse.port),
        "clickhouse_user": clickhouse.user,
        "clickhouse_password": clickhouse.password.get_secret_value(),
        "clickhouse_database": clickhouse.database,
        "worker_group_id": f"group.{topic}",
        "worker_session_timeout_s": str(SESSION_TIMEOUT_S),
        "worker_batch_age_s": "0.3",
        "worker_batch_rows": "2000",
        "worker_http_port": "0",
        **more,
    }
    return {f"AUDITSTREAM_{name.upper()}": value for name, value in named.items()}


class Fleet:
    """Some workers of one group."""

    def __init__(self, processes: Processes, environment: Mapping[str, str], seed: int = 1) -> None:
        self._processes, self._environment = processes, dict(environment)
        self._random = Random(seed)
        self._frozen: set[ControlledProcess] = set()
        self._lock = threading.Lock()
        self.workers: list[ControlledProcess] = []

    def join(self) -> ControlledProcess:
        """Start one more worker."""
        command = [Path(sys.executable).with_name("auditstream"), "worker"]
        worker = self._processes.start("worker", command, environment=self._environment)
        with self._lock:
            self.workers.append(worker)
        return worker

    def running(self) -> list[ControlledProcess]:
        """Return the workers that run and are not frozen."""
        return [w for w in self.workers if w.running and w not in self._frozen]

    def kill_one(self) -> None:
        """Kill a random worker without warning and start another one."""
        worker = self._random.choice(self.running())
        worker.kill()
        self.join()

    def freeze_one(self) -> ControlledProcess:
        """Freeze a random worker; the group will give its partitions away."""
        worker = self._random.choice(self.running())
        self._frozen.add(worker)
        worker.pause()
        return worker

    def thaw(self, worker: ControlledProcess) -> None:
        """Let a frozen worker go on, as a zombie that does not know what it lost."""
        worker.resume()
        self._frozen.discard(worker)

    def leave_one(self) -> int:
        """Stop a random worker that has joined the group calmly; return its exit code."""
        wait_until(lambda: bool(self._joined()), timeout_s=60.0, what="a worker that has joined")
        return self._random.choice(self._joined()).terminate(60.0)

    def _joined(self) -> list[ControlledProcess]:
        # Before that a process has no handler for the signal yet, and nothing to leave.
        return [w for w in self.running() if "worker_started" in w.log_text()]

    def stop(self) -> list[int]:
        """Stop all workers calmly; return the exit codes of those that were running."""
        wait_until(lambda: len(self._joined()) == len(self.running()), timeout_s=60.0, what="the last workers to join")
        return [w.terminate(60.0) for w in self.workers if w.running]

    def crashed(self) -> list[str]:
        """Return the end of the log of every worker that ended by itself with an error."""
        return [w.log_tail() for w in self.workers if not w.running and w.wait(1.0) not in (0, -9)]
