"""The delivery log on the real engine: what is asked of it, and that lost inserts and lost answers lose and repeat nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pyarrow as pa
import pytest

from auditstream.notify.channels import Inbox
from auditstream.notify.delivery_log import TABLE, DeliveryLog, LogQuestion
from auditstream.notify.desk import Desk
from auditstream.notify.notices import Message, Notice
from auditstream.notify.rules_file import load_rules
from auditstream.notify.sender import Sender
from auditstream.notify.templates import Text
from consumers.metrics import Metrics
from infrastructure.clickhouse import ServedEngine, drop_database, fresh_database
from infrastructure.running import PATIENCE_S
from query.period import micros
from schemas.catalogue import Catalogue
from sinks.connection import Connections
from sinks.errors import SinkUnavailable
from sinks.migrate import Migrator
from sinks.testing import rows

pytest_plugins = ["infrastructure.faults_fixtures"]

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
TOPIC = "audit.events"
RULES = """
[[rules]]
name = "a"
filter = "outcome:failure"
channels = ["inbox"]
title = "{{ event.message }}"
deduplicate = { key = "{{ event.actor_id }}", minutes = 10 }
"""


@pytest.fixture(scope="module")
def connections(faulty_engine: ServedEngine) -> Iterator[Connections]:
    settings = fresh_database(faulty_engine.settings)
    opened = Connections(settings)
    Migrator(opened).migrate()
    yield opened
    opened.close()
    drop_database(settings)


@pytest.fixture
def log(connections: Connections) -> DeliveryLog:
    connections.command(f"TRUNCATE TABLE `{connections.settings.database}`.{TABLE}")
    return DeliveryLog(connections, TOPIC, days=3650)


def notice(number: int, *channels: str, at: datetime = NOW, rule: str = "a", key: int = 0) -> Notice:
    text = Text(f"title {number}", f"Grüße {number}")
    digest = bytes([key or number]) * 32
    return Notice(rule, channels, str(UUID(int=number)), "acme", "a.b", NOW, text, digest, number % 2, number, at)


def test_what_is_pending_comes_back_with_all_that_a_message_needs(connections: Connections, log: DeliveryLog) -> None:
    first, second, third = notice(1, "x", "y"), notice(2, "x"), notice(3, "x", at=NOW + timedelta(seconds=1))
    log.begin([first, second, third])
    log.begin([notice(5, "x")], "duplicate")
    log.end(Message("a", "x", (notice(7, "x"),), Text("t", "")), "test", NOW, attempts=1)
    assert log.pending([0, 1]) == [second, first, third]
    log.end(Message("a", "x", (first, second), Text("t", "")), "sent", NOW, attempts=1)
    (left, last) = log.pending([1])
    assert (left.event_id, left.channels) == (first.event_id, ("y",))
    assert last == third
    assert log.pending([0]) == []
    assert DeliveryLog(connections, "another.topic", 1).pending([0, 1]) == []


def test_a_notice_is_known_by_rule_and_event_with_its_open_channels(log: DeliveryLog) -> None:
    log.begin([notice(1, "x", "y"), notice(2, "x")])
    log.end(Message("a", "x", (notice(1, "x"), notice(2, "x")), Text("t", "")), "failed", NOW, attempts=1, error="no")
    asked = [
        notice(1, "x"),
        notice(2, "x"),
        notice(2, "x", rule="b"),
        notice(3, "x"),
        *(notice(n, "x") for n in range(4, 240)),
    ]
    one, two = str(UUID(int=1)), str(UUID(int=2))
    assert log.known(asked) == {("a", one): {"y"}, ("a", two): set()}


def test_keys_and_messages_of_the_time_that_counts_are_found_after_a_restart(log: DeliveryLog) -> None:
    log.begin([notice(1, "x", at=NOW - timedelta(minutes=9), key=1), notice(2, "x", "y", at=NOW, key=1)])
    log.begin([notice(3, "x", at=NOW - timedelta(minutes=11), key=2)])
    assert log.keys("a", NOW - timedelta(minutes=10)) == {bytes([1]) * 32: NOW}
    assert log.keys("b", NOW - timedelta(minutes=10)) == {}
    for minutes in (2, 1, 20):
        message = Message("a", "x", (notice(1, "x"), notice(2, "x")), Text("t", ""))
        log.end(message, "sent", NOW - timedelta(minutes=minutes), attempts=1)
        log.end(Message("a", "y", message.notices, message.text, message.message_id), "failed", NOW, attempts=1)
    assert log.sent("a", NOW - timedelta(minutes=10)) == [NOW - timedelta(minutes=m) for m in (2, 1, 0)]


def test_entries_are_found_by_what_they_are_about_the_newest_first(log: DeliveryLog) -> None:
    later = NOW + timedelta(minutes=5)
    message = Message("b", "y", (notice(1, "y", rule="b"), notice(2, "y", rule="b")), Text("Title", "Text"))
    log.begin([notice(1, "x"), notice(2, "x")])
    log.end(message, "sent", later, attempts=3)

    def found(**asked: Any) -> list[tuple[str, int]]:
        return [(e["channel"], UUID(e["event_id"]).int) for e in log.entries(LogQuestion(**asked))]

    assert found() == [("y", 1), ("y", 2), ("x", 1), ("x", 2)]
    assert found(rule="a") == found(channel="x") == found(state="pending") == found(until=later) == [("x", 1), ("x", 2)]
    assert found(since=later) == found(message_id=str(message.message_id)) == [("y", 1), ("y", 2)]
    assert found(event_id=str(UUID(int=2))) == [("y", 2), ("x", 2)]
    assert found(limit=1) == [("y", 1)]
    first, second = log.entries(LogQuestion(rule="b"))
    assert (first["title"], first["text"], first["events"], first["attempts"]) == ("Title", "Text", 2, 3)
    assert (second["title"], second["text"]) == ("", "")
    assert found(rule="' OR 1=1 --") == []


class Office:
    """Desk and sender on the log, without Kafka."""

    def __init__(self, log: DeliveryLog, directory: Path) -> None:
        path = directory / "rules.toml"
        path.write_text(RULES, "utf-8")
        self.metrics = Metrics()
        self.desk = Desk(load_rules(path), Catalogue.load(), log, metrics=self.metrics, clock=lambda: NOW)
        self.desk.open()
        self.sender = Sender(
            {"inbox": Inbox()}, log, metrics=self.metrics, retry_s=1.0, clock=lambda: NOW, ended=self.desk.ended
        )
        self.sender.start()

    def record(self, notices: list[Notice]) -> None:
        while True:
            try:
                self.desk.record(notices)
            except SinkUnavailable:
                continue
            return

    def send(self) -> list[str]:
        """Send what is due; return the titles."""
        messages = self.desk.messages()
        for message in messages:
            self.sender.submit(message)
        assert self.sender.drain(PATIENCE_S)
        return [message.text.title for message in messages]


@pytest.fixture
def office(log: DeliveryLog, tmp_path: Path) -> Iterator[Office]:
    made = Office(log, tmp_path)
    yield made
    made.sender.close(PATIENCE_S)


def events(*numbers: int, **fields: Any) -> pa.Table:
    values = [
        {
            "event_id": UUID(int=n).bytes,
            "outcome": "failure",
            "message": f"m{n}",
            "actor_id": f"u{n}",
            "kafka_offset": n,
        }
        | {"occurred_at": micros(NOW)}
        | fields
        for n in numbers
    ]
    return rows("audit_events", values)


@pytest.mark.parametrize("insert", [1, 2, 3])
@pytest.mark.parametrize("action", ["drop_request", "drop_answer"])
def test_a_lost_insert_or_answer_neither_loses_nor_repeats_a_message(
    office: Office, log: DeliveryLog, http: httpx.Client, action: str, insert: int
) -> None:
    http.post("/faults", json={"insert": insert, "action": action}).raise_for_status()
    first = office.desk.notices(events(1, 2)) + office.desk.notices(events(3, actor_id="u1"))
    office.record(first)
    sent = office.send()
    office.record(first)  # as after a restart that had not committed
    office.record(office.desk.notices(events(4, actor_id="u2")) + office.desk.notices(events(5)))
    sent += office.send()
    assert sent == ["m1", "m2", "m5"]
    ends = {(e["state"], UUID(e["event_id"]).int) for e in log.entries(LogQuestion()) if e["state"] != "pending"}
    assert ends == {("sent", 1), ("sent", 2), ("duplicate", 3), ("duplicate", 4), ("sent", 5)}
    assert log.pending([0]) == []


def test_what_an_ended_process_left_is_sent_by_the_next_and_only_that(log: DeliveryLog, tmp_path: Path) -> None:
    before = Office(log, tmp_path)
    before.record(before.desk.notices(events(1, 2)))
    assert before.send() == ["m1", "m2"]
    before.record(before.desk.notices(events(3, 4)))
    before.sender.close(PATIENCE_S)
    after = Office(log, tmp_path)
    after.desk.restore({0})
    after.desk.restore({0})  # as when a partition leaves and comes back at once
    after.record(after.desk.notices(events(4, 5)))
    assert after.send() == ["m3", "m4", "m5"]
    after.sender.close(PATIENCE_S)


def test_notices_of_partitions_that_left_are_not_sent_here(office: Office, log: DeliveryLog) -> None:
    office.record(office.desk.notices(events(1)) + office.desk.notices(events(2, kafka_partition=1)))
    office.desk.forget({0})
    assert office.send() == ["m2"]
    assert [n.text.title for n in log.pending([0, 1])] == ["m1"]


def test_events_that_no_rule_is_about_leave_no_trace(office: Office, log: DeliveryLog) -> None:
    assert office.desk.notices(events(1, outcome="success")) == []
    assert office.desk.notices(events()) == []
    office.record([])
    assert log.entries(LogQuestion()) == []
