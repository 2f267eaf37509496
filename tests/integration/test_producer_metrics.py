"""What Prometheus reads of a producer, through an outage and after it."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from infrastructure.kafka import Broker, Topics
from producers import AuditEvent, AuditProducer, ProducerSettings
from producers.metrics import ProducerCollector
from schemas.settings import KafkaSettings, RegistrySettings


def _samples(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("auditstream_producer_"): float(value) for name, value in pairs}


def test_the_metrics_follow_the_counts_through_an_outage(controlled_broker: Broker, tmp_path: Path) -> None:
    topic = Topics(controlled_broker.bootstrap).create(partitions=1)
    kafka = KafkaSettings(bootstrap_servers=controlled_broker.bootstrap, events_topic=topic)
    settings = ProducerSettings(mode="best_effort", spool_dir=tmp_path / "spool", auto_register=True)
    metrics = CollectorRegistry()
    with AuditProducer(kafka, RegistrySettings(url="mock://metrics"), settings) as producer:
        metrics.register(ProducerCollector(orders=producer))
        controlled_broker.pause()
        for _ in range(3):
            producer.emit(AuditEvent(event_code="a.b", tenant_id="t"))
        label = '{producer="orders"}'
        during = {
            f"emitted_total{label}": 3,
            f"acknowledged_total{label}": 0,
            f"failed_total{label}": 0,
            f"spooled{label}": 3,
        }
        assert _samples(metrics) == during
        controlled_broker.resume()
        assert producer.flush(60) == 0
        assert _samples(metrics) == during | {f"acknowledged_total{label}": 3, f"spooled{label}": 0}
