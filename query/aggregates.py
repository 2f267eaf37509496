"""Figures over events: histograms and the most frequent values of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from ipaddress import IPv6Address
from typing import Any, Literal, TypeAlias, get_args

from query.database import Database
from query.errors import InvalidFilter, nearest
from query.fields import address_text
from query.hourly import COLUMNS, By
from query.parameters import Parameters
from query.question import Question
from query.totals import counted_by_hours, repeats, surplus

Interval: TypeAlias = Literal["minute", "hour", "day", "week", "month"]

_STARTS: Mapping[str, str] = {
    "minute": "toStartOfMinute",
    "hour": "toStartOfHour",
    "day": "toStartOfDay",
    "week": "toMonday",
    "month": "toStartOfMonth",
}
#: Without it, starts of intervals beyond 2106 wrap around.
_WIDE_TIMES: dict[str, Any] = {"enable_extended_results_for_datetime_functions": 1}
MAX_BUCKETS = 10_000
MAX_FACET_VALUES = 1_000

#: Name of a facet -> what is counted.
FACETS: Mapping[str, str] = {
    "action": "event_code",
    "category": "event_category",
    "crud": "crud",
    "kind": "record_kind",
    "outcome": "outcome",
    "outcome_code": "outcome_code",
    "severity": "severity",
    "actor": "actor_id",
    "actor_type": "actor_type",
    "login": "actor_login",
    "department": "actor_department",
    "ip": "ip",
    "ip_kind": "ip_kind",
    "country": "geo_country",
    "origin": "origin",
    "origin_name": "origin_name",
    "platform": "platform",
    "service": "source_service",
    "object_type": "target_type",
    "object": "target_id",
    "tenant": "tenant_id",
    "project": "project_id",
    "product": "product",
    "task_type": "task_type",
    "task_status": "task_status",
    "export_state": "export_state",
    "webhook_status": "hook_status",
    "retention_class": "retention_class",
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Events of one interval.

    Attributes:
        start: Its start, with the zone asked for.
        events: How many.
        is_exact: False when it counts deliveries, see ``query.totals``.
    """

    start: datetime
    events: int
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class FacetValue:
    """Events with one value.

    Attributes:
        value: The value as text; None for no address.
        events: How many.
        is_exact: False when it counts deliveries, see ``query.totals``.
    """

    value: str | None
    events: int
    is_exact: bool = True


def histogram(database: Database, question: Question, interval: str) -> list[Bucket]:
    """Count events by interval of the question's zone, oldest first; empty intervals are left out.

    Args:
        database: Where to read.
        question: Which events.
        interval: minute, hour, day, week (from Monday) or month.

    Raises:
        InvalidFilter: There is no such interval, or there are more than MAX_BUCKETS.
        QueryError: The database could not answer.
    """
    start = _start(interval)
    # By the placeholder that is the first of every statement.
    by = By(
        time=lambda moment: f"{start}({moment}, {{p0:String}})", bound={"p0": question.zone.key}, settings=_WIDE_TIMES
    )
    hours = counted_by_hours(database, question, by)
    if hours is not None:
        buckets = sorted((_moment(value, question), events) for value, events in hours.by_value.items())
        _check_number(buckets, interval)
        return [Bucket(moment, events, is_exact=False) for moment, events in buckets]
    looked = repeats(database, question)
    parameters = Parameters(dict(by.bound))
    statement = (
        f"SELECT {by.value} AS bucket, count() AS events FROM audit_events WHERE {question.where(parameters)} "  # noqa: S608 - values are bound
        f"GROUP BY bucket ORDER BY bucket LIMIT {MAX_BUCKETS + 1}"
    )
    rows = database.rows(statement, parameters, hint=question.hint, settings=_WIDE_TIMES)
    _check_number(rows, interval)
    more: Mapping[Any, int] = {}
    if looked.certain and looked.possible:
        more = surplus(database, question, by)
    return [
        Bucket(_moment(r["bucket"], question), r["events"] - more.get(r["bucket"], 0), looked.certain) for r in rows
    ]


def _check_number(buckets: Sequence[object], interval: str) -> None:
    if len(buckets) > MAX_BUCKETS:
        raise InvalidFilter(interval, f"there are more than {MAX_BUCKETS} intervals", "a longer one, or a period")


def _start(interval: str) -> str:
    if interval not in _STARTS:
        expected = "one of " + ", ".join(get_args(Interval))
        raise InvalidFilter(interval, "there is no such interval", expected, suggestion=nearest(interval, _STARTS))
    return _STARTS[interval]


def _moment(bucket: date, question: Question) -> datetime:
    # Weeks and months start with a date, the others with a time.
    if isinstance(bucket, datetime):
        return bucket.astimezone(question.zone)
    return datetime(bucket.year, bucket.month, bucket.day, tzinfo=question.zone)


def facet(database: Database, question: Question, name: str, *, top: int = 10) -> list[FacetValue]:
    """Count events by value of a column, the most frequent first, equals in alphabetical order.

    Args:
        database: Where to read.
        question: Which events.
        name: One of FACETS.
        top: Values at most, 1 to MAX_FACET_VALUES.

    Raises:
        InvalidFilter: There is no such facet, or ``top`` is out of range.
        QueryError: The database could not answer.
    """
    if name not in FACETS:
        suggestion = nearest(name, FACETS)
        raise InvalidFilter(name, "there is no such facet", "one of " + ", ".join(FACETS), suggestion=suggestion)
    if not 1 <= top <= MAX_FACET_VALUES:
        raise InvalidFilter(str(top), "not a number of values", f"1 to {MAX_FACET_VALUES}")
    column = FACETS[name]
    hours = counted_by_hours(database, question, By(column)) if column in COLUMNS else None
    if hours is not None:
        most = sorted(hours.by_value.items(), key=lambda pair: (-pair[1], pair[0]))[:top]
        return [FacetValue(value, events, is_exact=False) for value, events in most]
    looked = repeats(database, question)
    more = surplus(database, question, By(column)) if looked.certain and looked.possible else {}
    rows = _values(database, question, name, top + len(more))
    values = [FacetValue(_text(r["value"]), r["events"] - more.get(r["value"], 0), looked.certain) for r in rows]
    return sorted(values, key=lambda v: -v.events)[:top]


def _values(database: Database, question: Question, name: str, top: int) -> list[dict[str, Any]]:
    parameters = Parameters()
    statement = (
        f"SELECT {FACETS[name]} AS value, count() AS events FROM audit_events WHERE {question.where(parameters)} "  # noqa: S608 - values are bound
        f"GROUP BY value ORDER BY events DESC, value LIMIT {parameters.bind(top, 'UInt64')}"
    )
    return database.rows(statement, parameters, hint=question.hint)


def _text(value: str | IPv6Address) -> str | None:
    return address_text(value) if isinstance(value, IPv6Address) else value
