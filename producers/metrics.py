"""Counts of producers for Prometheus. A service that measures registers a collector; nobody else pays for it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from producers.producer import AuditProducer


class ProducerCollector(Collector):
    """Reads ``AuditProducer.counts`` whenever Prometheus asks.

    ``emitted = acknowledged + failed + those on their way``, as in ``Counts``. Register one collector for all producers
    of a process: ``REGISTRY.register(ProducerCollector(orders=producer))``. It goes on reading closed producers, whose
    counts stay what they were.
    """

    def __init__(self, **producers: AuditProducer) -> None:
        """Choose what to read.

        Args:
            producers: By the name that their label ``producer`` shows.
        """
        self._producers = producers

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the metrics of all producers."""
        labels = ("producer",)
        emitted = CounterMetricFamily(
            "auditstream_producer_emitted", "Events accepted from the service.", labels=labels
        )
        acknowledged = CounterMetricFamily(
            "auditstream_producer_acknowledged", "Events confirmed by all replicas in sync.", labels=labels
        )
        failed = CounterMetricFamily(
            "auditstream_producer_failed", "Events given up or refused by Kafka; each was reported.", labels=labels
        )
        spooled = GaugeMetricFamily(
            "auditstream_producer_spooled", "Events on disk that are not confirmed now.", labels=labels
        )
        for name, producer in self._producers.items():
            counts = producer.counts()
            emitted.add_metric((name,), counts.emitted)
            acknowledged.add_metric((name,), counts.acknowledged)
            failed.add_metric((name,), counts.failed)
            spooled.add_metric((name,), counts.spooled)
        yield from (emitted, acknowledged, failed, spooled)
