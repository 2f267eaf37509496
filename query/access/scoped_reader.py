"""The one place where a read is confined to what a token may see. Whatever answers a caller reads through it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from query.access.errors import Forbidden
from query.access.personal import BODY_FIELDS, PersonalData, masked
from query.access.rights import Right
from query.access.token import Token
from query.access.view import TITLE, EventView
from query.aggregates import FACETS, Bucket, FacetValue
from query.arrivals import Arrivals, Position
from query.condition import condition
from query.events import Detail, Page
from query.expression import AnyOf, Not, Term, conjunction
from query.fields import Row, event_fields
from query.ledger import BatchFilter, DeadLetterFilter, Reason
from query.parameters import Parameters
from query.question import Question
from query.reader import DEFAULT_ROWS, Reader
from query.sorting import ORDERS
from query.totals import Total
from schemas.catalogue import PERSONAL_FIELDS, Catalogue

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
#: A card has the fields of the actor without their prefix.
_CARD_PERSONAL = tuple(f.removeprefix("actor_") for f in PERSONAL_FIELDS if f.startswith("actor_"))
_RAW = ("key", "raw", "headers.value")
_WITHOUT_NAMES = "filter by actor_id, object or action instead"


class ScopedReader:
    """A reader within the scope and the rights of one token. For one thread at a time.

    Every question is joined with the scope before it is asked. To a token without the right to personal data, filters,
    sorts and facets by it are refused, since they would tell what is masked; by fields that are personal in events of
    some codes only, they leave out the events of these codes. Every method may raise ``Forbidden``, and
    ``query.errors.QueryError`` as those of ``Reader``.
    """

    def __init__(self, reader: Reader, token: Token, catalogue: Catalogue, personal: PersonalData) -> None:
        """Confine a reader.

        Args:
            reader: Reads everything; closed by the caller.
            token: Whose scope and rights count.
            catalogue: Where titles come from.
            personal: Where personal data is.
        """
        self._reader, self._token, self._catalogue, self._personal = reader, token, catalogue, personal
        self._hides = None if token.may(Right.PERSONAL) else personal

    def page(
        self, question: Question, *, limit: int = DEFAULT_ROWS, cursor: str | None = None, fields: Sequence[str] = ()
    ) -> Page:
        """Read one page of events; see ``Reader.page``. ``title`` is a field too."""
        view, asked = self._view(fields), self._sorted(question)
        found = self._reader.page(asked, limit=limit, cursor=cursor, fields=view.fields)
        return Page(view.rows(found.rows), found.next_cursor)

    def count(self, question: Question) -> int:
        """Count events; see ``Reader.count``."""
        return self.total(question).events

    def total(self, question: Question) -> Total:
        """Count events and say whether the number is exact; see ``Reader.total``."""
        return self._reader.total(self._confined(question))

    def latest_states(
        self,
        kind: str,
        question: Question,
        *,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
        fields: Sequence[str] = (),
    ) -> Page:
        """Read latest states; see ``Reader.latest_states``."""
        view, asked = self._view(fields), self._sorted(question)
        found = self._reader.latest_states(kind, asked, limit=limit, cursor=cursor, fields=view.fields)
        return Page(view.rows(found.rows), found.next_cursor)

    def histogram(self, question: Question, interval: str) -> list[Bucket]:
        """Count events by interval; see ``Reader.histogram``."""
        return self._reader.histogram(self._confined(question), interval)

    def facet(self, question: Question, name: str, *, top: int = 10) -> list[FacetValue]:
        """Count events by value of a column; see ``Reader.facet``."""
        columns = [FACETS[name]] if name in FACETS else []
        return self._reader.facet(self._confined(question, columns), name, top=top)

    def newest_position(self) -> Position:
        """Return the position behind everything that has arrived."""
        self._need(Right.EVENTS, "arrivals")
        return self._reader.newest_position()

    def arrivals(
        self, question: Question, position: Position, *, limit: int = 1000, fields: Sequence[str] = ()
    ) -> Arrivals:
        """Read what arrived after a position; see ``Reader.arrivals``."""
        view = self._view(fields)
        found = self._reader.arrivals(self._confined(question), position, limit=limit, fields=view.fields)
        return replace(found, rows=view.rows(found.rows))

    def details(self, event_id: str) -> list[Detail]:
        """Return every stored event of an id within the scope, with its bodies and live card; see ``Reader``."""
        within = self._confined(Question(Term("event", event_id)))
        tenants = self._token.scope.tenants
        tenant = tenants[0] if len(tenants) == 1 else None
        return [self._detail(d) for d in self._reader.details(event_id, tenant=tenant, within=within)]

    def actor(self, tenant: str, actor_id: str) -> Row | None:
        """Return the card of an actor now; None without one, and when nothing the actor did is within the scope."""
        asked = Question(conjunction(Term("tenant", tenant), Term("actor_id", actor_id)))
        scope = self._token.scope
        if scope.tenants and tenant not in scope.tenants:
            return None
        if scope.narrower and not self.count(asked):
            return None
        self._need(Right.EVENTS, "cards of actors")
        return self._card(self._reader.actor(tenant, actor_id))

    def dead_letters(
        self,
        asked: DeadLetterFilter | None = None,
        *,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
        fields: Sequence[str] = (),
    ) -> Page:
        """Read dead letters; see ``Reader.dead_letters``. What could not be decoded belongs to no tenant."""
        self._need(Right.LEDGER, "dead letters")
        confined = self._confined_letters(asked or DeadLetterFilter())
        found = self._reader.dead_letters(confined, limit=limit, cursor=cursor, fields=fields)
        if self._token.may(Right.BODIES) and self._hides is None:
            return found
        return Page([_without_raw(row) for row in found.rows], found.next_cursor)

    def dead_letter_reasons(self, asked: DeadLetterFilter | None = None) -> list[Reason]:
        """Count dead letters by reason; see ``Reader.dead_letter_reasons``."""
        self._need(Right.LEDGER, "dead letters")
        return self._reader.dead_letter_reasons(self._confined_letters(asked or DeadLetterFilter()))

    def ingest_batches(
        self,
        asked: BatchFilter | None = None,
        *,
        limit: int = DEFAULT_ROWS,
        cursor: str | None = None,
        fields: Sequence[str] = (),
    ) -> Page:
        """Read the manifest; see ``Reader.ingest_batches``. A range holds events of all tenants."""
        self._need(Right.LEDGER, "the manifest of batches")
        if not self._token.scope.unlimited:
            raise Forbidden("the manifest of batches, which holds figures of all tenants")
        return self._reader.ingest_batches(asked, limit=limit, cursor=cursor, fields=fields)

    def _view(self, fields: Sequence[str]) -> EventView:
        return EventView.of(fields, self._catalogue, self._hides)

    def _sorted(self, question: Question) -> Question:
        return self._confined(question, [key.column for key in ORDERS[question.sort]])

    def _confined(self, question: Question, columns: Iterable[str] = ()) -> Question:
        self._need(Right.EVENTS, "events")
        parts = [self._token.scope.expression(), question.expression]
        if self._hides is not None:
            parts += self._without_guessing(question, columns)
        return replace(question, expression=conjunction(*parts))

    def _without_guessing(self, question: Question, columns: Iterable[str]) -> list[Not]:
        # Values are bound and never part of a condition, so its words are the columns that it compares.
        text = condition(question.expression, Parameters(), question.clock)
        touched = {*_IDENTIFIER.findall(text), *columns}
        if told := sorted(touched & self._personal.always):
            raise Forbidden(f"to filter or sort by {', '.join(told)}", Right.PERSONAL, instead=_WITHOUT_NAMES)
        codes = self._personal.codes_with(touched)
        return [Not(AnyOf(tuple(Term("action", code) for code in codes)))] if codes else []

    def _confined_letters(self, asked: DeadLetterFilter) -> DeadLetterFilter:
        scope = self._token.scope
        if scope.narrower:
            raise Forbidden("dead letters, which cannot be told by project, product, kind or actor")
        if not scope.tenants or asked.tenant in scope.tenants:
            return asked
        if asked.tenant is None and len(scope.tenants) == 1:
            return replace(asked, tenant=scope.tenants[0])
        raise Forbidden("dead letters of this tenant" if asked.tenant else "dead letters of all tenants: name one")

    def _detail(self, detail: Detail) -> Detail:
        payload = detail.payload
        if payload is not None:
            hidden = self._hides.hidden_in(detail.event["event_code"]) if self._hides else frozenset()
            names = BODY_FIELDS if not self._token.may(Right.BODIES) else tuple(hidden & set(BODY_FIELDS))
            payload = masked(payload, names)
        event = self._view((TITLE, *event_fields())).row(self._titled(detail.event))
        return Detail(event, payload, self._card(detail.actor), detail.conflict)

    @staticmethod
    def _titled(event: Row) -> Row:
        return {"title": "", **event}

    def _card(self, card: Row | None) -> Row | None:
        if card is None or self._hides is None:
            return card
        return masked(card, _CARD_PERSONAL)

    def _need(self, right: Right, what: str) -> None:
        if not self._token.may(right):
            raise Forbidden(what, right)


def _without_raw(row: Row) -> Row:
    # Bytes have no mark that could not be taken for content; the size and the digest of the message stay.
    shown = {name: None if name in _RAW else value for name, value in row.items()}
    if "headers" in shown:
        shown["headers"] = [{**header, "value": None} for header in row["headers"]]
    return shown
