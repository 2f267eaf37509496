"""Budget, back-off, progress, metrics and probe of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from consumers.backoff import Backoff
from consumers.budget import Budget
from consumers.kafka import consumer_config
from consumers.metrics import Metrics, metric_names
from consumers.probe import Probe
from consumers.progress import Progress
from consumers.settings import WorkerSettings
from schemas.settings import KafkaSettings


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_budget_is_exhausted_at_its_limit_and_roomy_well_below() -> None:
    budget = Budget(100)
    budget.take(100)
    assert budget.exhausted
    budget.give_back(20)
    assert not budget.exhausted
    assert not budget.roomy
    budget.give_back(5)
    assert budget.roomy


def test_giving_back_more_than_was_taken_is_a_mistake_that_shows() -> None:
    with pytest.raises(ValueError, match="given back"):
        Budget(10).give_back(1)


def test_waits_double_up_to_the_most_and_start_again_after_a_success() -> None:
    backoff = Backoff(first_s=1.0, most_s=8.0)
    waits = [backoff.next_s() for _ in range(6)]
    assert all(c / 2 <= w <= c for w, c in zip(waits, [1, 2, 4, 8, 8, 8], strict=True))
    assert backoff.next_s(at_least_s=60.0) == 60.0
    backoff.reset()
    assert backoff.next_s() <= 1.0


def test_a_worker_without_work_is_ready() -> None:
    clock = Clock()
    progress = Progress(60.0, clock)
    clock.now += 30
    progress.turned(busy=False)
    assert progress.ready() == (True, "making progress")


def test_a_worker_with_work_that_stores_nothing_is_not_ready() -> None:
    clock = Clock()
    progress = Progress(60.0, clock)
    for _ in range(7):
        clock.now += 10
        progress.turned(busy=True)
    ready, why = progress.ready()
    assert not ready
    assert "nothing was stored for 70 s" in why
    progress.advanced()
    assert progress.ready()[0]


def test_a_poll_loop_that_does_not_turn_is_neither_alive_nor_ready() -> None:
    clock = Clock()
    progress = Progress(60.0, clock)
    clock.now += 61
    assert not progress.alive()[0]
    assert not progress.ready()[0]


def test_an_outage_is_named_by_readiness() -> None:
    progress = Progress(60.0, Clock())
    progress.turned(busy=True, waiting_for="insert (network)")
    assert progress.ready() == (False, "waiting for insert (network)")


def test_nothing_overrides_the_properties_that_the_promise_rests_on() -> None:
    careless = {"enable.auto.commit": "true", "auto.offset.reset": "latest", "isolation.level": "read_uncommitted"}
    config = consumer_config(KafkaSettings(extra=careless | {"fetch.wait.max.ms": "7"}), WorkerSettings())
    assert config["enable.auto.commit"] is False
    assert config["auto.offset.reset"] == "error"
    assert config["isolation.level"] == "read_committed"
    assert config["fetch.wait.max.ms"] == "7"


def test_static_membership_is_asked_for_only_by_name() -> None:
    assert "group.instance.id" not in consumer_config(KafkaSettings(), WorkerSettings())
    assert consumer_config(KafkaSettings(), WorkerSettings(instance_id="a"))["group.instance.id"] == "a"


def test_latency_is_counted_per_event_and_never_negative() -> None:
    metrics = Metrics()
    metrics.observe_latency(10_000, np.array([9_000, 9_940, 11_000], np.int64))
    assert metrics.value("auditstream_event_to_queryable_seconds_count") == 3
    assert metrics.value("auditstream_event_to_queryable_seconds_bucket", le="0.1") == 2
    assert metrics.value("auditstream_event_to_queryable_seconds_sum") == pytest.approx(1.06)


def test_every_metric_name_is_exposed() -> None:
    exposed = {f.name for f in text_string_to_metric_families(generate_latest(Metrics("1").registry).decode())}
    assert {name.removesuffix("_total") for name in metric_names()} <= exposed


@pytest.fixture
def probe() -> Iterator[tuple[Probe, Progress]]:
    progress = Progress(60.0)
    opened = Probe("127.0.0.1", 0, Metrics("1.2.3"), progress)
    yield opened, progress
    opened.close()


def test_the_probe_serves_metrics_and_health(probe: tuple[Probe, Progress]) -> None:
    opened, progress = probe
    base = f"http://127.0.0.1:{opened.port}"
    assert httpx.get(f"{base}/health/live").status_code == 200
    assert httpx.get(f"{base}/health/ready").status_code == 503
    progress.turned(busy=False)
    assert httpx.get(f"{base}/health/ready").text == "making progress\n"
    assert 'auditstream_build_info{version="1.2.3"} 1.0' in httpx.get(f"{base}/metrics").text
    assert httpx.get(f"{base}/").status_code == 404
