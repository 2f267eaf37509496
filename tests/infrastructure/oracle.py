"""Says whether every message of a topic ended in the database exactly once, by asking Kafka and the database only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition

from infrastructure.load import Place, Sent
from sinks.connection import Connections
from sinks.digest import digest_by_day
from sinks.manifest import ROW_SCHEMA, manifest_of, manifest_sha256
from sinks.rows import COLUMNS, EVENTS
from sinks.settings import ClickHouseSettings
from sinks.sink import Manifest

_FIRST = bytes(32)


@dataclass(slots=True)
class Verdict:
    """What the oracle found.

    Attributes:
        messages: Messages that an independent consumer read.
        stored: Rows in ``audit_events``.
        dead_letters: Rows in ``dead_letters``.
        problems: What contradicts the promise, one sentence each; empty when it holds.
    """

    messages: int = 0
    stored: int = 0
    dead_letters: int = 0
    problems: list[str] = field(default_factory=list)

    def expect(self, name: str, found: Counter[Any], wanted: Counter[Any]) -> None:
        """Compare two bags and note the difference."""
        for what, rest in (("missing", wanted - found), ("too many", found - wanted)):
            if rest:
                self.problems.append(f"{name}: {rest.total()} {what}, for example {sorted(rest)[:5]}")


def places(bootstrap: str, topic: str, end_offsets: dict[int, int]) -> Counter[Place]:
    """Read a topic from start to end with a plain consumer; return partition and offset of every message."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"oracle-{uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "log_level": 2,
        }
    )
    found: Counter[Place] = Counter()
    left = {p: end for p, end in end_offsets.items() if end > 0}
    consumer.assign([TopicPartition(topic, p, 0) for p in left])
    while left:
        messages = consumer.consume(5000, 10.0)
        if not messages:
            raise TimeoutError(f"{topic} cannot be read to its end: {left}")
        for message in messages:
            if (error := message.error()) is not None:
                raise RuntimeError(error.str())
            place = (message.partition() or 0, message.offset() or 0)
            found[place] += 1
            if place[1] + 1 >= left.get(place[0], 0):
                left.pop(place[0], None)
    consumer.close()
    return found


class Oracle:
    """Compares one topic with one database."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._connections = Connections(settings)
        self._database = settings.database

    def close(self) -> None:
        """Release connections."""
        self._connections.close()

    def done(self, topic: str, end_offsets: dict[int, int]) -> bool:
        """Whether the manifest reaches the end of every partition."""
        rows = self._rows(
            "SELECT kafka_partition AS p, max(last_offset) AS last FROM {db}.ingest_batches WHERE kafka_topic = {{topic:String}} GROUP BY p",
            topic,
        )
        reached = {r["p"]: r["last"] + 1 for r in rows}
        return all(reached.get(p, 0) >= end for p, end in end_offsets.items())

    def judge(self, bootstrap: str, topic: str, end_offsets: dict[int, int], sent: Sent) -> Verdict:
        """Compare every message of the topic with the database."""
        read = places(bootstrap, topic, end_offsets)
        verdict = Verdict(messages=read.total())
        verdict.expect("deliveries against an independent consumer", Counter(sent.fates.keys()), read)
        events = Counter(self._placed("audit_events", topic))
        letters = Counter(self._placed("dead_letters", topic))
        verdict.stored, verdict.dead_letters = events.total(), letters.total()
        fates = sent.fates.items()
        verdict.expect("events", events, Counter(p for p, fate in fates if fate == "stored"))
        verdict.expect("dead letters", letters, Counter(p for p, fate in fates if fate != "stored"))
        verdict.expect("event ids", self._event_ids(topic), Counter(sent.event_ids.items()))
        for partition, end in end_offsets.items():
            verdict.problems += self._judge_manifests(topic, partition, end)
        return verdict

    def manifests(self, topic: str, partition: int) -> Sequence[Manifest]:
        """Return the manifest of a partition in offset order."""
        names = ", ".join(f"`{name}`" for name in ROW_SCHEMA.names)
        sql = f"""SELECT {names} FROM {self._database}.ingest_batches
            WHERE kafka_topic = {{topic:String}} AND kafka_partition = {{p:Int32}} ORDER BY first_offset"""
        return [manifest_of(r) for r in self._connections.read(sql, {"topic": topic, "p": partition}).to_pylist()]

    def _rows(self, sql: str, topic: str, **more: Any) -> Sequence[dict[str, Any]]:
        return self._connections.rows(sql.format(db=self._database), {"topic": topic, **more})

    def _placed(self, table: str, topic: str) -> list[Place]:
        sql = f"SELECT kafka_partition AS p, kafka_offset AS o FROM {{db}}.{table} WHERE kafka_topic = {{{{topic:String}}}}"
        return [(r["p"], r["o"]) for r in self._rows(sql, topic)]

    def _event_ids(self, topic: str) -> Counter[tuple[Place, str]]:
        sql = "SELECT kafka_partition AS p, kafka_offset AS o, toString(event_id) AS id FROM {db}.audit_events WHERE kafka_topic = {{topic:String}}"
        return Counter(((r["p"], r["o"]), r["id"]) for r in self._rows(sql, topic))

    def _judge_manifests(self, topic: str, partition: int, end: int) -> list[str]:
        problems, expected, previous = [], 0, _FIRST
        for manifest in self.manifests(topic, partition):
            name, range_ = f"manifest {partition} {manifest.range.first}-{manifest.range.last}", manifest.range
            counted = manifest.stored + manifest.dead_lettered + manifest.filtered + manifest.skipped
            if range_.first != expected:
                problems.append(f"{name}: begins at {range_.first}, expected {expected}")
            if counted != range_.span:
                problems.append(f"{name}: counts {counted} of {range_.span} offsets")
            if manifest.previous_sha256 != previous:
                problems.append(f"{name}: is not chained to the row before it")
            problems += self._judge_digests(name, manifest)
            expected, previous = range_.next_offset, manifest.sha256
        if expected != end:
            problems.append(f"manifest {partition}: ends at {expected}, the partition at {end}")
        return problems

    def _judge_digests(self, name: str, manifest: Manifest) -> list[str]:
        columns = COLUMNS[EVENTS]()
        names = ", ".join(f"`{c.name}`" for c in columns)
        sql = f"""SELECT {names} FROM {self._database}.audit_events WHERE kafka_topic_id = {{id:UUID}} AND kafka_partition = {{p:Int32}}
            AND kafka_offset BETWEEN {{a:Int64}} AND {{b:Int64}} ORDER BY kafka_offset"""
        range_ = manifest.range
        rows = self._connections.read(
            sql, {"id": str(range_.topic_id), "p": range_.partition, "a": range_.first, "b": range_.last}
        )
        found = digest_by_day(rows, columns) if rows.num_columns else ()
        problems = [] if found == manifest.digests else [f"{name}: the digests do not fit the rows"]
        return problems if _sha256(manifest) == manifest.sha256 else [*problems, f"{name}: its own digest is wrong"]


def _sha256(manifest: Manifest) -> bytes:
    return manifest_sha256(
        manifest.range,
        (manifest.stored, manifest.dead_lettered, manifest.filtered, manifest.skipped),
        manifest.schema_ids,
        manifest.digests,
        manifest.previous_sha256,
    )
