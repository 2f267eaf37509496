"""One event with everything that belongs to it: people, place, object, change, call, storage, neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.responses import Response

from query.access.rights import Right
from query.access.scoped_reader import ScopedReader
from query.errors import QueryError
from query.events import Detail
from query.fields import Row
from query.http.encoding import to_json
from query.http.events import notice
from query.http.problems import Problem
from query.ledger import BatchFilter
from query.web import bodies, facts
from query.web.difference import differences
from query.web.page import PageRoute
from query.web.record import actor_path, picture_of, record_context
from query.web.related import Related, journal_address, related
from query.web.visit import Visit
from query.web.zones import project_zone

_GONE = "there is no such event: never stored, past its retention, or out of your reach"
_BATCH_FIELDS = ("first_offset", "last_offset", "stored", "sha256", "ingested_at")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One time that the service sent the event.

    Attributes:
        number: Counts from 1, in the order of storing.
        event: What was stored.
        differs_in: Fields in which it differs from the first one; a sound service repeats the same content.
    """

    number: int
    event: Row
    differs_in: Sequence[str]


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of the event in one zone.

    Attributes:
        label: Whose zone it is.
        zone: Its name; empty when nobody has told it.
        text: The time, empty without a zone.
    """

    label: str
    zone: str
    text: str


async def event(visit: Visit) -> Response:
    """Show an event; ``delivery`` chooses one of several deliveries, from 1."""
    found = await _details(visit)
    number = visit.values.number("delivery", 1, 1, len(found))
    detail = found[number - 1]
    others, others_problem = await _related(visit, detail.event)
    return visit.page(
        "event.html",
        detail=detail,
        event=detail.event,
        number=number,
        deliveries=deliveries(found),
        clocks=clocks(visit, detail.event),
        notice_of_actor=notice(detail.actor),
        picture=picture_of(_picture_url(detail), visit.frame.settings.public_url),
        actor_path=actor_path(detail.event["tenant_id"], detail.event["actor_id"]),
        who=facts.told(facts.WHO, detail.event),
        where=facts.told(facts.WHERE, detail.event),
        what=facts.told(facts.WHAT, detail.event),
        result=facts.told(facts.RESULT, detail.event),
        by_kind=list(facts.groups_by_kind(detail.event)),
        together=facts.told(facts.TOGETHER, detail.event),
        stored=facts.told(facts.STORED, detail.event),
        zone_facts=facts.told(facts.TIME, detail.event),
        changes=differences(detail.event),
        snapshot=bodies.body(detail.event["resource_snapshot"]),
        **_call(detail),
        batch=await _batch(visit, detail.event),
        related=others,
        related_problem=others_problem,
        address_of=lambda relation: journal_address(*relation.terms),
        entry=visit.service.catalogue.get(detail.event["event_code"]),
        **record_context(detail.event["tenant_id"]),
    )


async def event_json(visit: Visit) -> Response:
    """Hand over an event as JSON, as the API has it."""
    found = await _details(visit)
    data = [_as_data(detail) for detail in found]
    name = f"event-{UUID(visit.path['event_id'])}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    body = to_json({"data": data, "deliveries": len(data)})
    return visit.finished(Response(body, media_type="application/json", headers=headers))


async def _details(visit: Visit) -> list[Detail]:
    event_id = visit.path["event_id"]
    found = await visit.read(lambda reader: reader.details(event_id))
    if not found:
        raise Problem("not-found", _GONE)
    visit.record(code="access.view", rows=len(found), target_id=event_id)
    return found


def _as_data(detail: Detail) -> dict[str, Any]:
    stored = {name: value for name, value in detail.event.items() if name != "title"}
    card = {"actor": detail.actor, "notice": notice(detail.actor)}
    return {"title": detail.event["title"], "event": stored, "payload": detail.payload, **card}


async def _related(visit: Visit, event: Row) -> tuple[list[Related], str]:
    """Return the related events, or none and why; the event is worth showing without them."""
    try:
        return await visit.read(lambda reader: related(reader, event)), ""
    except QueryError as error:
        return [], str(error)


async def _batch(visit: Visit, event: Row) -> Row | None:
    """Return the stored range that holds an event, None to those who may not see ranges."""
    if not (visit.may(Right.LEDGER) and visit.token.scope.unlimited):
        return None
    place = {"topic_id": UUID(event["kafka_topic_id"]), "partition": event["kafka_partition"]}
    asked = BatchFilter(**place, holding=event["kafka_offset"])

    def read(reader: ScopedReader) -> Row | None:
        rows = reader.ingest_batches(asked, limit=1, fields=_BATCH_FIELDS).rows
        return rows[0] if rows else None

    return await visit.read(read)


def _picture_url(detail: Detail) -> str:
    now = detail.actor["avatar_url"] if detail.actor else ""
    return now or detail.event["actor_avatar_url"] or ""


def _call(detail: Detail) -> Mapping[str, Any]:
    if detail.payload is None:
        return {"query_parameters": None, "request_body": None, "response_body": None}
    return {
        "query_parameters": bodies.query_parameters(detail.payload["api_query_params"]),
        "request_body": bodies.request_body(detail.event, detail.payload),
        "response_body": bodies.response_body(detail.event, detail.payload),
    }


def deliveries(found: Sequence[Detail]) -> list[Delivery]:
    """Return each time that an event was delivered, and in what it differs from the first time."""
    first = found[0].event
    return [Delivery(i, d.event, facts.differing(first, d.event)) for i, d in enumerate(found, start=1)]


def clocks(visit: Visit, event: Row) -> list[Clock]:
    """Return the time of an event in the project's zone, the viewer's, and UTC."""
    settings = visit.frame.settings
    named = next((p for p in (event["project_id"], event["project_slug"]) if p in settings.project_zones), "")
    of_project = project_zone(settings, named, visit.token)
    zones = (("Project time", of_project), ("Your time", visit.zone.browser), ("Occurrence date", "UTC"))
    moment = event["occurred_at"]
    return [Clock(label, zone, facts.zoned(moment, ZoneInfo(zone)) if zone else "") for label, zone in zones]


PAGES = (
    PageRoute("/events/{event_id}", event, name="event"),
    PageRoute("/events/{event_id}/json", event_json, name="event_json"),
)
