"""The state of tasks, exports and webhook sendouts now: the latest of the events that share an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from query.condition import condition
from query.database import Database
from query.errors import InvalidFilter, nearest
from query.events import Page, page
from query.page_read import Scope
from query.parameters import Parameters
from query.question import ALIVE, Question


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
    scope = _latest(kind, STATE_KINDS[kind], question)
    return page(database, question, limit=limit, cursor=cursor, fields=fields, scope=scope)


def _latest(name: str, kind: StateKind, question: Question) -> Scope:
    parameters = Parameters()
    where = [ALIVE, f"record_kind = {parameters.text(kind.record_kind)}", f"{kind.identity} != ''"]
    # Ids belong to a tenant, so this term alone may be asked before the latest is chosen.
    if tenant := question.required("tenant"):
        where.append(condition(tenant, parameters, question.clock))
    place = "(kafka_topic_id, kafka_partition, kafka_offset)"
    newest = f"argMax({place}, ({kind.sequence}, ingested_at, kafka_offset))"
    latest = (
        f"{place} IN (SELECT chosen.1, chosen.2, chosen.3 FROM (SELECT {newest} AS chosen FROM audit_events "  # noqa: S608 - values are bound
        f"WHERE {' AND '.join(where)} GROUP BY tenant_id, {kind.identity}))"
    )
    return Scope(f"latest {name}", latest, parameters)
