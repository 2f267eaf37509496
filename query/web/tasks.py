"""Background tasks: their latest states with progress, and everything that one of them went through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from query.fields import Row
from query.http.problems import Problem
from query.question import Question
from query.web import states
from query.web.page import PageRoute
from query.web.visit import Visit
from schemas.catalogue import Catalogue

FILTERS = {
    "task": "task",
    "type": "task_type",
    "status": "task_status",
    "actor": "actor_id",
    "tenant": "tenant",
    "since": "since",
    "until": "until",
}
_FIELDS = (
    "event_id",
    "event_code",
    "tenant_id",
    "project_id",
    "title",
    "occurred_at",
    "ingested_at",
    "actor_id",
    "actor_name",
    "actor_type",
    "request_id",
    "task_id",
    "task_type",
    "task_status",
    "task_state_seq",
    "task_progress_pct",
    "task_done_items",
    "task_total_items",
    "task_started_at",
    "task_updated_at",
    "task_finished_at",
    "task_processing_ms",
    "task_result",
    "task_error",
)
_MILLISECOND = timedelta(milliseconds=1)
_RUNNING, _WAITING = "in_progress", "enqueued"


@dataclass(frozen=True, slots=True)
class TaskState:
    """One state of a task, as people read it.

    Attributes:
        row: What is stored.
        label: Type of the task in words.
        updated_at: Last update: what the service said, else the time of the event.
        took_ms: Processing time; of a task that runs, since it began; None when nobody knows.
        progress: Per cent, 0 to 100; None when the service does not tell.
    """

    row: Row
    label: str
    updated_at: datetime
    took_ms: float | None
    progress: float | None

    @property
    def is_running(self) -> bool:
        """Whether it works now."""
        return bool(self.row["task_status"] == _RUNNING)

    @property
    def is_open(self) -> bool:
        """Whether it works, or waits to."""
        return self.row["task_status"] in (_RUNNING, _WAITING)


async def tasks(visit: Visit) -> Response:
    """Show the latest state of each task."""
    asked = states.asked(visit, FILTERS)
    cursor = visit.values.text("cursor")
    page = await visit.read(
        lambda reader: reader.latest_states("task", asked.question, limit=states.ROWS, cursor=cursor, fields=_FIELDS)
    )
    visit.record(asked.question, rows=len(page.rows))
    catalogue = visit.service.catalogue
    return visit.page(
        "tasks.html",
        page=page,
        asked=asked,
        tasks=[task_state(row, catalogue, asked.question.now) for row in page.rows],
        types=list(types(catalogue)),
        statuses=states.statuses("task_status"),
    )


async def task(visit: Visit) -> Response:
    """Show one task: where it stands, and all its states."""
    task_id, tenant = visit.path["task_id"], visit.values.text("tenant") or ""
    one = states.of_one("task", "task", task_id, tenant)
    rows = await visit.read(lambda reader: states.history(reader, one, _FIELDS, "task_state_seq"))
    if not rows:
        raise Problem("not-found", "there is no such task: never stored, past its retention, or out of your reach")
    visit.record(Question(one), rows=len(rows))
    tenants = sorted({row["tenant_id"] for row in rows})
    catalogue, now = visit.service.catalogue, datetime.now(UTC)
    mine = [task_state(row, catalogue, now) for row in rows if row["tenant_id"] == tenants[0]]
    return visit.page(
        "task.html",
        latest=mine[-1],
        states=mine,
        other_tenants=tenants[1:],
        first_is_missing=len(rows) == states.MOST_STATES,
    )


def types(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Yield the types of tasks that the catalogue knows, with their names in words."""
    for entry in catalogue:
        if entry.record_kind == "task":
            yield entry.code.removeprefix("task."), _label(entry.title.template)


def task_state(row: Row, catalogue: Catalogue, now: datetime) -> TaskState:
    """Return a state as people read it.

    Args:
        row: A stored state with the fields of the list.
        catalogue: Where names of types come from.
        now: The present, for tasks that run.
    """
    entry = catalogue.get(row["event_code"])
    label = _label(entry.title.template) if entry else ""
    updated_at = row["task_updated_at"] or row["occurred_at"]
    return TaskState(row, label, updated_at, _took_ms(row, now), _progress(row))


def _label(template: str) -> str:
    # "Vouchers import: {task_status}[, …]": what stands before the state is the name.
    return template.partition(":")[0]


def _took_ms(row: Row, now: datetime) -> float | None:
    if row["task_processing_ms"] is not None:
        return float(row["task_processing_ms"])
    began = row["task_started_at"]
    ended = row["task_finished_at"] or (now if row["task_status"] == _RUNNING else None)
    return (ended - began) / _MILLISECOND if began and ended and ended >= began else None


def _progress(row: Row) -> float | None:
    told, total = row["task_progress_pct"], row["task_total_items"]
    if told is None and total and row["task_done_items"] is not None:
        told = 100 * row["task_done_items"] / total
    return None if told is None else min(100.0, max(0.0, round(float(told), 1)))


PAGES: Sequence[PageRoute] = (
    PageRoute("/tasks", tasks, name="tasks", section="Background tasks"),
    PageRoute("/tasks/{task_id:path}", task, name="task"),
)
