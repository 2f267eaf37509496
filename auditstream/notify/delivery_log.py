"""The delivery log in ClickHouse: every notice from its beginning to its end, in rows that are only ever added."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa

from auditstream.notify.notices import ENDS, NO_MESSAGE, Message, Notice, State
from auditstream.notify.templates import Text
from sinks.connection import Connections

TABLE = "notification_deliveries"
_MILLIS = pa.timestamp("ms", tz="UTC")
_MICROS = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("recorded_at", _MILLIS),
        ("rule", pa.string()),
        ("channel", pa.string()),
        ("state", pa.string()),
        ("event_id", pa.string()),
        ("tenant_id", pa.string()),
        ("event_code", pa.string()),
        ("occurred_at", _MICROS),
        ("key_sha256", pa.binary(32)),
        ("message_id", pa.string()),
        ("position", pa.uint32()),
        ("events", pa.uint32()),
        ("attempts", pa.uint32()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("error", pa.string()),
        ("kafka_topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("expires_at", _MILLIS),
    ]
)
#: Event ids in one question; its values travel in the address of the request.
_ASKED_IDS = 200
#: Columns of a listing, in order; the text last, as it is long.
LISTED = (
    "recorded_at", "rule", "channel", "state", "event_code", "tenant_id", "event_id", "message_id", "events",
    "attempts", "title", "error", "text",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Which entries of the log are asked for; what is empty asks for all.

    Attributes:
        rule: Name of a rule.
        channel: Name of a channel.
        state: State.
        event_id: Id of an event.
        message_id: Id of a message.
        since: Entries of this time or later.
        until: Entries before this time.
        limit: Entries at most, the newest ones.
    """

    rule: str = ""
    channel: str = ""
    state: str = ""
    event_id: str = ""
    message_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50


class DeliveryLog:
    """Writes and reads the log. Any thread may ask.

    Every method may raise ``SinkUnavailable`` (wait and ask again; repeating a write is harmless) and ``SinkStopped``.

    Args:
        connections: Connections to the database; closed by the caller.
        topic: Topic of the events.
        days: Days that entries are kept.
    """

    def __init__(self, connections: Connections, topic: str, days: int) -> None:
        self._connections, self._topic, self._days = connections, topic, days
        self._table = f"`{connections.settings.database}`.{TABLE}"

    def known(self, notices: Iterable[Notice]) -> Mapping[tuple[str, str], frozenset[str]]:
        """Return, by rule and event id, the channels without an end yet of those notices that the log has already."""
        pairs = {(notice.rule, notice.event_id) for notice in notices}
        events = sorted({event for _, event in pairs})
        found: dict[tuple[str, str], frozenset[str]] = {}
        for start in range(0, len(events), _ASKED_IDS):
            rows = self._rows(
                "SELECT rule, event, groupArrayIf(channel, ends = 0) AS channels FROM (SELECT rule, channel,"
                " toString(event_id) AS event, countIf(state IN {ends:Array(String)}) AS ends FROM {table}"
                " WHERE event_id IN {events:Array(UUID)} AND state != 'test' GROUP BY rule, channel, event)"
                " GROUP BY rule, event",
                {"events": events[start : start + _ASKED_IDS], "ends": list(ENDS)},
            )
            found |= {(row["rule"], row["event"]): frozenset(row["channels"]) for row in rows}
        return {pair: channels for pair, channels in found.items() if pair in pairs}

    def begin(self, notices: Sequence[Notice], state: State = "pending") -> None:
        """Write that notices were taken up: ``pending``, or ``duplicate`` for those that will not be told."""
        rows = [self._row(n, channel, state, n.recorded_at) for n in notices for channel in n.channels]
        if state == "pending":
            rows = [
                row | {"title": n.text.title, "text": n.text.text} for row, n in zip(rows, _each(notices), strict=True)
            ]
        self._insert(rows)

    def end(self, message: Message, state: State, at: datetime, *, attempts: int, error: str = "") -> None:
        """Write what became of a message, a row for each of its events; the first holds what it said."""
        rows = [self._row(n, message.channel, state, at) for n in message.notices]
        shared = {
            "message_id": str(message.message_id), "events": len(rows), "attempts": attempts, "error": error,
        }  # fmt: skip
        rows = [row | shared | {"position": place} for place, row in enumerate(rows)]
        rows[0] |= {"title": message.text.title, "text": message.text.text}
        self._insert(rows)

    def pending(self, partitions: Collection[int]) -> list[Notice]:
        """Return the notices of some partitions that have no end yet, each with its open channels, oldest first."""
        rows = self._rows(
            "SELECT rule, toString(event_id) AS event, arraySort(groupArray(channel)) AS channels, any(key) AS key,"
            " any(tenant) AS tenant, any(code) AS code, any(occurred) AS occurred, any(title_) AS title,"
            " any(text_) AS text, any(partition) AS partition, any(offset) AS offset, min(recorded) AS recorded"
            " FROM (SELECT rule, channel, event_id, anyIf(hex(key_sha256), state = 'pending') AS key,"
            " any(tenant_id) AS tenant, any(event_code) AS code, any(occurred_at) AS occurred,"
            " anyIf(title, state = 'pending') AS title_, anyIf(text, state = 'pending') AS text_,"
            " any(kafka_partition) AS partition, any(kafka_offset) AS offset, min(recorded_at) AS recorded"
            " FROM {table} WHERE kafka_topic = {topic:String} AND kafka_partition IN {partitions:Array(Int32)}"
            " AND state != 'test' GROUP BY rule, channel, event_id HAVING countIf(state IN {ends:Array(String)}) = 0)"
            " GROUP BY rule, event_id ORDER BY recorded, partition, offset",
            {"topic": self._topic, "partitions": sorted(partitions), "ends": list(ENDS)},
        )
        return [_notice(row) for row in rows]

    def keys(self, rule: str, since: datetime) -> Mapping[bytes, datetime]:
        """Return when a rule last told of each key."""
        rows = self._rows(
            "SELECT hex(key_sha256) AS key, max(recorded_at) AS at FROM {table}"
            " WHERE rule = {rule:String} AND state = 'pending' AND recorded_at > fromUnixTimestamp64Milli({since:Int64})"
            " GROUP BY key_sha256",
            {"rule": rule, "since": _millis(since)},
        )
        return {bytes.fromhex(row["key"]): row["at"] for row in rows}

    def sent(self, rule: str, since: datetime) -> list[datetime]:
        """Return when a rule sent messages, ascending; one that went through several channels counts once."""
        rows = self._rows(
            "SELECT min(recorded_at) AS at FROM {table} WHERE rule = {rule:String} AND state IN ('sent', 'failed')"
            " AND recorded_at > fromUnixTimestamp64Milli({since:Int64}) GROUP BY message_id ORDER BY at",
            {"rule": rule, "since": _millis(since)},
        )
        return [row["at"] for row in rows]

    def entries(self, asked: LogQuestion) -> Sequence[Mapping[str, Any]]:
        """Return entries of the log, the newest first, with the columns ``LISTED``."""
        where, values = _conditions(asked)
        chosen = ", ".join(f"toString({c}) AS {c}" if c in {"event_id", "message_id"} else c for c in LISTED)
        return self._rows(
            f"SELECT {chosen} FROM {{table}} AS log WHERE {where}"  # noqa: S608 - written here; values are bound
            " ORDER BY log.recorded_at DESC, log.message_id, log.position, log.event_id LIMIT {limit:UInt32}",
            {**values, "limit": asked.limit},
        )

    def _row(self, notice: Notice, channel: str, state: State, at: datetime) -> dict[str, object]:
        return {
            "recorded_at": at,
            "rule": notice.rule,
            "channel": channel,
            "state": state,
            "event_id": notice.event_id,
            "tenant_id": notice.tenant_id,
            "event_code": notice.event_code,
            "occurred_at": notice.occurred_at,
            "key_sha256": notice.key,
            "message_id": str(NO_MESSAGE),
            "position": 0,
            "events": 1,
            "attempts": 0,
            "title": "",
            "text": "",
            "error": "",
            "kafka_topic": self._topic,
            "kafka_partition": notice.partition,
            "kafka_offset": notice.offset,
            "expires_at": at + timedelta(days=self._days),
        }

    def _insert(self, rows: Sequence[Mapping[str, object]]) -> None:
        if rows:
            block = pa.Table.from_pylist(list(rows), schema=_SCHEMA)
            self._connections.insert(self._table, block, "", query_id=f"auditstream:{TABLE}:{uuid4()}")

    def _rows(self, statement: str, values: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        # Replicas ask for what others have acknowledged, so that a notice is not taken up twice.
        return self._connections.rows(
            statement.replace("{table}", self._table), values, extra={"select_sequential_consistency": 1}
        )


def _each(notices: Sequence[Notice]) -> Iterator[Notice]:
    return (notice for notice in notices for _ in notice.channels)


def _notice(row: Mapping[str, Any]) -> Notice:
    return Notice(
        rule=row["rule"],
        channels=tuple(row["channels"]),
        event_id=row["event"],
        tenant_id=row["tenant"],
        event_code=row["code"],
        occurred_at=row["occurred"],
        text=Text(row["title"], row["text"]),
        key=bytes.fromhex(row["key"]),
        partition=row["partition"],
        offset=row["offset"],
        recorded_at=row["recorded"],
    )


def _conditions(asked: LogQuestion) -> tuple[str, dict[str, object]]:
    named = {"rule": asked.rule, "channel": asked.channel, "state": asked.state}
    found = [f"{name} = {{{name}:String}}" for name, value in named.items() if value]
    values: dict[str, object] = {name: value for name, value in named.items() if value}
    for name, id_ in (("event_id", asked.event_id), ("message_id", asked.message_id)):
        if id_:
            found.append(f"log.{name} = {{{name}:UUID}}")
            values[name] = str(UUID(id_))
    for name, sign, moment in (("since", ">=", asked.since), ("until", "<", asked.until)):
        if moment is not None:
            found.append(f"log.recorded_at {sign} fromUnixTimestamp64Milli({{{name}:Int64}})")
            values[name] = _millis(moment)
    return " AND ".join(found) or "1", values


def _millis(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)


def narrowed(notice: Notice, channels: Collection[str]) -> Notice:
    """Return a notice for some of its channels."""
    return replace(notice, channels=tuple(c for c in notice.channels if c in channels))
