"""The timeline: how many events there are in each interval, drawn so that a click narrows the period to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from query.access.scoped_reader import ScopedReader
from query.aggregates import Bucket, Interval
from query.expression import Term, conjunction
from query.period import parse_moment
from query.question import Question

WIDTH, HEIGHT = 1000, 72
_GAP = 1.0
_LEAST_HEIGHT = 2.0
#: The longest period for which an interval is used: some hundred bars at most.
_LONGEST: tuple[tuple[timedelta, Interval], ...] = (
    (timedelta(hours=3), "minute"),
    (timedelta(days=5), "hour"),
    (timedelta(days=150), "day"),
    (timedelta(days=1000), "week"),
)
_STEPS: Mapping[str, timedelta] = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
#: With fewer intervals than this, all times are shown by shorter ones.
_FEW = 4
_SHORTER: tuple[Interval, ...] = ("day", "hour")

Narrower = Literal["since", "until"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval.

    Attributes:
        start: Its start.
        end: Its end.
        events: How many.
        x: Left side, of WIDTH.
        width: Width.
        height: Height, of HEIGHT.
    """

    start: datetime
    end: datetime
    events: int
    x: float
    width: float
    height: float

    @property
    def y(self) -> float:
        """Its upper side."""
        return HEIGHT - self.height

    @property
    def since(self) -> str:
        """Its start as a filter takes it."""
        return _written(self.start)

    @property
    def until(self) -> str:
        """Its end as a filter takes it."""
        return _written(self.end)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All intervals that have events.

    Attributes:
        interval: Their length.
        start: Left end of the drawing.
        end: Right end of it.
        bars: The intervals, oldest first.
    """

    interval: str
    start: datetime
    end: datetime
    bars: Sequence[Bar]

    @property
    def most(self) -> int:
        """Events of the fullest interval."""
        return max((bar.events for bar in self.bars), default=0)


def timeline(reader: ScopedReader, question: Question) -> Timeline:
    """Read the timeline of a question.

    Raises:
        QueryError: The database could not answer.
        Forbidden: The token does not allow it.
    """
    since, until = _bound(question, "since"), _bound(question, "until")
    if since is not None:
        fitting = _interval(since, until or question.now)
        return drawn(reader.histogram(question, fitting), fitting, since, until, question)
    interval: Interval = "month"
    buckets = reader.histogram(question, interval)
    # Nobody said where to begin: where events begin, in shorter and shorter intervals while there are few.
    for shorter in _SHORTER:
        if not 0 < len(buckets) < _FEW:
            break
        interval, buckets = shorter, reader.histogram(_from(question, buckets[0].start), shorter)
    return drawn(buckets, interval, None, until, question)


def drawn(
    buckets: Sequence[Bucket], interval: str, since: datetime | None, until: datetime | None, question: Question
) -> Timeline:
    """Place the intervals of a histogram.

    Args:
        buckets: The intervals, oldest first.
        interval: Their length.
        since: Left end; None for the start of the first interval.
        until: Right end; None for the present, or the end of the last interval.
        question: What was asked, for its zone and its present.
    """
    starts = [bucket.start for bucket in buckets]
    ends = [_end(start, interval, question.zone) for start in starts]
    left = min([*([since] if since else []), *starts[:1]], default=question.now)
    right = until or max([question.now, *ends[-1:]])
    span = max((right - left).total_seconds(), 1.0)
    most = max((bucket.events for bucket in buckets), default=1)
    bars = list(_bars(buckets, ends, left, span, most))
    return Timeline(interval, left.astimezone(question.zone), right.astimezone(question.zone), bars)


def _bars(buckets: Sequence[Bucket], ends: Sequence[datetime], left: datetime, span: float, most: int) -> Iterator[Bar]:
    for bucket, end in zip(buckets, ends, strict=True):
        from_, to = (max(0.0, min(1.0, (m - left).total_seconds() / span)) for m in (bucket.start, end))
        height = max(_LEAST_HEIGHT, bucket.events / most * HEIGHT)
        width = max(_GAP, (to - from_) * WIDTH - _GAP)
        yield Bar(bucket.start, end, bucket.events, round(from_ * WIDTH, 2), round(width, 2), round(height, 2))


def _end(start: datetime, interval: str, zone: ZoneInfo) -> datetime:
    if interval in ("minute", "hour"):
        return (start.astimezone(UTC) + _STEPS[interval]).astimezone(zone)
    local = start.astimezone(zone).replace(tzinfo=None)
    # By the calendar: a day on which clocks change is not 24 hours long.
    following = (
        (local.replace(day=1) + timedelta(days=32)).replace(day=1) if interval == "month" else local + _STEPS[interval]
    )
    return following.replace(tzinfo=zone)


def _interval(since: datetime, until: datetime) -> Interval:
    span = until - since
    return next((name for longest, name in _LONGEST if span <= longest), "month")


def _bound(question: Question, name: Narrower) -> datetime | None:
    term = question.required(name)
    return parse_moment(term.value, question.clock) if term else None


def _from(question: Question, since: datetime) -> Question:
    narrowed = conjunction(Term("since", _written(since)), question.expression)
    return Question(narrowed, question.sort, question.descending, question.zone, question.now)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
