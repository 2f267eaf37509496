"""Every event exactly once, whatever happens to workers and database while they work.

Each test puts a load of good and bad messages on a real Kafka, lets a fleet of worker processes store it, and strikes.
At the end an oracle compares Kafka, read by a plain consumer, with the database: every message stored or
dead-lettered once, every range in the manifest once, every digest right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from infrastructure.clickhouse import Database
from infrastructure.fleet import SESSION_TIMEOUT_S, Fleet, worker_environment
from infrastructure.kafka import Topics
from infrastructure.load import Load
from infrastructure.oracle import Oracle, Verdict
from infrastructure.ports import wait_until
from infrastructure.processes import Processes
from schemas.registry import Registry, open_registry
from schemas.settings import RegistrySettings
from sinks.connection import Connections
from sinks.migrate import Migrator

PARTITIONS = 6
SETTLE_S = 120.0

pytestmark = pytest.mark.timeout(600)


@dataclass
class Stage:
    """What a test strikes at."""

    topic: str
    topics: Topics
    bootstrap: str
    fleet: Fleet
    database: Database
    registry: Registry
    oracle: Oracle

    def load(self, count: int, seconds: float) -> Load:
        """Start to produce ``count`` messages over ``seconds``."""
        load = Load(self.bootstrap, self.registry, self.topic, count=count, rate=count / seconds)
        load.start()
        return load

    def verdict(self, load: Load) -> Verdict:
        """Wait until everything is stored, stop the workers, and judge."""
        load.join(120.0)
        assert not load.is_alive()
        assert not load.sent.failed
        ends = self.topics.end_offsets(self.topic)
        wait_until(
            lambda: self.oracle.done(self.topic, ends), timeout_s=SETTLE_S, what="the end of the backlog", every_s=0.5
        )
        exits = self.fleet.stop()
        assert exits == [0] * len(exits)
        assert self.fleet.crashed() == []
        return self.oracle.judge(self.bootstrap, self.topic, ends, load.sent)


@pytest.fixture
def stage(  # noqa: PLR0917 - fixtures
    kafka_bootstrap: str,
    schema_registry_url: str,
    topics: Topics,
    controlled_database: Database,
    processes: Processes,
    tmp_path: Path,
) -> Iterator[Stage]:
    settings = controlled_database.settings.model_copy(update={"database": "faults"})
    connections = Connections(settings)
    Migrator(connections).migrate()
    connections.close()
    topic = topics.create(partitions=PARTITIONS)
    environment = worker_environment(kafka_bootstrap, schema_registry_url, topic, settings, tmp_path)
    registry = open_registry(RegistrySettings(url=schema_registry_url, cache_dir=tmp_path / "producer-schemas"))
    oracle = Oracle(settings)
    yield Stage(topic, topics, kafka_bootstrap, Fleet(processes, environment), controlled_database, registry, oracle)
    oracle.close()
    registry.close()


def strike(count: int, seconds: float, blow: Callable[[], object], seed: int) -> None:
    """Strike ``count`` times at random moments of ``seconds``."""
    random = Random(seed)
    started = time.monotonic()
    for number in range(count):
        moment = started + seconds * (number + random.random()) / count
        time.sleep(max(0.0, moment - time.monotonic()))
        blow()


def expect_exactly_once(verdict: Verdict, messages: int) -> None:
    assert verdict.problems == []
    assert verdict.messages == messages
    assert verdict.stored + verdict.dead_letters == messages
    assert verdict.dead_letters > 0


def test_a_calm_run_stores_every_message_once(stage: Stage) -> None:
    stage.fleet.join()
    load = stage.load(20_000, 4.0)
    expect_exactly_once(stage.verdict(load), 20_000)


def test_twenty_workers_killed_at_random_moments_lose_and_repeat_nothing(stage: Stage) -> None:
    for _ in range(2):
        stage.fleet.join()
    load = stage.load(60_000, 60.0)
    strike(20, 60.0, stage.fleet.kill_one, seed=1)
    expect_exactly_once(stage.verdict(load), 60_000)


def test_frozen_workers_that_come_back_as_zombies_lose_and_repeat_nothing(stage: Stage) -> None:
    for _ in range(3):
        stage.fleet.join()
    load = stage.load(40_000, 45.0)

    def freeze_and_thaw() -> None:
        worker = stage.fleet.freeze_one()
        time.sleep(SESSION_TIMEOUT_S + 2.0)
        stage.fleet.thaw(worker)

    strike(5, 40.0, freeze_and_thaw, seed=2)
    expect_exactly_once(stage.verdict(load), 40_000)


def test_a_database_that_stops_and_dies_and_starts_again_loses_and_repeats_nothing(stage: Stage) -> None:
    for _ in range(2):
        stage.fleet.join()
    load = stage.load(40_000, 40.0)
    random = Random(3)

    def restart() -> None:
        (stage.database.kill if random.random() < 0.6 else stage.database.stop)()
        time.sleep(random.random() * 2.0)
        stage.database.start()

    strike(5, 40.0, restart, seed=3)
    expect_exactly_once(stage.verdict(load), 40_000)


def test_workers_that_join_and_leave_lose_and_repeat_nothing(stage: Stage) -> None:
    stage.fleet.join()
    load = stage.load(40_000, 45.0)

    def join_or_leave() -> None:
        if len(stage.fleet.running()) < 3:
            stage.fleet.join()
        else:
            assert stage.fleet.leave_one() == 0

    strike(10, 45.0, join_or_leave, seed=4)
    expect_exactly_once(stage.verdict(load), 40_000)
