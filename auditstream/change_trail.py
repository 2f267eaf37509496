"""Changes made on the command line as audit events: kept before the command ends, sent when Kafka is there."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from auditstream.access_events import AccessEvents
from auditstream.commands.query import load_catalogue
from auditstream.settings import Settings
from auditstream.spools import open_spooled
from producers import AuditProducer, ProducerError
from query.access import Caller, Change
from query.access.recording import BeforeAfter
from schemas.errors import SchemaError

#: Seconds that the end of a command waits for Kafka. What is not acknowledged waits in the spool for the next one.
_CLOSE_S = 3.0
_FOLDER = "commands"


class ChangesNotRecorded(Exception):
    """Changes are to be recorded, and cannot be; the message says why and what to do."""


class ChangeTrail:
    """Records changes made by whoever runs the command."""

    def __init__(self, producer: AuditProducer, events: AccessEvents) -> None:
        """Record through a producer in best-effort mode.

        Args:
            producer: Closed by the caller.
            events: Makes the events.
        """
        self._producer, self._events = producer, events

    def changed(self, code: str, target: tuple[str, str, str], values: dict[str, BeforeAfter]) -> None:
        """Record a change.

        Args:
            code: Event code.
            target: Kind, id and name of what was changed.
            values: What was changed, by name.

        Raises:
            ChangesNotRecorded: The spool takes no more.
        """
        change = Change(code, Caller(""), *target, operator=getpass.getuser(), values=values)
        try:
            self._producer.submit(self._events.change_event(change))
        except ProducerError as error:
            raise ChangesNotRecorded(_told(error)) from error


@contextmanager
def change_trail(settings: Settings, report: Callable[[str], None]) -> Iterator[ChangeTrail | None]:
    """Open the trail of changes; None when ``access.record`` is off.

    Args:
        settings: All settings.
        report: Told, as a sentence, when records wait for Kafka.

    Raises:
        ChangesNotRecorded: There is no place to keep records.
    """
    if not settings.access.record:
        yield None
        return
    folder = settings.access.spool_dir / _FOLDER
    try:
        producer = open_spooled(settings, folder)
    except (ProducerError, SchemaError, OSError) as error:
        raise ChangesNotRecorded(_told(error)) from error
    try:
        yield ChangeTrail(producer, AccessEvents(producer, load_catalogue(settings), settings.access))
    finally:
        if waiting := producer.close(min(_CLOSE_S, settings.producer.close_timeout_s)):
            report(f"{waiting} records of changes wait for Kafka in {folder.expanduser()}; the next command sends them")


def _told(error: Exception) -> str:
    return f"the change cannot be recorded: {error}; access.record=false switches recording off"
