"""When notices go out, on a clock that the test moves: at once, collected, after quiet hours, not too many, not twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from auditstream.notify.matching import event_filter
from auditstream.notify.notices import Notice
from auditstream.notify.outbox import Outbox
from auditstream.notify.quiet import QuietHours
from auditstream.notify.rules import RateLimit, Rule
from auditstream.notify.templates import Templates, Text

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
NIGHT = QuietHours(time(22), time(7), BERLIN)


def a_rule(**more: Any) -> Rule:
    return Rule("r", event_filter(""), ("inbox",), Templates({}, "r", BERLIN), BERLIN, **more)


def a_notice(number: int, at: datetime = NOON, partition: int = 0) -> Notice:
    text, key = Text(f"t{number}", ""), bytes([number]) * 32
    return Notice("r", ("inbox",), str(UUID(int=number)), "acme", "a.b", at, text, key, partition, number, at)


def taken(outbox: Outbox, now: datetime) -> list[list[str]]:
    """Return the titles of the messages that go out now."""
    return [[notice.text.title for notice in message] for message in outbox.take(now)]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_without_conditions_every_notice_goes_out_at_once_by_itself() -> None:
    outbox = Outbox(a_rule())
    outbox.add([a_notice(1), a_notice(2)])
    assert taken(outbox, NOON) == [["t1"], ["t2"]]
    assert taken(outbox, NOON) == []
    assert len(outbox) == 0


def test_a_digest_collects_from_the_first_notice_on_and_is_one_message() -> None:
    outbox = Outbox(a_rule(digest_s=600.0))
    outbox.add([a_notice(1)])
    outbox.add([a_notice(2, NOON + minutes(9))])
    assert taken(outbox, NOON + minutes(9.99)) == []
    assert taken(outbox, NOON + minutes(10)) == [["t1", "t2"]]
    outbox.add([a_notice(3, NOON + minutes(11))])
    assert taken(outbox, NOON + minutes(20)) == []
    assert taken(outbox, NOON + minutes(21)) == [["t3"]]


def test_what_comes_in_quiet_hours_goes_out_as_one_message_when_they_end() -> None:
    outbox = Outbox(a_rule(quiet=NIGHT))
    evening = datetime(2026, 6, 15, 22, 30, tzinfo=BERLIN)
    outbox.add([a_notice(1, evening), a_notice(2, evening)])
    assert taken(outbox, evening) == []
    assert taken(outbox, datetime(2026, 6, 16, 6, 59, tzinfo=BERLIN)) == []
    morning = datetime(2026, 6, 16, 7, 0, tzinfo=BERLIN)
    outbox.add([a_notice(3, morning)])
    assert taken(outbox, morning) == [["t1", "t2"], ["t3"]]


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("22:00", True), ("21:59", False), ("00:00", True), ("06:59", True), ("07:00", False), ("12:00", False)],
)
@pytest.mark.parametrize("day", ["2026-01-15", "2026-07-15", "2026-03-29", "2026-10-25"])
def test_quiet_hours_follow_the_clocks_of_their_zone_in_winter_summer_and_on_days_of_change(
    clock: str, quiet: bool, day: str
) -> None:
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=BERLIN)
    assert NIGHT.cover(moment) is quiet
    assert NIGHT.cover(moment.astimezone(UTC)) is quiet


def test_quiet_hours_of_one_day_do_not_span_midnight() -> None:
    lunch = QuietHours(time(12), time(13), ZoneInfo("UTC"))
    assert [lunch.cover(NOON + timedelta(hours=h)) for h in (-1, 0, 1, 12)] == [False, True, False, False]


def test_beyond_the_rate_limit_notices_wait_and_go_out_together() -> None:
    outbox = Outbox(a_rule(rate=RateLimit(2, 600.0)))
    outbox.add([a_notice(n) for n in range(1, 5)])
    assert taken(outbox, NOON) == [["t1"], ["t2"]]
    outbox.add([a_notice(5)])
    assert taken(outbox, NOON + minutes(9.9)) == []
    outbox.add([a_notice(6)])
    assert taken(outbox, NOON + minutes(10)) == [["t3", "t4", "t5"], ["t6"]]
    assert len(outbox) == 0


def test_the_rate_limit_counts_what_an_earlier_process_sent() -> None:
    outbox = Outbox(a_rule(rate=RateLimit(1, 600.0)), sent=[NOON - minutes(5)])
    outbox.add([a_notice(1)])
    assert taken(outbox, NOON) == []
    assert taken(outbox, NOON + minutes(5)) == [["t1"]]


def test_a_digest_obeys_quiet_hours_and_rate_limit() -> None:
    rule = a_rule(digest_s=60.0, quiet=NIGHT, rate=RateLimit(1, 3600.0))
    outbox, night = Outbox(rule), datetime(2026, 6, 15, 23, tzinfo=BERLIN)
    outbox.add([a_notice(1, night)])
    assert taken(outbox, night + minutes(2)) == []
    morning = datetime(2026, 6, 16, 7, tzinfo=BERLIN)
    assert taken(outbox, morning) == [["t1"]]
    outbox.add([a_notice(2, morning)])
    assert taken(outbox, morning + minutes(2)) == []
    assert taken(outbox, morning + minutes(60)) == [["t2"]]


def told(outbox: Outbox, keys: Sequence[tuple[int, datetime]]) -> list[bool]:
    return [not outbox.is_duplicate(bytes([key]) * 32, at) for key, at in keys]


def test_a_key_is_told_of_once_in_its_time_counted_from_the_first() -> None:
    outbox = Outbox(a_rule(deduplicate_s=600.0))
    seen = [(1, NOON), (1, NOON + minutes(9)), (2, NOON + minutes(9)), (1, NOON + minutes(10)), (2, NOON + minutes(12))]
    assert told(outbox, seen) == [True, False, True, True, False]


def test_without_deduplication_every_key_is_told_of_every_time() -> None:
    assert told(Outbox(a_rule()), [(1, NOON), (1, NOON)]) == [True, True]


def test_keys_of_an_earlier_process_count_and_an_unsaid_one_does_not() -> None:
    outbox = Outbox(
        a_rule(deduplicate_s=600.0), keys={bytes([1]) * 32: NOON - minutes(3), bytes([2]) * 32: NOON - minutes(11)}
    )
    assert told(outbox, [(1, NOON), (2, NOON), (3, NOON)]) == [False, True, True]
    outbox.unsay(bytes([3]) * 32)
    assert told(outbox, [(3, NOON)]) == [True]


def test_restored_notices_of_a_rule_that_collects_go_out_together_and_else_one_by_one() -> None:
    limited, plain = Outbox(a_rule(rate=RateLimit(5, 60.0))), Outbox(a_rule())
    for outbox in (limited, plain):
        outbox.restore([a_notice(1), a_notice(2)])
        outbox.add([a_notice(3)])
    assert taken(limited, NOON) == [["t1", "t2"], ["t3"]]
    assert taken(plain, NOON) == [["t1"], ["t2"], ["t3"]]


def test_notices_of_partitions_that_left_are_dropped() -> None:
    outbox = Outbox(a_rule(rate=RateLimit(9, 60.0)))
    outbox.restore([a_notice(1, partition=0), a_notice(2, partition=1)])
    outbox.add([a_notice(3, partition=0), a_notice(4, partition=1)])
    outbox.forget({0})
    assert taken(outbox, NOON) == [["t2"], ["t4"]]
