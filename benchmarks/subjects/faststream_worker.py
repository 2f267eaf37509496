"""faststream with clickhouse-connect: a batch subscriber that decodes with fastavro and inserts rows.

Runs in an environment of its own, so it imports nothing of ours but ``rows``.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import clickhouse_connect
import fastavro
from confluent_kafka import Message
from faststream import AckPolicy, FastStream  # type: ignore[import-not-found]
from faststream.confluent import KafkaBroker, KafkaMessage  # type: ignore[import-not-found]

from benchmarks.subjects.rows import Flattener

_FRAME_BYTES = 5


class Subject:
    """The application, with the count of what it stored."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan, self._stored, self._before = plan, 0, (0.0, 0.0)
        self._flattener, self._schema = Flattener(plan["rows"]), fastavro.parse_schema(plan["schema"])
        self._client = clickhouse_connect.get_client(
            host=plan["host"], port=plan["port"], database=plan["database"], autogenerate_session_id=False
        )
        broker = KafkaBroker(plan["bootstrap"], logger=None)
        subscriber = broker.subscriber(
            plan["topic"],
            group_id=f"faststream.{plan['topic']}",
            batch=True,
            max_records=plan["batch_rows"],
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
        )
        subscriber(self.store)
        self._app = FastStream(broker)

    async def store(self, bodies: list[bytes], message: KafkaMessage) -> None:
        """Decode a batch and insert it."""
        rows = [self._row(body, raw) for body, raw in zip(bodies, message.raw_message, strict=True)]
        self._client.insert("audit_events", rows, column_names=self._flattener.columns)
        self._stored += len(rows)
        if self._stored == self._plan["warm"]:
            self._before = time.process_time(), time.perf_counter()
            print("warm", flush=True)
        if self._stored == self._plan["warm"] + self._plan["count"]:
            self._tell()

    def _row(self, body: bytes, raw: Message) -> list[object]:
        record = fastavro.schemaless_reader(io.BytesIO(body[_FRAME_BYTES:]), self._schema, None)
        place = raw.topic(), raw.partition(), raw.offset()
        return self._flattener.row(record, place, raw.timestamp()[1])  # type: ignore[arg-type]

    def _tell(self) -> None:
        cpu, wall = time.process_time() - self._before[0], time.perf_counter() - self._before[1]
        result = {"events": self._plan["count"], "cpu_s": round(cpu, 3), "wall_s": round(wall, 3)}
        print("result " + json.dumps(result), flush=True)

    def run(self) -> None:
        """Run until stopped."""
        asyncio.run(self._app.run())


if __name__ == "__main__":
    Subject(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))).run()
