"""The one object that reads: every kind of read under one name, on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from clickhouse_connect.driver.client import Client

from query import aggregates, arrivals, events, ledger, states, totals
from query.aggregates import Bucket, FacetValue
from query.arrivals import Arrivals, Position
from query.database import Database, Limits, open_client
from query.events import Detail, Page
from query.fields import Row
from query.ledger import BatchFilter, DeadLetterFilter, Reason
from query.question import Question
from query.totals import Total
from sinks.settings import ClickHouseSettings

DEFAULT_ROWS = 50


class Reader:
    """Reads the stored log. For one thread at a time; a context manager that closes its connection.

    Every method may raise ``query.errors.QueryError``; its tree says what to do about it.
    """

    def __init__(self, client: Client, limits: Limits | None = None) -> None:
        """Read by an open client whose default database holds our tables.

        Args:
            client: The client; ``close`` closes it.
            limits: What each statement may use.
        """
        self._database = Database(client, limits or Limits())

    def page(
        self,
        question: Question,
        *,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
        fields: Sequence[str] = (),
    ) -> Page:
        """Read one page of events; see ``query.events.page``."""
        return events.page(self._database, question, limit=limit, cursor=cursor, fields=fields)

    def count(self, question: Question) -> int:
        """Count events; see ``total``, which says too whether the number is exact."""
        return self.total(question).events

    def total(self, question: Question) -> Total:
        """Count events, not deliveries; see ``query.totals.total``."""
        return totals.total(self._database, question)

    def details(self, event_id: str, *, tenant: str | None = None, within: Question | None = None) -> list[Detail]:
        """Return every delivery of an event with its bodies and live card; see ``query.events.details``."""
        return events.details(self._database, event_id, tenant=tenant, within=within)

    def actor(self, tenant: str, actor_id: str) -> Row | None:
        """Return the card of an actor now; see ``query.events.card``."""
        return events.card(self._database, tenant, actor_id)

    def histogram(self, question: Question, interval: str) -> list[Bucket]:
        """Count events by interval; see ``query.aggregates.histogram``."""
        return aggregates.histogram(self._database, question, interval)

    def facet(self, question: Question, name: str, *, top: int = 10) -> list[FacetValue]:
        """Count events by value of a column; see ``query.aggregates.facet``."""
        return aggregates.facet(self._database, question, name, top=top)

    def newest_position(self) -> Position:
        """Return the position behind everything that has arrived."""
        return arrivals.newest_position(self._database)

    def arrivals(
        self, question: Question, position: Position, *, limit: int = 1000, fields: Sequence[str] = ()
    ) -> Arrivals:
        """Read what arrived after a position; see ``query.arrivals.arrivals``."""
        return arrivals.arrivals(self._database, question, position, limit=limit, fields=fields)

    def latest_states(
        self,
        kind: str,
        question: Question,
        *,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
        fields: Sequence[str] = (),
    ) -> Page:
        """Read the latest states of tasks, exports or webhooks; see ``query.states.latest_states``."""
        return states.latest_states(self._database, kind, question, limit=limit, cursor=cursor, fields=fields)

    def dead_letters(
        self,
        asked: DeadLetterFilter | None = None,
        *,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
        fields: Sequence[str] = (),
    ) -> Page:
        """Read dead letters; see ``query.ledger.dead_letters``."""
        return ledger.dead_letters(self._database, asked, limit=limit, cursor=cursor, fields=fields)

    def dead_letter_reasons(self, asked: DeadLetterFilter | None = None) -> list[Reason]:
        """Count dead letters by reason; see ``query.ledger.dead_letter_reasons``."""
        return ledger.dead_letter_reasons(self._database, asked)

    def ingest_batches(
        self,
        asked: BatchFilter | None = None,
        *,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
        fields: Sequence[str] = (),
    ) -> Page:
        """Read the manifest; see ``query.ledger.ingest_batches``."""
        return ledger.ingest_batches(self._database, asked, limit=limit, cursor=cursor, fields=fields)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_reader(settings: ClickHouseSettings) -> Reader:
    """Connect to the database of the settings.

    Raises:
        DatabaseUnreachable: No answer.
        DatabaseNotReady: The database or its directory does not exist.
        QueryFailed: Refused, for example user or password.
    """
    return Reader(open_client(settings), Limits(seconds=settings.query_timeout_s))
