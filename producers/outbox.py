"""The outbox: an event is written in the transaction that it is about, and a relay sends it afterwards.

So an event exists if and only if the change exists, whatever happens to the service or to Kafka in between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import orjson
import structlog

from producers.drafts import Event
from producers.errors import DeliveryFailed, InvalidEvent
from producers.masking import Masker
from producers.producer import AuditProducer
from producers.records import to_record
from producers.settings import ProducerSettings

_log = structlog.get_logger("auditstream.outbox")

Dialect = Literal["sqlite", "postgresql", "mysql"]

#: The one table, by dialect. ``id`` is the order of sending; a row is deleted when Kafka has its event.
DDL: Mapping[Dialect, str] = {
    "sqlite": "CREATE TABLE audit_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " event_id TEXT NOT NULL UNIQUE, event TEXT NOT NULL)",
    "postgresql": "CREATE TABLE audit_outbox (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " event_id CHAR(36) NOT NULL UNIQUE, event TEXT NOT NULL)",
    "mysql": "CREATE TABLE audit_outbox (id BIGINT AUTO_INCREMENT PRIMARY KEY,"
    " event_id CHAR(36) NOT NULL UNIQUE, event LONGTEXT NOT NULL) CHARACTER SET utf8mb4",
}
_INSERT = "INSERT INTO audit_outbox (event_id, event) VALUES (?, ?)"
_SELECT = "SELECT id, event FROM audit_outbox ORDER BY id LIMIT ?"
_DELETE = "DELETE FROM audit_outbox WHERE id = ?"


class Cursor(Protocol):
    """A cursor of Python's DB-API (PEP 249)."""

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Any:  # noqa: ANN401 - drivers return what they like
        """Run a statement."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows."""
        ...


class Connection(Protocol):
    """A connection of Python's DB-API (PEP 249), not in autocommit mode."""

    def cursor(self) -> Cursor:
        """Open a cursor."""
        ...

    def commit(self) -> None:
        """Commit."""
        ...

    def rollback(self) -> None:
        """Roll back."""
        ...


class Outbox:
    """Writes events into the table. Thread-safe; opens no transaction and ends none."""

    def __init__(self, dialect: Dialect, settings: ProducerSettings | None = None) -> None:
        """Choose the dialect.

        Args:
            dialect: Of the caller's database.
            settings: Rules of masking: secrets do not enter the table either.
        """
        settings = settings or ProducerSettings()
        self._insert = _statement(_INSERT, dialect)
        self._masker = Masker(settings) if settings.mask else None

    def add(self, cursor: Cursor, event: Event) -> str:
        """Check, complete and mask an event, and write it in the caller's transaction.

        Args:
            cursor: Cursor of the transaction that the event is about.
            event: As for ``AuditProducer.emit``. Its time is now unless it has one.

        Returns:
            The event's id, under which it will arrive.

        Raises:
            InvalidEvent: The event is wrong; nothing was written.
        """
        record = to_record(event)
        if self._masker:
            self._masker.apply(record)
        event_id = str(record["event_id"])
        cursor.execute(self._insert, (event_id, _as_json(record)))
        return event_id


class Relay:
    """Sends what is in the table, in order, and deletes what Kafka has. For one thread.

    At least once: after a kill, or when deleting fails, an event is sent again under the same ``event_id``. Run one
    relay for each table: PostgreSQL and MySQL let a second one wait, SQLite does not.
    """

    def __init__(
        self, connection: Connection, dialect: Dialect, producer: AuditProducer, batch_events: int = 500
    ) -> None:
        """Choose where from and where to.

        Args:
            connection: A connection of the relay's own; the caller closes it.
            dialect: Of the database.
            producer: Sends; the caller closes it. In best effort an event counts as sent when Kafka has it.
            batch_events: Events in one transaction at most.
        """
        self._connection, self._producer, self._batch_events = connection, producer, batch_events
        lock = "" if dialect == "sqlite" else " FOR UPDATE"
        self._select, self._delete = _statement(_SELECT + lock, dialect), _statement(_DELETE, dialect)

    def send(self, timeout_s: float = 60.0) -> int:
        """Send one batch.

        Args:
            timeout_s: Seconds to wait for the acknowledgements; what is not acknowledged by then is sent again later.

        Returns:
            How many events Kafka has acknowledged; 0 when the table is empty or Kafka is away.
        """
        try:
            sent = self._send(self._connection.cursor(), timeout_s)
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()
        return sent

    def run(self, stop: threading.Event, idle_s: float = 1.0) -> None:
        """Send until told to stop; look again after a pause when nothing could be sent.

        Args:
            stop: Ends the relay after its batch.
            idle_s: Seconds of the pause.
        """
        while not stop.is_set():
            if not self.send():
                stop.wait(idle_s)

    def _send(self, cursor: Cursor, timeout_s: float) -> int:
        cursor.execute(self._select, (self._batch_events,))
        acknowledged: list[int] = []
        for row, text in cursor.fetchall():
            self._submit(row, text, acknowledged.append)
        self._producer.flush(timeout_s)
        # A copy: a report that comes after the time is over must not change what is deleted.
        done = tuple(acknowledged)
        for row in done:
            cursor.execute(self._delete, (row,))
        return len(done)

    def _submit(self, row: int, text: str, note: Callable[[int], None]) -> None:
        def settled(event_id: str, error: DeliveryFailed | None) -> None:
            if error is None:
                note(row)
            else:
                _log.error("an event stays in the outbox", event_id=event_id, row=row, reason=str(error))

        self._producer.submit(orjson.loads(text), settled)


def _statement(sql: str, dialect: Dialect) -> str:
    return sql if dialect == "sqlite" else sql.replace("?", "%s")


def _as_json(record: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(record).decode()
    except orjson.JSONEncodeError as error:
        raise InvalidEvent("event", record, f"valid Unicode and numbers: {error}") from None
