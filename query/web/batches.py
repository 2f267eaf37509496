"""The manifest: which offsets of which partition were stored, refused and left out, with digests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from query.access.rights import Right
from query.ledger import BatchFilter
from query.web.ledger_filters import given, offset_of, range_filters
from query.web.page import PageRoute
from query.web.visit import Visit

_ROWS = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def batches(visit: Visit) -> Response:
    """List stored ranges."""
    ranges = dict(range_filters(visit))
    asked = BatchFilter(**ranges, holding=offset_of(visit))
    cursor = visit.values.text("cursor")
    page = await visit.read(lambda reader: reader.ingest_batches(asked, limit=_ROWS, cursor=cursor))
    names = tuple(sorted(name for name in (*ranges, "offset") if given(visit, name)))
    visit.record(rows=len(page.rows), filter_fields=names)
    return visit.page("batches.html", page=page, day=_day, filtered=bool(names))


def _day(number: int) -> str:
    """Return the date of a day that is counted from 1970-01-01; rows that never expire have one far away."""
    try:
        return (_EPOCH + timedelta(days=number)).date().isoformat()
    except OverflowError:
        return f"day {number}"


PAGES = (PageRoute("/batches", batches, name="batches", section="Manifest", right=Right.LEDGER, group="Storage"),)
