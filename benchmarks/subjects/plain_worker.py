"""The plain Python worker that people write: fastavro per message, rows as lists, ``client.insert``, commit.

It neither validates nor enriches, keeps no manifest, and stores events twice after a crash.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence

import clickhouse_connect
import fastavro
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, Message

from benchmarks.plan import BATCH_ROWS
from benchmarks.subjects.flat import row_plan
from benchmarks.subjects.reporting import Moment, expect_rows, hold_merges, merged_cpu_s, tell, tell_warm
from benchmarks.subjects.rows import Flattener, Record
from schemas.columns import avro_schema
from schemas.wire import HEADER_BYTES
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings


class PlainWorker:
    """Consumes, decodes, inserts, commits."""

    def __init__(self, bootstrap: str, topic: str, client: Client, batch_rows: int) -> None:
        self._client, self._batch_rows = client, batch_rows
        self._schema = fastavro.parse_schema(avro_schema("audit_event", 1))
        self._flattener = Flattener(row_plan())
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"plain.{topic}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.subscribe([topic])

    def store(self, count: int) -> None:
        """Store the next ``count`` events."""
        while count:
            rows = self._rows(min(count, self._batch_rows))
            self._client.insert("audit_events", rows, column_names=self._flattener.columns)
            self._consumer.commit(asynchronous=False)
            count -= len(rows)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _rows(self, count: int) -> Sequence[Sequence[object]]:
        rows: list[list[object]] = []
        while len(rows) < count:
            for message in self._consumer.consume(min(1000, count - len(rows)), 1.0):
                if (error := message.error()) is not None:
                    raise RuntimeError(error.str())
                rows.append(self._row(message))
        return rows

    def _row(self, message: Message) -> list[object]:
        place = message.topic() or "", message.partition() or 0, message.offset() or 0
        return self._flattener.row(self._record(message), place, message.timestamp()[1])

    def _record(self, message: Message) -> Record:
        body = io.BytesIO((message.value() or b"")[HEADER_BYTES:])
        record: Record = fastavro.schemaless_reader(body, self._schema, None)  # type: ignore[assignment]
        return record


def measure(settings: ClickHouseSettings, kafka: tuple[str, str], warm: int, count: int) -> dict[str, float]:
    """Store ``warm`` events, then measure ``count`` further ones; ``kafka`` is address and topic."""
    connections = Connections(settings)
    Migrator(connections).migrate()
    client = clickhouse_connect.get_client(interface="chdb", path=str(settings.path), database=settings.database)
    worker = PlainWorker(*kafka, client, BATCH_ROWS)
    worker.store(warm)
    hold_merges(connections)
    tell_warm()
    before = Moment.now()
    worker.store(count)
    after = Moment.now()
    merges_s = merged_cpu_s(connections, count, warm + count)
    expect_rows(connections, warm + count)
    worker.close()
    client.close()
    connections.close()
    return before.until(after, count) | {"merges_after_cpu_s": merges_s}


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("directory", "bootstrap", "topic"):
        parser.add_argument(name)
    for name in ("warm", "count"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    settings = ClickHouseSettings(interface="chdb", path=given.directory)
    tell(measure(settings, (given.bootstrap, given.topic), given.warm, given.count))


if __name__ == "__main__":
    main()
