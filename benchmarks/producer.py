"""CPU cost of emitting: ``python benchmarks/producer.py bootstrap registry-url [events]``.

Needs a real broker and a registry. Every figure is CPU time of this process, the threads of the Kafka client included:
it depends on the machine, but not on what else runs there. Building the event is part of the cost.
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from collections.abc import Callable

from confluent_kafka.admin import AdminClient, NewTopic

from producers import Actor, AuditEvent, AuditProducer, Origin, ProducerSettings, Target
from producers.drafts import Event
from schemas.settings import KafkaSettings, RegistrySettings

_PARTITIONS = 4
_TIMEOUT_S = 60.0
_WARM_UP = 1000
#: What else runs on a machine makes rounds dearer, never cheaper: the best of them counts.
_ROUNDS = 5
#: What docs/emit.md advises for many events: 5 ms, the default, is for services that wait for each of them.
_LINGER_MS = 20
_START_US = 1_790_000_000_000_000
_AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{v}.0 Safari/537.36" for v in range(100, 140)]
_NAMES = [f"{season} {what} {n}" for n in range(250) for season in ("Autumn", "Spring") for what in ("sale", "offer")]


def as_dict(number: int) -> Event:
    """Build a typical event as a dict: 18 fields, some 330 bytes when encoded."""
    return {
        "event_code": "campaign.activate",
        "tenant_id": f"tenant-{number % 200:03}",
        "project_id": "project-7",
        "occurred_at": _START_US + number,
        "request_id": f"req-{number * 7919:016x}",
        "outcome": "success",
        "duration_ms": number % 2000,
        "actor_type": "user",
        "actor_id": f"user-{number % 5000}",
        "origin": "dashboard",
        "ip": f"10.1.{number % 256}.{number % 199}",
        "user_agent": _AGENTS[number % len(_AGENTS)],
        "target_type": "campaign",
        "target_id": f"camp_{number % 20_000}",
        "target_name": _NAMES[number % len(_NAMES)],
        "status_before": "draft",
        "status_after": "active",
        "details": {"reason": "scheduled"},
    }


def typed(number: int) -> Event:
    """Build the same event with the typed builder."""
    return AuditEvent(
        event_code="campaign.activate",
        tenant_id=f"tenant-{number % 200:03}",
        project_id="project-7",
        occurred_at=_START_US + number,
        request_id=f"req-{number * 7919:016x}",
        outcome="success",
        duration_ms=number % 2000,
        actor=Actor(type="user", id=f"user-{number % 5000}"),
        origin=Origin(
            kind="dashboard", ip=f"10.1.{number % 256}.{number % 199}", user_agent=_AGENTS[number % len(_AGENTS)]
        ),
        target=Target(type="campaign", id=f"camp_{number % 20_000}", name=_NAMES[number % len(_NAMES)]),
        status_before="draft",
        status_after="active",
        details={"reason": "scheduled"},
    )


def measure_producer(bootstrap: str, registry_url: str, events: int) -> dict[str, float]:
    """Measure ``AuditProducer.submit`` in strict mode against a real broker, in a topic made and deleted here.

    Args:
        bootstrap: Broker as host:port.
        registry_url: Registry with Confluent's API; ``mock://…`` does, for it is asked once.
        events: How many to emit in each of five rounds; the best round of each kind counts.

    Returns:
        ``producer_events_per_cpu_s``: dicts built, emitted and acknowledged by CPU second of the whole process;
        ``producer_typed_events_per_cpu_s``: the same for typed events; ``producer_submit_p50_us`` and
        ``producer_submit_p99_us``: CPU time of the calling thread in one submit of a dict, microseconds.
    """
    topic = f"benchmark.producer.{uuid.uuid4().hex[:12]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, _PARTITIONS, 1)])[topic].result(_TIMEOUT_S)
    kafka = KafkaSettings(bootstrap_servers=bootstrap, events_topic=topic)
    settings = ProducerSettings(auto_register=True, linger_ms=_LINGER_MS)
    try:
        with AuditProducer(kafka, RegistrySettings(url=registry_url), settings) as producer:
            _rate(producer, as_dict, _WARM_UP)
            dicts = max(_rate(producer, as_dict, events) for _ in range(_ROUNDS))
            typed_events = max(_rate(producer, typed, events) for _ in range(_ROUNDS))
            costs = min((_costs_us(producer, events) for _ in range(_ROUNDS)), key=statistics.median)
    finally:
        admin.delete_topics([topic])[topic].result(_TIMEOUT_S)
    percentiles = statistics.quantiles(costs, n=100)
    return {
        "producer_events_per_cpu_s": round(dicts),
        "producer_typed_events_per_cpu_s": round(typed_events),
        "producer_submit_p50_us": round(percentiles[49], 1),
        "producer_submit_p99_us": round(percentiles[98], 1),
    }


def _rate(producer: AuditProducer, build: Callable[[int], Event], events: int) -> float:
    began = time.process_time()
    for number in range(events):
        producer.submit(build(number))
    _settle(producer)
    return events / (time.process_time() - began)


def _costs_us(producer: AuditProducer, events: int) -> list[float]:
    costs = []
    for number in range(events):
        event = as_dict(number)
        began = time.thread_time_ns()
        producer.submit(event)
        costs.append((time.thread_time_ns() - began) / 1000)
    _settle(producer)
    return costs


def _settle(producer: AuditProducer) -> None:
    left = producer.flush(_TIMEOUT_S)
    if left or producer.counts().failed:
        raise RuntimeError(f"{left} events open, {producer.counts()}: the figures would be wrong")


if __name__ == "__main__":
    print(measure_producer(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20_000))
