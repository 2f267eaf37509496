"""The log of the runs of an object: entries by level, beginnings and ends, values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from starlette.responses import Response

from query.access.scoped_reader import ScopedReader
from query.condition import check
from query.events import Page
from query.expression import AnyOf, Expression, Term, conjunction
from query.fields import Row
from query.question import Question
from query.web.clock import clock_of
from query.web.page import PageRoute
from query.web.visit import Visit

_ROWS = 100
#: Beginnings and ends that the list of runs is made of.
_PHASES = 200
_RUNS = 25
_FIELDS = (
    "event_id",
    "tenant_id",
    "occurred_at",
    "title",
    "severity",
    "message",
    "run_id",
    "run_object_type",
    "run_object_id",
    "run_state",
    "run_value",
    "duration_ms",
)
#: Parameter of the address -> filter.
FILTERS = {
    "tenant": "tenant",
    "object_type": "run_object_type",
    "object_id": "run_object",
    "run": "run",
    "level": "min_severity",
    "state": "run_state",
    "text": "text",
    "since": "since",
    "until": "until",
}
#: Those that look for entries, not for runs.
_OF_ENTRIES = ("level", "state", "text")
_ENDS = AnyOf((Term("run_state", "start"), Term("run_state", "end")))
#: Tenant, type and id of what ran, id of the run.
_Key: TypeAlias = tuple[str, str, str, str]
_NEVER = datetime.min.replace(tzinfo=UTC)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
STATES = ("start", "progress", "end", "none")


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as far as its beginning and end were found.

    Attributes:
        tenant: Whose it is.
        object_type: Type of what ran.
        object_id: What ran.
        run_id: Its id, empty when the service tells none.
        began_at: When it began; None when that was not found.
        ended_at: When it ended; None while it has not, or when that was not found.
    """

    tenant: str
    object_type: str
    object_id: str
    run_id: str
    began_at: datetime | None
    ended_at: datetime | None

    @property
    def duration_ms(self) -> float | None:
        """How long it took, None when one end is not known."""
        if self.began_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.began_at) / timedelta(milliseconds=1)

    @property
    def newest(self) -> datetime:
        """When it ended, or began as long as it has not."""
        return self.ended_at or self.began_at or _NEVER


async def runs(visit: Visit) -> Response:
    """Show the entries of runs, and the runs themselves."""
    chosen = {name: visit.values.text(name) or "" for name in FILTERS}
    descending = visit.values.chosen("order", ("asc", "desc"), "desc") == "desc"
    clock = clock_of(visit)
    entries = Question(_expression(chosen), "time", descending, clock.zone, clock.now)
    check(entries.expression, clock)
    # Which runs there are does not depend on the entries that are looked for in them.
    of_runs = {name: value for name, value in chosen.items() if name not in _OF_ENTRIES}
    ends = Question(conjunction(_expression(of_runs), _ENDS), zone=clock.zone, now=clock.now)
    cursor = visit.values.text("cursor")
    page, phases = await visit.read(lambda reader: _read(reader, entries, ends, cursor))
    visit.record(entries, rows=len(page.rows))
    return visit.page(
        "runs.html",
        page=page,
        runs=runs_of(phases)[:_RUNS],
        chosen=chosen,
        filtered=any(chosen.values()),
        descending=descending,
        levels=LEVELS,
        states=STATES,
    )


def _expression(chosen: Mapping[str, str]) -> Expression:
    terms = [Term(FILTERS[name], value) for name, value in chosen.items() if value]
    return conjunction(Term("kind", "run_log"), *terms)


def _read(reader: ScopedReader, entries: Question, ends: Question, cursor: str | None) -> tuple[Page, Sequence[Row]]:
    page = reader.page(entries, limit=_ROWS, cursor=cursor, fields=_FIELDS)
    return page, reader.page(ends, limit=_PHASES, fields=_FIELDS).rows


def runs_of(phases: Sequence[Row]) -> list[Run]:
    """Return the runs that beginnings and ends tell of, those that began or ended last first.

    Services that give their runs no id are understood too: a beginning starts a run, the next end of the same object
    finishes it.

    Args:
        phases: Entries with the phase start or end, newest first.
    """
    by_object: dict[_Key, list[Row]] = {}
    for row in reversed(phases):
        key = (row["tenant_id"], row["run_object_type"], row["run_object_id"], row["run_id"])
        by_object.setdefault(key, []).append(row)
    found = [run for key, rows in by_object.items() for run in _paired(key, rows)]
    return sorted(found, key=lambda run: run.newest, reverse=True)


def _paired(key: _Key, rows: Iterable[Row]) -> Iterator[Run]:
    began: datetime | None = None
    for row in rows:
        if row["run_state"] == "end":
            yield Run(*key, began, row["occurred_at"])
            began = None
        else:
            if began is not None:
                yield Run(*key, began, None)
            began = row["occurred_at"]
    if began is not None:
        yield Run(*key, began, None)


PAGES = (PageRoute("/runs", runs, name="runs", section="Run logs"),)
