"""What a worker tells about itself, and the one place where metric names stand.

Balance: every message that Kafka hands out ends in exactly one of three ways, so that at any moment

    auditstream_messages_consumed_total
      = sum(auditstream_messages_total)            stored, dead_lettered or filtered
      + auditstream_messages_held                  waiting in memory
      + auditstream_messages_discarded_total       dropped unstored, because their partition went to somebody else

and, per finished range, ``auditstream_offsets_total = auditstream_messages_total + auditstream_offsets_skipped_total``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, cast, get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from consumers.batch import Int64s

CounterName = Literal[
    "auditstream_messages_consumed_total",
    "auditstream_bytes_consumed_total",
    "auditstream_messages_total",
    "auditstream_messages_discarded_total",
    "auditstream_offsets_total",
    "auditstream_offsets_skipped_total",
    "auditstream_offsets_lost_total",
    "auditstream_dead_letters_total",
    "auditstream_flags_total",
    "auditstream_batches_total",
    "auditstream_replays_total",
    "auditstream_retries_total",
    "auditstream_commits_total",
    "auditstream_rebalances_total",
    "auditstream_pauses_total",
    "auditstream_actor_cards_total",
    "auditstream_notices_total",
    "auditstream_notifications_total",
    "auditstream_notify_skipped_total",
]
GaugeName = Literal[
    "auditstream_messages_held",
    "auditstream_budget_held_bytes",
    "auditstream_budget_limit_bytes",
    "auditstream_partitions_assigned",
    "auditstream_lag_offsets",
    "auditstream_lag_seconds",
    "auditstream_actors_known",
    "auditstream_notices_waiting",
    "auditstream_ready",
    "auditstream_build_info",
]
HistogramName = Literal[
    "auditstream_batch_rows",
    "auditstream_batch_bytes",
    "auditstream_batch_age_seconds",
    "auditstream_stage_seconds",
    "auditstream_commit_seconds",
]
#: Kept per event, not per batch, so it has a collector of its own.
LATENCY = "auditstream_event_to_queryable_seconds"

_COUNTERS: Mapping[CounterName, tuple[str, tuple[str, ...]]] = {
    "auditstream_messages_consumed_total": ("Messages that Kafka handed out.", ()),
    "auditstream_bytes_consumed_total": ("Bytes of their values.", ()),
    "auditstream_messages_total": (
        "Messages brought to their end, by fate: stored, dead_lettered, filtered.",
        ("fate",),
    ),
    "auditstream_messages_discarded_total": (
        "Messages dropped unstored, to be read again by the partition's next owner.",
        (),
    ),
    "auditstream_offsets_total": ("Offsets covered by finished ranges.", ()),
    "auditstream_offsets_skipped_total": ("Offsets of finished ranges that had no message.", ()),
    "auditstream_offsets_lost_total": ("Offsets deleted by retention before they were read, skipped on request.", ()),
    "auditstream_dead_letters_total": ("Dead letters by stage and reason.", ("stage", "reason")),
    "auditstream_flags_total": ("Soft findings of stored events.", ("flag",)),
    "auditstream_batches_total": ("Ranges brought to their end.", ()),
    "auditstream_replays_total": ("Ranges that were announced before and had to be completed.", ("cause",)),
    "auditstream_retries_total": ("Attempts that failed and were repeated.", ("stage", "reason")),
    "auditstream_commits_total": ("Commits of offsets, by result.", ("result",)),
    "auditstream_rebalances_total": ("Partitions that came and went.", ("kind",)),
    "auditstream_pauses_total": ("Times that fetching was paused because the budget was used up.", ()),
    "auditstream_actor_cards_total": ("Actor cards read, by result: applied, removed, refused.", ("result",)),
    "auditstream_notices_total": ("Events that a rule speaks of, by result: told, duplicate, known.", ("result",)),
    "auditstream_notifications_total": (
        "Messages by channel and result: sent, failed; retried for each attempt that was not taken.",
        ("channel", "result"),
    ),
    "auditstream_notify_skipped_total": (
        "Messages that told no rule anything because they could not be read, and texts in default words.",
        ("reason",),
    ),
}
_GAUGES: Mapping[GaugeName, tuple[str, tuple[str, ...]]] = {
    "auditstream_messages_held": ("Messages in memory, from fetch to commit.", ()),
    "auditstream_budget_held_bytes": ("Bytes of the memory budget in use.", ()),
    "auditstream_budget_limit_bytes": ("The memory budget.", ()),
    "auditstream_partitions_assigned": ("Partitions that this worker owns.", ()),
    "auditstream_lag_offsets": ("Offsets between what is stored and the end of the partition.", ("topic", "partition")),
    "auditstream_lag_seconds": (
        "Age of the oldest message that was fetched and is not stored yet.",
        ("topic", "partition"),
    ),
    "auditstream_actors_known": ("Actor cards in memory.", ()),
    "auditstream_notices_waiting": ("Notices that wait for their message.", ()),
    "auditstream_ready": ("1 when the worker makes progress or has nothing to do.", ()),
    "auditstream_build_info": ("Always 1; the version is the label.", ("version",)),
}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_HISTOGRAMS: Mapping[HistogramName, tuple[str, tuple[str, ...], tuple[float, ...]]] = {
    "auditstream_batch_rows": ("Messages of a batch.", (), (1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000)),
    "auditstream_batch_bytes": ("Bytes of the values of a batch.", (), (1e3, 1e4, 1e5, 1e6, 4e6, 1.6e7, 6.4e7)),
    "auditstream_batch_age_seconds": ("Time from a batch's first message to its commit.", (), _SECONDS),
    "auditstream_stage_seconds": (
        "Time of one batch in a stage: decode, validate, enrich, build, insert.",
        ("stage",),
        _SECONDS,
    ),
    "auditstream_commit_seconds": ("Time of one commit.", (), _SECONDS),
}
_LATENCY_BUCKETS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0])


class LatencyCollector(Collector):
    """A histogram that takes a whole batch of observations at once."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_LATENCY_BUCKETS) + 1, np.int64)
        self._sum = 0.0

    def observe(self, seconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        """Count observations, seconds, float64[n]."""
        places = np.searchsorted(_LATENCY_BUCKETS, seconds, side="left")
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._sum += float(seconds.sum())

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return the histogram for an exposition."""
        cumulative = np.cumsum(self._counts).tolist()
        bounds = [*(str(b) for b in _LATENCY_BUCKETS.tolist()), "+Inf"]
        family = HistogramMetricFamily(LATENCY, "Time from an event's Kafka timestamp until it can be queried.")
        family.add_metric([], buckets=list(zip(bounds, cumulative, strict=True)), sum_value=self._sum)
        yield family


class Metrics:
    """The metrics of one worker, in a registry of their own.

    Attributes:
        registry: What ``/metrics`` exposes.
        latency: Event-to-queryable latency.
    """

    def __init__(self, version: str = "") -> None:
        self.registry = CollectorRegistry()
        self.latency = LatencyCollector()
        self.registry.register(self.latency)
        self._metrics: dict[str, MetricWrapperBase] = {}
        for counter, (doc, labels) in _COUNTERS.items():
            self._metrics[counter] = Counter(counter, doc, labels, registry=self.registry)
        for gauge, (doc, labels) in _GAUGES.items():
            self._metrics[gauge] = Gauge(gauge, doc, labels, registry=self.registry)
        for histogram, (doc, labels, buckets) in _HISTOGRAMS.items():
            self._metrics[histogram] = Histogram(histogram, doc, labels, buckets=buckets, registry=self.registry)
        self.set("auditstream_build_info", 1, version=version)

    def count(self, name: CounterName, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        metric = cast("Counter", self._metrics[name])
        (metric.labels(**labels) if labels else metric).inc(amount)

    def set(self, name: GaugeName, value: float, **labels: str) -> None:
        """Set a gauge."""
        metric = cast("Gauge", self._metrics[name])
        (metric.labels(**labels) if labels else metric).set(value)

    def forget(self, name: GaugeName, **labels: str) -> None:
        """Remove one labelled child of a gauge, as for a partition that left."""
        metric = self._metrics[name]
        try:
            metric.remove(*labels.values())
        except KeyError:
            return  # never set: nothing to remove

    def observe(self, name: HistogramName, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""
        metric = cast("Histogram", self._metrics[name])
        (metric.labels(**labels) if labels else metric).observe(value)

    def observe_latency(self, now_ms: int, timestamps_ms: Int64s) -> None:
        """Count the latency of every event of a stored batch.

        Args:
            now_ms: When its rows became visible, milliseconds since 1970 UTC.
            timestamps_ms: Kafka timestamps of its messages; int64[n].
        """
        if len(timestamps_ms):
            self.latency.observe(np.maximum(now_ms - timestamps_ms, 0) / 1000.0)

    def value(self, name: str, **labels: str) -> float:
        """Return the current value of one sample, 0 when it was never touched."""
        return self.registry.get_sample_value(name, labels) or 0.0


def metric_names() -> tuple[str, ...]:
    """Return all metric names, as rules and dashboards may use them."""
    return (*get_args(CounterName), *get_args(GaugeName), *get_args(HistogramName), LATENCY)
