"""What the filter form of a journal sends: to become an address, and to ask what a filter can be given."""

from __future__ import annotations

from starlette.responses import Response

from query.access.scoped_reader import ScopedReader
from query.filters import by_name
from query.http.encoding import to_json
from query.http.problems import Problem
from query.web import choices, links
from query.web.choices import Choice
from query.web.filter_form import filled_in
from query.web.journal import asked
from query.web.narrowing import Narrowing
from query.web.page import PageRoute
from query.web.presets import PRESETS, Preset
from query.web.visit import Visit


async def apply(visit: Visit) -> Response:
    """Send the visitor to the journal with what was filled in."""
    pairs = visit.request.query_params.multi_items()
    return visit.redirect(links.address(_preset(visit).path, filled_in(pairs)))


async def suggest(visit: Visit) -> Response:
    """Answer what a filter can be given, as JSON: values that are stored first, then those that are known.

    Raises:
        Problem: There is no such filter.
    """
    name = visit.values.text("attribute") or ""
    found = by_name().get(name)
    if found is None:
        raise Problem("not-found", f'there is no filter "{name}"')
    known = choices.of_schema(found) or choices.of_catalogue(found.name, visit.service.catalogue)
    values = choices.merged(await _stored(visit, found.name), known)
    product = visit.values.text("product")
    if found.name == "action" and product:
        values = [c for c in values if c.events is not None or c.group == product]
    body = {"doc": found.doc, "expected": found.expected, "values": [_told(choice) for choice in values]}
    return visit.finished(Response(to_json(body), media_type="application/json"))


async def _stored(visit: Visit, name: str) -> list[Choice]:
    pairs = [(n, v) for n, v in visit.request.query_params.multi_items() if n not in (name, "attribute", "at")]
    question = asked(visit, Narrowing.of(_preset(visit), pairs))

    def read(reader: ScopedReader) -> list[Choice]:
        return list(choices.stored(reader, question, name))

    found = await visit.read(read)
    if found:
        visit.record(question, rows=len(found))
    return found


def _preset(visit: Visit) -> Preset:
    path = visit.values.text("at")
    return next((preset for preset in PRESETS if preset.path == path), PRESETS[0])


def _told(choice: Choice) -> dict[str, str | int | None]:
    return {"value": choice.value, "label": choice.label, "group": choice.group, "events": choice.events}


PAGES = (
    PageRoute("/apply", apply, name="apply"),
    PageRoute("/suggest", suggest, name="suggest"),
)
