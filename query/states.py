"""The state of tasks, exports and webhook sendouts now: the latest of the events that share an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from query.database import Database
from query.deliveries import Place
from query.errors import InvalidFilter, nearest
from query.events import Page, page
from query.page_read import Scope
from query.parameters import Parameters
from query.question import ALIVE, Question
from query.sorting import identity, place

#: Ids that are looked up in one statement.
_MOST_IDS = 500


@dataclass(frozen=True, slots=True)
class StateKind:
    """Events that tell the state of something.

    Attributes:
        record_kind: Their ``record_kind``.
        identity: Column of the id that they share.
        sequence: Column that rises with every state.
    """

    record_kind: str
    identity: str
    sequence: str


STATE_KINDS: Mapping[str, StateKind] = {
    "task": StateKind("task", "task_id", "task_state_seq"),
    "export": StateKind("export", "export_id", "export_state_seq"),
    "webhook": StateKind("webhook", "hook_sendout_id", "hook_attempt"),
}


def latest_states(
    database: Database,
    kind: str,
    question: Question,
    *,
    limit: int,
    cursor: str | None = None,
    fields: Sequence[str] = (),
) -> Page:
    """Read one page of the latest states: of all events of one id the one with the highest sequence, then stored last.

    The question is put to the latest states only: ``task_status:failed`` finds the tasks that are failed now, not
    those that failed once and were repeated.

    Args:
        database: Where to read.
        kind: task, export or webhook.
        question: Which of the latest states, in which order.
        limit: Rows at most.
        cursor: See ``query.events.page``.
        fields: See there.

    Raises:
        InvalidQuery: The kind, or what ``query.events.page`` names.
        QueryError: The database could not answer.
    """
    if kind not in STATE_KINDS:
        expected = "one of " + ", ".join(STATE_KINDS)
        raise InvalidFilter(kind, "it has no states", expected, suggestion=nearest(kind, STATE_KINDS))
    states = STATE_KINDS[kind]
    scope = Scope(f"latest {kind}", states.identity, _states_of(states), partial(_latest, states))
    return page(database, question, limit=limit, cursor=cursor, fields=fields, scope=scope)


def _states_of(kind: StateKind) -> str:
    return f"record_kind = '{kind.record_kind}' AND {kind.identity} != ''"


def _latest(kind: StateKind, database: Database, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of some states that no later state of the same id follows, whether that matches or not.

    Asking for the newest of a page's ids alone touches a fraction of what the newest of all ids does.
    """
    newest: set[Place] = set()
    for at in range(0, len(rows), _MOST_IDS):
        newest |= _newest(kind, database, rows[at : at + _MOST_IDS])
    return [row for row in rows if place(row) in newest]


def _newest(kind: StateKind, database: Database, rows: Sequence[dict[str, Any]]) -> set[Place]:
    parameters = Parameters()
    ids = parameters.bind(sorted({row["state_id"] for row in rows}), "Array(String)")
    tenants = parameters.bind(sorted({identity(row)[0] for row in rows}), "Array(String)")
    version = f"({kind.sequence}, ingested_at, kafka_offset)"
    statement = (
        "SELECT argMax([toString(kafka_topic_id), toString(kafka_partition), toString(kafka_offset)], "  # noqa: S608 - values are bound
        f"{version}) AS newest FROM audit_events "
        f"WHERE {ALIVE} AND {_states_of(kind)} AND tenant_id IN {tenants} AND {kind.identity} IN {ids} "
        f"GROUP BY tenant_id, {kind.identity}"
    )
    return {tuple(row["newest"]) for row in database.rows(statement, parameters)}
