"""Endpoints of figures, of the ledger, and of what there is to ask with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from query.access.scoped_reader import ScopedReader
from query.aggregates import FACETS, MAX_FACET_VALUES
from query.errors import InvalidCursor, InvalidFilter, nearest
from query.events import Page
from query.filters import all_filters
from query.http.asking import question_of_url
from query.http.endpoint import Answer, Call
from query.http.parameters import INTERVAL, Parameter
from query.http.problems import Problem, invalid
from query.ledger import BatchFilter, DeadLetterFilter
from query.period import Clock, parse_moment, parse_zone

_MOST_OFFSET = 2**31 - 1

LETTER_FILTERS = (
    Parameter("stage", "decode, validate or insert."),
    Parameter("reason_code", "Stable name of the reason."),
    Parameter("tenant", "Tenant, as far as it could be decoded."),
    Parameter("event_code", "Event code, as far as it could be decoded."),
)
RANGE_FILTERS = (
    Parameter("topic", "Name of the topic."),
    Parameter("partition", "Its partition.", {"type": "integer", "minimum": 0, "maximum": _MOST_OFFSET}),
    Parameter("since", "Stored at this time or later."),
    Parameter("until", "Stored before this time."),
    Parameter("tz", "IANA time zone of times without offset; default UTC."),
)


def count(call: Call, reader: ScopedReader) -> Answer:
    """Answer how many events match, or a bound that is marked."""
    question = question_of_url(call.values)
    return Answer(asdict(reader.total(question)), question, rows=1)


def histogram(call: Call, reader: ScopedReader) -> Answer:
    """Answer how many events match, by interval."""
    question = question_of_url(call.values)
    interval = call.values.chosen("interval", INTERVAL.schema["enum"], "day")
    buckets = reader.histogram(question, interval)
    body = {"interval": interval, "tz": question.zone.key, "data": [asdict(b) for b in buckets]}
    return Answer(body, question, rows=len(buckets))


def facet(call: Call, reader: ScopedReader) -> Answer:
    """Answer the most frequent values of a column."""
    name = call.path["name"]
    if name not in FACETS:
        near = nearest(name, FACETS)
        raise Problem("not-found", f'there is no facet "{name}"', suggestion=near, expected=", ".join(FACETS))
    question = question_of_url(call.values)
    values = reader.facet(question, name, top=call.values.number("top", 10, 1, MAX_FACET_VALUES))
    return Answer({"facet": name, "data": [asdict(v) for v in values]}, question, rows=len(values))


def dead_letters(call: Call, reader: ScopedReader) -> Answer:
    """Answer one page of dead letters."""
    texts: dict[str, Any] = {p.name: call.values.text(p.name) for p in LETTER_FILTERS}
    asked = DeadLetterFilter(**texts, **_range(call))
    return _listed(call, lambda **options: reader.dead_letters(asked, **options))


def batches(call: Call, reader: ScopedReader) -> Answer:
    """Answer one page of the manifest."""
    asked = BatchFilter(**_range(call))
    return _listed(call, lambda **options: reader.ingest_batches(asked, **options))


def catalogue(call: Call, reader: ScopedReader) -> Answer:
    """Answer the event codes."""
    del reader
    return Answer({"digest": call.catalogue.digest, "data": [entry.as_row() for entry in call.catalogue]})


def filters(call: Call, reader: ScopedReader) -> Answer:
    """Answer which filters and facets there are."""
    del call, reader
    known = [{"name": f.name, "aliases": list(f.aliases), "doc": f.doc, "expected": f.expected} for f in all_filters()]
    return Answer({"data": known, "facets": list(FACETS)})


def me(call: Call, reader: ScopedReader) -> Answer:
    """Answer what the token is and may do."""
    del reader
    token = call.token
    rights = sorted(right.value for right in token.rights)
    told = {"token_id": token.token_id, "name": token.name, "role": token.role, "rights": rights}
    scope = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(token.scope).items()}
    return Answer({**told, "scope": scope, "expires_at": token.expires_at})


def _range(call: Call) -> Mapping[str, Any]:
    partition = call.values.number("partition", 0, 0, _MOST_OFFSET) if "partition" in call.values else None
    moments = {name: _moment(call, name) for name in ("since", "until")}
    return {"topic": call.values.text("topic"), "partition": partition, **moments}


def _moment(call: Call, name: str) -> datetime | None:
    text = call.values.text(name)
    if text is None:
        return None
    try:
        zone = parse_zone(call.values.text("tz") or "UTC")
    except InvalidFilter as error:
        raise invalid(error, parameter="tz") from None
    try:
        return parse_moment(text, Clock(datetime.now(UTC), zone))
    except ValueError as error:
        raise Problem("invalid-parameter", f"{name}: {error}", parameter=name) from None


def _listed(call: Call, read: Any) -> Answer:  # noqa: ANN401 - a read of pages
    limit = call.values.number("limit", call.settings.default_rows, 1, call.settings.max_rows)
    cursor, fields = call.values.text("cursor"), call.values.names("fields")
    try:
        page: Page = read(limit=limit, cursor=cursor, fields=fields)
    except InvalidCursor as error:
        raise invalid(error, parameter="cursor") from None
    except InvalidFilter as error:
        raise invalid(error, parameter="fields") from None
    names = tuple(p.name for p in (*LETTER_FILTERS, *RANGE_FILTERS) if p.name in call.values)
    body = {"data": page.rows, "next_cursor": page.next_cursor}
    return Answer(body, filter_fields=names, rows=len(page.rows), next_cursor=page.next_cursor)
