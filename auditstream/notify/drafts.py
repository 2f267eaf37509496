"""What rules say of events: notices of one event, messages of one or several."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import uuid4

from auditstream.notify.notices import Message, Notice
from auditstream.notify.rules import Rule
from query.access.personal import PersonalData
from query.access.view import EventView
from query.fields import Row, event_fields
from schemas.catalogue import Catalogue


def present() -> datetime:
    """Return the present, UTC."""
    return datetime.now(UTC)


class Drafts:
    """Writes notices; keeps nothing.

    Args:
        catalogue: Where titles and personal fields come from.
        refused: Told rule and reason when a template does not bear an event.
    """

    def __init__(self, catalogue: Catalogue, refused: Callable[[str, str], None]) -> None:
        names = ("title", *event_fields())
        personal = PersonalData.of(catalogue)
        self._clear = EventView.of(names, catalogue, None)
        self._masked = EventView.of(names, catalogue, personal)
        self._refused = refused

    def notice(self, rule: Rule, event: Row, now: datetime) -> Notice:
        """Return what a rule tells of an event, whether its filter matches or not."""

        def refused(reason: str) -> None:
            self._refused(rule.name, reason)

        clear = self._clear.row(event)
        shown = clear if rule.personal else self._masked.row(event)
        return Notice(
            rule=rule.name,
            channels=rule.channels,
            event_id=str(event["event_id"]),
            tenant_id=str(event["tenant_id"]),
            event_code=str(event["event_code"]),
            occurred_at=event["occurred_at"],
            text=rule.templates.event(shown, refused),
            # Only its digest is kept, so that a key may be made of personal data.
            key=hashlib.sha256(rule.templates.key(clear, refused).encode()).digest(),
            partition=event["kafka_partition"],
            offset=event["kafka_offset"],
            recorded_at=now,
        )

    def messages(self, rule: Rule, notices: tuple[Notice, ...]) -> Iterator[Message]:
        """Yield the message of some notices for each of the rule's channels that is open."""
        message_id = uuid4()
        for channel in rule.channels:
            told = tuple(n for n in notices if channel in n.channels)
            if not told:
                continue
            text = told[0].text
            if len(told) > 1:
                text = rule.templates.digest(
                    [n.text for n in told], str(message_id), lambda reason: self._refused(rule.name, reason)
                )
            yield Message(rule.name, channel, told, text, message_id)
