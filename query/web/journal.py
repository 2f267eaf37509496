"""The journal: events by time with filters, figures and a timeline."""

from __future__ import annotations

from starlette.responses import Response

from query.web.page import PageRoute
from query.web.visit import Visit

_ROWS = 50


async def journal(visit: Visit) -> Response:
    """Show one page of events."""
    question = visit.question()
    cursor = visit.values.text("cursor")
    page = await visit.read(lambda reader: reader.page(question, limit=_ROWS, cursor=cursor))
    visit.record(question, rows=len(page.rows))
    return visit.page("journal.html", page=page)


async def start(visit: Visit) -> Response:
    """Send the visitor to the journal."""
    return visit.redirect("/journal")


PAGES = (
    PageRoute("/", start, name="start", right=None),
    PageRoute("/journal", journal, name="journal", section="Audit journal", group="Settings"),
)
