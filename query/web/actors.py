"""The card of an actor: who it is now, its last sign-ins, what it did last and most often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from query.access.scoped_reader import ScopedReader
from query.aggregates import FacetValue
from query.expression import Term, conjunction
from query.fields import Row
from query.http.events import notice
from query.http.problems import Problem
from query.question import Question
from query.web.page import PageRoute
from query.web.record import picture_of, record_context
from query.web.related import journal_address
from query.web.visit import Visit

#: Days over which the codes are counted; further back the log may be long.
COUNTED_DAYS = 90
_LISTED = 10
_CODES = 20
_FIELDS = (
    "event_id",
    "occurred_at",
    "title",
    "outcome",
    "ip",
    "geo_country",
    "actor_name",
    "actor_login",
    "actor_type",
)


@dataclass(frozen=True, slots=True)
class Actor:
    """What is known of an actor.

    Attributes:
        card: As the directory has it now; None when it never had one.
        sign_ins: The last events of the kind ``auth``, newest first.
        events: The last events of any kind, newest first.
        codes: How often it did what within COUNTED_DAYS, the most frequent first.
    """

    card: Row | None
    sign_ins: Sequence[Row]
    events: Sequence[Row]
    codes: Sequence[FacetValue]


async def actor(visit: Visit) -> Response:
    """Show an actor."""
    tenant, actor_id = visit.path["tenant"], visit.path["actor_id"]
    who = (Term("tenant", tenant), Term("actor_id", actor_id))
    found = await visit.read(lambda reader: _actor(reader, tenant, actor_id, who))
    if found.card is None and not found.events:
        raise Problem("not-found", "there is no card of this actor and no event, or both are out of your reach")
    rows = len(found.events)
    visit.record(code="access.view", rows=rows, filter_fields=("actor_id", "tenant"))
    return visit.page(
        "actor.html",
        found=found,
        tenant=tenant,
        actor_id=actor_id,
        called=_name(found, actor_id),
        counted_days=COUNTED_DAYS,
        notice_of_actor=notice(found.card),
        picture=picture_of((found.card or {}).get("avatar_url") or "", visit.frame.settings.public_url),
        of_actor=journal_address(*who),
        sign_ins_of_actor=journal_address(*who, Term("kind", "auth")),
        of_code=lambda code: journal_address(*who, Term("action", code), _recently()),
        titles={entry.code: entry.description for entry in visit.service.catalogue},
        **record_context(tenant),
    )


def _actor(reader: ScopedReader, tenant: str, actor_id: str, who: Sequence[Term]) -> Actor:
    def last(*terms: Term) -> Sequence[Row]:
        return reader.page(Question(conjunction(*who, *terms)), limit=_LISTED, fields=_FIELDS).rows

    counted = Question(conjunction(*who, _recently()))
    return Actor(
        reader.actor(tenant, actor_id),
        last(Term("kind", "auth")),
        last(),
        reader.facet(counted, "action", top=_CODES),
    )


def _recently() -> Term:
    return Term("since", f"{COUNTED_DAYS}d")


def _name(found: Actor, actor_id: str) -> str:
    """Return how to call an actor: as the directory does, else as its newest event did."""
    named = [found.card["name"]] if found.card else []
    newest = found.events[:1]
    named += [row[field] for row in newest for field in ("actor_name", "actor_login")]
    return next((name for name in named if name), actor_id)


PAGES = (PageRoute("/actors/{tenant}/{actor_id:path}", actor, name="actor"),)
