"""Rows as lists, as a plain Python worker makes them; needs the standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Record = Mapping[str, Any]
Take = Callable[[Record], object]

_OWN = (
    "event_id",
    "ip",
    "kafka_topic",
    "kafka_partition",
    "kafka_offset",
    "received_at",
    "retention_days",
    "expires_at",
)


class Flattener:
    """Turns records into rows of ``audit_events``; what only our worker knows is left to defaults."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        """Prepare it.

        Args:
            plan: As ``benchmarks.subjects.flat.row_plan`` returns it.
        """
        self._days: Mapping[str, int] = plan["days"]
        self._default_days: int = plan["default_days"]
        self._takes = [_take(**column) for column in plan["columns"]]
        self.columns = [*_OWN, *(column["name"] for column in plan["columns"])]

    def row(self, record: Record, place: tuple[str, int, int], timestamp_ms: int) -> list[object]:
        """Return one row of a record at a topic, partition and offset."""
        received = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
        days = self._days.get(record["event_code"], self._default_days)
        own = (record["event_id"], record["ip"] or "::", *place, received, days, received + timedelta(days=days))
        return [*own, *[take(record) for take in self._takes]]


def _take(name: str, head: str, field: str, empty: object, *, nested: bool) -> Take:
    del name
    if nested:
        return lambda record: [item[field] for item in record[head]]
    if not field:
        return lambda record: empty if record[head] is None else record[head]
    return lambda record: empty if record[head] is None or record[head][field] is None else record[head][field]
