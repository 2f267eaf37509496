"""Requests in ClickHouse: claimed before anything is asked, and their outcome after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa

from query.resend.errors import LedgerUnavailable
from query.resend.request import Asker, Outcome, Resend
from query.resend.sendout import Sendout
from sinks.connection import Connections
from sinks.errors import SinkError

_TIME = pa.timestamp("ms", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("sendout_id", pa.string()),
        ("resend_id", pa.string()),
        ("claim_id", pa.string()),
        ("idempotency_key", pa.string()),
        ("state", pa.string()),
        ("asked_at", _TIME),
        ("asked_by_type", pa.string()),
        ("asked_by_id", pa.string()),
        ("asked_by_name", pa.string()),
        ("reason", pa.string()),
        ("forced", pa.bool_()),
        ("route", pa.string()),
        ("detail", pa.string()),
        ("http_status", pa.int32()),
        ("attempts", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a claim, or the outcome of one.

    Attributes:
        claim_id: Which of several claims of the same request.
        resend: The request as of this row; ``outcome.state`` is ``claimed`` for a claim.
    """

    claim_id: UUID
    resend: Resend

    @property
    def state(self) -> str:
        """State of the row."""
        return self.resend.outcome.state


class ResendLedger:
    """The requests of one database. Any thread may ask.

    Every method may raise ``LedgerUnavailable``.
    """

    def __init__(self, connections: Connections) -> None:
        """Use open connections.

        Args:
            connections: Connections to the database; closed by the caller.
        """
        self._connections = connections
        self._table = f"`{connections.settings.database}`.webhook_resends"

    def entries(self, sendout: Sendout) -> Sequence[Entry]:
        """Return all rows about a sendout, those written first first."""
        columns = ", ".join(_selected())
        statement = (
            f"SELECT {columns} FROM {self._table} WHERE tenant_id = {{tenant:String}} "  # noqa: S608 - values are bound
            "AND sendout_id = {sendout:String} ORDER BY asked_at, recorded_at"
        )
        with _translated():
            rows = self._connections.rows(statement, {"tenant": sendout.tenant_id, "sendout": sendout.sendout_id})
        return [_entry(row) for row in rows]

    def write(self, entry: Entry) -> None:
        """Append a row."""
        with _translated():
            rows = pa.Table.from_pylist([_row(entry)], schema=_SCHEMA)
            self._connections.insert(self._table, rows, "", query_id=f"auditstream:webhook_resends:{uuid4()}")


def _selected() -> Iterator[str]:
    texts = {"resend_id": "toString(resend_id)", "claim_id": "toString(claim_id)", "state": "toString(state)"}
    return (f"{texts[name]} AS {name}" if name in texts else name for name in _SCHEMA.names)


def _row(entry: Entry) -> dict[str, Any]:
    resend = entry.resend
    outcome = resend.outcome
    return {
        "tenant_id": resend.tenant_id,
        "sendout_id": resend.sendout_id,
        "resend_id": str(resend.resend_id),
        "claim_id": str(entry.claim_id),
        "idempotency_key": resend.key,
        "state": outcome.state,
        "asked_at": resend.asked_at,
        "asked_by_type": resend.by.type,
        "asked_by_id": resend.by.id,
        "asked_by_name": resend.by.name,
        "reason": resend.reason,
        "forced": resend.forced,
        "route": resend.route,
        "detail": outcome.detail,
        "http_status": outcome.http_status,
        "attempts": outcome.attempts,
    }


def _entry(row: Mapping[str, Any]) -> Entry:
    asked_at: datetime = row["asked_at"]
    resend = Resend(
        resend_id=UUID(row["resend_id"]),
        tenant_id=row["tenant_id"],
        sendout_id=row["sendout_id"],
        key=row["idempotency_key"],
        asked_at=asked_at,
        by=Asker(row["asked_by_type"], row["asked_by_id"], row["asked_by_name"]),
        reason=row["reason"],
        forced=row["forced"],
        route=row["route"],
        outcome=Outcome(row["state"], row["detail"], row["http_status"], row["attempts"]),
    )
    return Entry(UUID(row["claim_id"]), resend)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SinkError as error:
        raise LedgerUnavailable(f"the requests to send webhooks again cannot be reached: {error}") from error
