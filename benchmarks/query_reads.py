"""The named reads: what people and machines ask of the log, each beside the same question to a plain table.

The plain table holds the same rows, ``ORDER BY occurred_at``, without index or projection. It is asked what people
write: the filter, the order, the limit, in one statement. Rows and bytes are those that the engine counts as read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from benchmarks.load_store import BIG_TENANT, PARTITIONS, PLAIN_TABLE, TOPIC_ID
from query import Position, Question, Reader, parse
from query.database import Database
from query.parameters import Parameters
from query.question import ALIVE

#: What a page shows of an event.
FIELDS = (
    "occurred_at", "event_id", "event_code", "outcome", "actor_id", "actor_name", "ip", "geo_country", "target_type",
    "target_id", "target_name", "message", "deliveries", "conflict",
)  # fmt: skip
_PLAIN_FIELDS = ", ".join(f for f in FIELDS if f not in ("deliveries", "conflict"))
_PAGE_ROWS = 50
_EXPORT_ROWS = 20_000
_EXPORT_PAGE = 10_000
_DEEP_PAGE = 1_000
_RUNS = 5


@dataclass(frozen=True, slots=True)
class Probe:
    """Values to ask for that occur, but rarely.

    Attributes:
        at: The present of the questions.
        actor: An actor of the largest tenant, as ``actor_id``.
        object: Main object as ``type/id``.
        ip: Address.
        network: Network of 256 addresses.
        action: Event code.
        word: A word in messages.
        event: Id of an event.
        request: Request.
        offset: An offset near the end of every partition.
    """

    at: datetime
    actor: str
    object: str
    ip: str
    network: str
    action: str
    word: str
    event: str
    request: str
    offset: int


@dataclass(frozen=True, slots=True)
class NamedRead:
    """One read.

    Attributes:
        name: Its key in the results.
        run: Asks our reader; returns the number of rows.
        plain: The statement that the plain table is asked, and its parameters.
    """

    name: str
    run: Callable[[], int]
    plain: Callable[[Parameters], str]


@dataclass(slots=True)
class Meter:
    """What the engine of this process reads."""

    database: Database
    _own: tuple[int, int] = field(default=(0, 0), init=False)

    def __post_init__(self) -> None:
        # Asking for the counters counts itself.
        first, second = self._events(), self._events()
        self._own = (second[0] - first[0], second[1] - first[1])

    @contextmanager
    def counted(self, into: dict[str, int], prefix: str = "") -> Iterator[None]:
        """Put rows and bytes that are read meanwhile into a mapping."""
        before = self._events()
        yield
        rows, size = (max(0, b - a - o) for a, b, o in zip(before, self._events(), self._own, strict=True))
        into |= {f"{prefix}rows_read": rows, f"{prefix}bytes_read": size}

    def _events(self) -> tuple[int, int]:
        statement = "SELECT event, value FROM system.events WHERE event IN ('SelectedRows', 'SelectedBytes')"
        found = {r["event"]: r["value"] for r in self.database.rows(statement, Parameters())}
        return found.get("SelectedRows", 0), found.get("SelectedBytes", 0)


@dataclass(frozen=True, slots=True)
class Reads:
    """All named reads on one store.

    Attributes:
        reader: Ours.
        database: Its connection, for the plain table.
        probe: What is asked for.
    """

    reader: Reader
    database: Database
    probe: Probe

    def named(self) -> Sequence[NamedRead]:
        """Return the reads in the order of the results."""
        p = self.probe
        mine = f"tenant:{BIG_TENANT}"
        filters = {
            "by_actor": f"{mine} actor_id:{p.actor}",
            "by_object": f"{mine} target:{p.object}",
            "by_ip": f"{mine} ip:{p.ip}",
            "by_network": f"{mine} ip:{p.network}",
            "by_action": f"{mine} action:{p.action}",
            "free_text": f"{mine} text:{p.word}",
            "event_id": f"event:{p.event}",
            "request_id": f"request:{p.request}",
            "any_of": f"{mine} (actor_id:{p.actor} OR ip:{p.ip} OR target:{p.object})",
        }
        counts = ("by_actor", "by_object", "by_ip", "by_action", "any_of")
        return (
            self._page("newest_page", mine),
            self._page("next_page", mine, pages=1),
            self._page("deep_page", mine, pages=_DEEP_PAGE),
            *(self._page(name, text) for name, text in filters.items()),
            *(self._count(f"count_{name}", filters[name]) for name in counts),
            self._count("count_tenant", mine),
            self._histogram(mine),
            self._facet(f"{mine} since:30d"),
            self._tail(),
            self._export(mine),
            self._states(f"{mine} task_status:failed"),
        )

    def _question(self, text: str) -> Question:
        return Question(parse(text), now=self.probe.at)

    def _page(self, name: str, text: str, pages: int = 0) -> NamedRead:
        cursor = self._cursor_behind(text, pages)
        question = self._question(text)
        return NamedRead(
            name,
            lambda: len(self.reader.page(question, limit=_PAGE_ROWS, cursor=cursor, fields=FIELDS).rows),
            lambda parameters: (
                f"SELECT {_PLAIN_FIELDS} FROM {PLAIN_TABLE} WHERE {question.where(parameters)} "  # noqa: S608 - ours
                f"ORDER BY occurred_at DESC LIMIT {_PAGE_ROWS} OFFSET {pages * _PAGE_ROWS}"
            ),
        )

    def _cursor_behind(self, text: str, pages: int) -> str | None:
        question, cursor, left = self._question(text), None, pages * _PAGE_ROWS
        while left:
            # A cursor belongs to a question, not to a size of pages.
            page = self.reader.page(question, limit=min(left, _EXPORT_PAGE), cursor=cursor, fields=["kafka_offset"])
            cursor, left = page.next_cursor, left - len(page.rows)
        return cursor

    def _count(self, name: str, text: str) -> NamedRead:
        question = self._question(text)
        return NamedRead(
            name,
            lambda: self.reader.total(question).events,
            lambda parameters: f"SELECT count() FROM {PLAIN_TABLE} WHERE {question.where(parameters)}",  # noqa: S608 - ours
        )

    def _histogram(self, text: str) -> NamedRead:
        question = self._question(text)
        return NamedRead(
            "histogram",
            lambda: len(self.reader.histogram(question, "day")),
            lambda parameters: (
                f"SELECT toStartOfDay(occurred_at, 'UTC') AS day, count() FROM {PLAIN_TABLE} "  # noqa: S608 - ours
                f"WHERE {question.where(parameters)} GROUP BY day ORDER BY day"
            ),
        )

    def _facet(self, text: str) -> NamedRead:
        question = self._question(text)
        return NamedRead(
            "facets",
            lambda: len(self.reader.facet(question, "action")),
            lambda parameters: (
                f"SELECT event_code, count() AS n FROM {PLAIN_TABLE} WHERE {question.where(parameters)} "  # noqa: S608 - ours
                "GROUP BY event_code ORDER BY n DESC LIMIT 10"
            ),
        )

    def _tail(self) -> NamedRead:
        position = Position({(str(TOPIC_ID), p): self.probe.offset for p in range(PARTITIONS)})
        question = self._question(f"tenant:{BIG_TENANT}")
        return NamedRead(
            "arrival_tail",
            lambda: len(self.reader.arrivals(question, position, limit=1_000, fields=FIELDS).rows),
            lambda parameters: (
                f"SELECT {_PLAIN_FIELDS} FROM {PLAIN_TABLE} WHERE {question.where(parameters)} "  # noqa: S608 - ours
                f"AND kafka_topic_id = '{TOPIC_ID}' AND kafka_offset >= {self.probe.offset} ORDER BY ingested_at LIMIT 12000"
            ),
        )

    def _export(self, text: str) -> NamedRead:
        question = self._question(text)
        return NamedRead(
            "export_20000",
            lambda: self._walk(question, _EXPORT_ROWS),
            lambda parameters: (
                f"SELECT {_PLAIN_FIELDS} FROM {PLAIN_TABLE} WHERE {question.where(parameters)} "  # noqa: S608 - ours
                f"ORDER BY occurred_at DESC LIMIT {_EXPORT_ROWS}"
            ),
        )

    def _walk(self, question: Question, rows: int) -> int:
        cursor, found = None, 0
        while found < rows:
            page = self.reader.page(question, limit=_EXPORT_PAGE, cursor=cursor, fields=FIELDS[:-2])
            cursor, found = page.next_cursor, found + len(page.rows)
            if cursor is None:
                break
        return found

    def _states(self, text: str) -> NamedRead:
        question = self._question(text)
        return NamedRead(
            "latest_task_states",
            lambda: len(self.reader.latest_states("task", question, limit=_PAGE_ROWS, fields=FIELDS).rows),
            lambda parameters: (
                f"SELECT task_id, argMax(task_status, (task_state_seq, ingested_at)) AS status, max(occurred_at) AS at "  # noqa: S608 - ours
                f"FROM {PLAIN_TABLE} WHERE {ALIVE} AND record_kind = 'task' AND tenant_id = "
                f"{parameters.text(BIG_TENANT)} GROUP BY task_id HAVING status = 'failed' ORDER BY at DESC LIMIT {_PAGE_ROWS}"
            ),
        )


def measured(read: NamedRead, database: Database, meter: Meter) -> Mapping[str, Any]:
    """Return what a read costs, warm: the median time, and what is read."""
    result: dict[str, Any] = {"rows": read.run()}
    with meter.counted(result):
        read.run()
    result["ms"] = _ms(read.run)

    def plain() -> int:
        parameters = Parameters()
        statement = read.plain(parameters)
        return len(database.rows(statement, parameters))

    with meter.counted(result, "plain_"):
        plain()
    result["plain_ms"] = _ms(plain, runs=3)
    return result


def _ms(run: Callable[[], int], runs: int = _RUNS) -> float:
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1000)
    return round(median(taken), 1)


def probe(database: Database, at: datetime) -> Probe:
    """Choose what to ask for: in the largest tenant, what has at least sixty events and little more."""

    def rare(expression: str, least: int = 60, where: str = "1") -> str:
        found = database.rows(
            f"SELECT {expression} AS value, count() AS n FROM {PLAIN_TABLE} "  # noqa: S608 - ours
            f"WHERE tenant_id = '{BIG_TENANT}' AND {where} GROUP BY value HAVING n >= {least} ORDER BY n, value LIMIT 1",
            Parameters(),
        )
        return str(found[0]["value"])

    middle = database.rows(
        f"SELECT toString(event_id) AS event, request_id FROM {PLAIN_TABLE} WHERE tenant_id = '{BIG_TENANT}' "  # noqa: S608 - ours
        f"ORDER BY abs(dateDiff('second', occurred_at, toDateTime({int(at.timestamp())}) - INTERVAL 100 DAY)) LIMIT 1",
        Parameters(),
    )[0]
    last = database.rows(f"SELECT max(kafka_offset) AS newest FROM {PLAIN_TABLE}", Parameters())[0]["newest"]  # noqa: S608 - ours
    public = "ip_kind = 'public'"
    return Probe(
        at,
        rare("actor_id"),
        rare("concat(target_type, '/', target_id)", 20),
        rare("replaceOne(toString(ip), '::ffff:', '')", 20, public),
        rare(
            "concat(IPv4NumToString(bitAnd(toUInt32(tupleElement(IPv4CIDRToRange(toIPv4(replaceOne(toString(ip), "
            "'::ffff:', '')), 24), 1)), 4294967040)), '/24')",
            60,
            public,
        ),
        rare("event_code"),
        rare("arrayJoin(splitByChar(' ', message))", 60, "message != ''"),
        middle["event"],
        middle["request_id"],
        last - 200,
    )
