"""Figures of whole hours are those of the rows: at the ends of periods, where time runs out, in every zone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from query import Question, parse, totals
from query.database import Database, Limits, open_client
from query.hourly import By, Hours
from query.parameters import Parameters
from query.period import from_micros
from query.totals import Total
from query_log import NOW, Log, asked, at

pytest_plugins = ["infrastructure.log_fixtures"]

HOUR = 3_600_000_000
START = at("2026-06-01T00:00:00")


@pytest.fixture
def database(log: Log) -> Iterator[Database]:
    opened = Database(open_client(log.settings), Limits())
    yield opened
    opened.close()


def rows() -> list[dict[str, Any]]:
    """Ten days, three events an hour, of two tenants, with events beyond what the engine's usual times hold."""
    found: list[dict[str, Any]] = [
        {
            "tenant_id": "t" if i % 4 else "u",
            "event_code": f"code.{i % 5}",
            "outcome": "denied" if i % 7 == 0 else "success",
            "occurred_at": START + i * HOUR // 3 + i % 3,
        }
        for i in range(720)
    ]
    beyond = (-HOUR - 1, -1, 0, HOUR - 1, HOUR, at("2150-01-01T00:30:00"))
    return found + [{"tenant_id": "t", "event_code": "code.0", "occurred_at": moment} for moment in beyond]


PERIODS = ["", "since:2026-06-02T00:00:00.000001", "until:2026-06-09T12:30", "since:2026-06-02 until:2026-06-08"]


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize(
    "text", ["", "tenant:t", "tenant:t action:code.1", "-outcome:denied", "(tenant:u OR kind:auth)"]
)
def test_hours_count_what_the_rows_count(log: Log, database: Database, period: str, text: str) -> None:
    log.store(rows())
    question = asked(f"{text} {period}".strip())
    hours = Hours.of(question)
    assert hours
    counted = hours.counted(database)
    codes = hours.counted(database, By("event_code"))
    assert counted
    assert codes
    # Hours never told these: the log is small.
    expected = log.reader.page(question, limit=1000, fields=["event_code"]).rows
    assert counted.rows == len(expected) == log.reader.total(question).events
    assert codes.by_value == Counter(r["event_code"] for r in expected)


def test_large_figures_are_those_of_hours_and_marked(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.store(rows())
    log.store(rows()[:10], partition=1)  # sent again
    question = asked("tenant:t since:2026-06-01 until:2026-06-11")
    exact = log.reader.total(question)
    days = log.reader.histogram(question, "day")
    monkeypatch.setattr(totals, "EXACT_ROWS", 100)
    twice = sum(e["tenant_id"] == "t" for e in rows()[:10])
    assert exact.is_exact
    assert log.reader.total(question) == Total(exact.events + twice, is_exact=False)
    told = log.reader.histogram(question, "day")
    assert [b.start for b in told] == [b.start for b in days]
    assert [b.events for b in told] == [days[0].events + twice, *(b.events for b in days[1:])]
    assert {b.is_exact for b in told} == {False}
    facet = log.reader.facet(question, "action", top=2)
    assert [v.is_exact for v in facet] == [False, False]
    assert sum(v.events for v in log.reader.facet(question, "action", top=10)) == exact.events + twice


def test_what_must_be_looked_for_among_very_many_is_told_by_hours(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.store(rows())
    question = asked("tenant:t action:code.1")
    exact = log.reader.total(question)
    monkeypatch.setattr(totals, "_LOOKED_AT", 500)
    assert log.reader.total(question) == Total(exact.events, is_exact=False)


def test_rows_that_run_out_in_this_hour_are_counted_while_they_live(log: Log, database: Database) -> None:
    now_ms = int(time.time() * 1000)
    ends = {"gone": now_ms - 1_000, "alive": now_ms + 600_000, "later": now_ms + 7_200_000}
    log.store(
        [
            {"tenant_id": "t", "event_code": code, "occurred_at": START + i * HOUR, "expires_at": ends[code]}
            for i in range(60)
            for code in ends
        ]
    )
    hours = Hours.of(asked("tenant:t"))
    assert hours
    counted = hours.counted(database, By("event_code"))
    assert counted
    assert counted.by_value == {"alive": 60, "later": 60}


def bucket_of(moment: int, interval: str, zone: ZoneInfo) -> datetime:
    local = from_micros(moment).astimezone(zone)
    start = local.replace(minute=0, second=0, microsecond=0)
    if interval != "hour":
        start = start.replace(hour=0)
    if interval == "week":
        start -= timedelta(days=start.weekday())
    return start.replace(day=1) if interval == "month" else start


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu"])
def test_every_zone_has_its_own_days_whatever_hours_they_divide(
    log: Log, monkeypatch: pytest.MonkeyPatch, zone: str, interval: str
) -> None:
    sent = rows()[:720]
    log.store(sent)
    monkeypatch.setattr(totals, "EXACT_ROWS", 100)
    question = Question(parse("tenant:t since:2026-06-02T03:10Z"), zone=ZoneInfo(zone), now=NOW)
    moments = (e["occurred_at"] for e in sent if e["tenant_id"] == "t")
    expected = Counter(bucket_of(m, interval, ZoneInfo(zone)) for m in moments if m >= at("2026-06-02T03:10:00"))
    assert {b.start: b.events for b in log.reader.histogram(question, interval)} == expected


def test_the_projection_serves_hours(log: Log) -> None:
    log.store(rows())
    client = open_client(log.settings)
    for text in ("", "tenant:t", "tenant:t action:code.* -outcome:denied since:2026-06-02T00:30"):
        hours = Hours.of(asked(text))
        assert hours
        for by in (By(), By("record_kind")):
            parameters = Parameters()
            statement = hours.statement(by, parameters)
            # The engine refuses these settings (code 584) when the projection cannot be used.
            forced = {"force_optimize_projection": 1, "force_optimize_projection_name": "p_hour"}
            client.query(statement, parameters=parameters.values, settings=forced)
    client.close()


@pytest.mark.parametrize(
    "text", ["tenant:t actor_id:a", "text:word", "since:2026-06-01 until:2026-06-02", "since:7d since:8d"]
)
def test_other_questions_are_not_served(text: str) -> None:
    assert Hours.of(asked(text)) is None
