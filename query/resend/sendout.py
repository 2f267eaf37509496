"""A webhook sendout as it is now, and how it is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from query.events import Page
from query.expression import Term, conjunction
from query.fields import Row
from query.question import Question
from query.resend.errors import SendoutAmbiguous, SendoutUnknown

#: States that are looked at; no service tries that often.
MOST_STATES = 500
FIELDS = (
    "tenant_id",
    "project_id",
    "source_service",
    "event_id",
    "causation_id",
    "request_id",
    "ingested_at",
    "hook_sendout_id",
    "hook_event_type",
    "hook_source_id",
    "hook_status",
    "hook_attempt",
)


class Pages(Protocol):
    """What reads pages of events: ``ScopedReader`` for callers of the API, ``Reader`` for the command line."""

    def page(
        self, question: Question, *, limit: int = ..., cursor: str | None = ..., fields: Sequence[str] = ...
    ) -> Page:
        """Read one page of events."""
        ...


@dataclass(frozen=True, slots=True)
class Sendout:
    """The latest state of one sendout.

    Attributes:
        sendout_id: Its id.
        tenant_id: Whose it is.
        project_id: Project of it, empty for none.
        source: Service that reported it (``source_service``).
        event_type: Event type that it announces.
        source_id: Object that caused it.
        status: sent, retry, error or unknown.
        attempt: Number of its last attempt.
        event_id: Event of this state.
        causation_id: Event that it announces, empty when its service did not say.
        request_id: Request in which it began.
        stored_at: When this state was stored.
    """

    sendout_id: str
    tenant_id: str
    project_id: str
    source: str
    event_type: str
    source_id: str
    status: str
    attempt: int
    event_id: str
    causation_id: str
    request_id: str
    stored_at: datetime

    @classmethod
    def of(cls, row: Row) -> Sendout:
        """Return the sendout of a row that has ``FIELDS``."""
        return cls(
            sendout_id=row["hook_sendout_id"],
            tenant_id=row["tenant_id"],
            project_id=row["project_id"],
            source=row["source_service"],
            event_type=row["hook_event_type"],
            source_id=row["hook_source_id"],
            status=row["hook_status"],
            attempt=row["hook_attempt"],
            event_id=row["event_id"],
            causation_id=row["causation_id"],
            request_id=row["request_id"],
            stored_at=row["ingested_at"],
        )


def find_sendout(reader: Pages, sendout_id: str, *, tenant: str = "") -> Sendout:
    """Return the latest state of a sendout.

    Args:
        reader: Where to read, within the scope of whoever asks.
        sendout_id: Its id.
        tenant: Whose it is; needed only when several tenants have a sendout of this id.

    Raises:
        SendoutUnknown: There is none within reach.
        SendoutAmbiguous: Several tenants have one.
        QueryError: The database could not answer.
    """
    wanted = [Term("kind", "webhook"), Term("webhook", sendout_id), *([Term("tenant", tenant)] if tenant else [])]
    # The states of one id are few, and found by its index; the latest of all ids would have to be chosen first.
    rows = reader.page(Question(conjunction(*wanted)), limit=MOST_STATES, fields=FIELDS).rows
    tenants = tuple(sorted({str(row["tenant_id"]) for row in rows}))
    if not tenants:
        raise SendoutUnknown(sendout_id)
    if len(tenants) > 1:
        raise SendoutAmbiguous(sendout_id, tenants)
    return Sendout.of(max(rows, key=lambda row: (row["hook_attempt"], row["ingested_at"])))
