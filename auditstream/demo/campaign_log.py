"""Runs of two campaigns whose logs end as the examples of the run-log call's page do.

Source: the page "Get campaign log" of Altcraft's API documentation, version 72: 140 entries of campaign 1, of which its
JSON example shows the last two, and 9 of another campaign, of which its XML example shows the last two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from auditstream.demo.people import PROJECT, SCHEDULER, TENANT
from producers import AuditEvent, Run

_MS = timedelta(milliseconds=1)
#: Entries between the start of a run and its end: code, severity, text and value.
_STEPS = (
    ("run.debug", "DEBUG", "Audience loaded", "18204", "profiles"),
    ("run.entry", "INFO", "Messages prepared", "18204", "messages"),
    ("run.warning", "WARNING", "Addresses left out", "37", "profiles"),
    ("run.progress", "INFO", "Messages sent", "9102", "messages"),
    ("run.progress", "INFO", "Messages sent", "18167", "messages"),
    ("run.error", "ERROR", "Messages refused by the receiver", "12", "messages"),
)
#: Start, two entries at the end.
_FRAME = 3


@dataclass(frozen=True, slots=True)
class _Log:
    """The log of one campaign.

    Attributes:
        campaign: Its id.
        entries: Entries in all.
        ended: Time of the entry before the last.
        spent_ms: What the last run took.
    """

    campaign: str
    entries: int
    ended: datetime
    spent_ms: str


_LOGS = (
    _Log("1", 140, datetime(2024, 4, 2, 17, 57, 1, 504_000, tzinfo=UTC), "138.351985"),
    _Log("2", 9, datetime(2024, 5, 28, 16, 40, 59, 207_000, tzinfo=UTC), "351.155547"),
)


def campaign_logs() -> Iterator[AuditEvent]:
    """Return every entry, oldest first."""
    for log in _LOGS:
        whole = _FRAME + len(_STEPS)
        lengths = [*([whole] * (log.entries // whole)), log.entries % whole]
        runs = [n for n in lengths if n]
        # The odd one first, so that the last run is whole.
        for number, length in enumerate(reversed(runs)):
            yield from _run(log, number, length, days_before=len(runs) - 1 - number)


def _run(log: _Log, number: int, length: int, days_before: int) -> Iterator[AuditEvent]:
    ended = log.ended - timedelta(days=days_before)
    run_id = f"{log.campaign}-{number + 1}"
    began = ended - 30 * length * _MS
    spent = log.spent_ms if not days_before else f"{120 + 7.25 * number:.6f}"
    entry = partial(_entry, log.campaign, run_id)
    yield entry(began, "run.start", "INFO", message="Campaign started", state="start")
    for step in range(length - _FRAME):
        code, severity, message, value, unit = _STEPS[step]
        yield entry(began + 30 * (step + 1) * _MS, code, severity, message=message, value=value, unit=unit)
    yield entry(ended, "run.end", "INFO", message="Campaign finished", state="end")
    yield entry(ended + _MS, "run.entry", "INFO", message="Total time spent", value=spent, unit="ms")


def _entry(
    campaign: str,
    run_id: str,
    at: datetime,
    code: str,
    severity: str,
    *,
    message: str,
    state: str | None = None,
    value: str = "",
    unit: str = "",
) -> AuditEvent:
    run = Run(run_id=run_id, object_type="campaign", object_id=campaign, state=state)
    if value:
        # A duration is written with its unit, a number of things without.
        run.value = f"{value}{unit}" if unit == "ms" else value
        run.value_num, run.value_unit = float(value), unit
    return AuditEvent(
        event_code=code,
        tenant_id=TENANT,
        project_id=PROJECT,
        occurred_at=at,
        severity=severity,
        message=message,
        actor=SCHEDULER.actor,
        origin=SCHEDULER.origin,
        outcome="failure" if severity == "ERROR" else "success",
        source_service="campaign-runner",
        run=run,
    )
