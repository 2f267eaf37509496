"""The journals: events by time with filters, figures and a timeline; one handler for the whole table of presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio
from starlette.responses import Response

from query.access.errors import Forbidden
from query.access.rights import Right
from query.access.scoped_reader import ScopedReader
from query.aggregates import FacetValue
from query.errors import InvalidCursor, QueryTooExpensive
from query.events import Page
from query.expression import conjunction
from query.fields import READ_FIELDS
from query.http.asking import question_of_url
from query.http.parameters import Values
from query.http.problems import Problem, invalid, problem_of
from query.question import Question
from query.totals import Total
from query.web.choices import FACET_FILTERS
from query.web.filter_form import FilterForm
from query.web.narrowing import Narrowing
from query.web.page import Handler, PageRoute
from query.web.presets import PRESETS, Preset
from query.web.record import actor_path
from query.web.timeline import Timeline, timeline
from query.web.visit import Visit

_T = TypeVar("_T")

_ROWS = 50
_FACET_VALUES = 8
#: What every row needs beyond the columns of its journal.
_FIELDS = (
    *("event_id", "occurred_at", "event_code", "title", "tenant_id", "outcome"),
    *("actor_id", "actor_name", "actor_login", "ip", "geo_country", "target_type", "target_id", "target_name"),
)
#: Orders by personal data, which is refused to those who may not see it.
_PERSONAL_SORTS = ("user", "ip", "object")


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted beside the rows; None where it is not allowed or would cost too much.

    Attributes:
        total: Events that match.
        timeline: Events by interval.
        facets: The most frequent values by name of the facet.
        hint: What would make counting cheaper, ``""`` when everything was counted.
    """

    total: Total | None = None
    timeline: Timeline | None = None
    facets: Mapping[str, Sequence[FacetValue]] | None = None
    hint: str = ""


def journal(preset: Preset) -> Handler:
    """Return what answers visits of a journal."""

    async def answer(visit: Visit) -> Response:
        visit.takes_question()
        narrowing = Narrowing.of(preset, visit.request.query_params.multi_items())
        try:
            question = asked(visit, narrowing)
            page = await visit.read(lambda reader: _page(reader, visit, preset, question))
        except (Problem, QueryTooExpensive) as error:
            # Shown above the form, which is where it can be put right.
            return _shown(visit, narrowing, Page([], None), Figures(), problem_of(error))
        figures = await _figures(visit, preset, question)
        visit.record(question, rows=len(page.rows))
        return _shown(visit, narrowing, page, figures)

    return answer


def asked(visit: Visit, narrowing: Narrowing) -> Question:
    """Return the question of a journal, its fixed filter included.

    Raises:
        Problem: A part is not understood; names parameter, term and position.
    """
    given: dict[str, list[str]] = {}
    for name, value in narrowing.question:
        given.setdefault(name, []).append(value)
    question = question_of_url(Values({"tz": [visit.zone.name], **given}))
    return replace(question, expression=conjunction(narrowing.fixed, question.expression))


def _page(reader: ScopedReader, visit: Visit, preset: Preset, question: Question) -> Page:
    try:
        return reader.page(question, limit=_ROWS, cursor=visit.values.text("cursor"), fields=_fields(preset))
    except InvalidCursor as error:
        raise invalid(error, parameter="cursor") from None


def _fields(preset: Preset) -> list[str]:
    shown = [field for column in preset.columns for field in column.fields]
    return list(dict.fromkeys((*_FIELDS, *shown, *READ_FIELDS)))


async def _figures(visit: Visit, preset: Preset, question: Question) -> Figures:
    """Count at once, each on a reader of its own."""
    found: dict[str, Any] = {}
    hints: list[str] = []

    async def count(name: str, run: Callable[[ScopedReader], object]) -> None:
        try:
            found[name] = await visit.read(run)
        except Forbidden:
            found[name] = None
        except QueryTooExpensive as error:
            found[name] = None
            hints.append(error.hint)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count, "total", lambda reader: reader.total(question))
        tasks.start_soon(count, "timeline", lambda reader: timeline(reader, question))
        for name in preset.facets:
            tasks.start_soon(count, f"facet {name}", _facet(question, name))
    facets = {name: found[f"facet {name}"] for name in preset.facets if found[f"facet {name}"]}
    return Figures(found["total"], found["timeline"], facets, next(iter(hints), ""))


def _facet(question: Question, name: str) -> Callable[[ScopedReader], list[FacetValue]]:
    return lambda reader: reader.facet(question, name, top=_FACET_VALUES)


def _shown(
    visit: Visit, narrowing: Narrowing, page: Page, figures: Figures, problem: Problem | None = None
) -> Response:
    preset = narrowing.preset
    view = narrowing.value("view") if narrowing.value("view") in ("tiles", "table") else preset.view
    sorts = [c.sort for c in preset.columns if c.sort and (visit.may(Right.PERSONAL) or c.sort not in _PERSONAL_SORTS)]
    return visit.page(
        "journal.html",
        status=problem.status if problem else 200,
        preset=preset,
        narrowing=narrowing,
        form=FilterForm(narrowing, visit.zone, visit.service.catalogue),
        page=page,
        figures=figures,
        view=view,
        sorts=sorts,
        sort=narrowing.value("sort") or "time",
        descending=narrowing.value("order") != "asc",
        problem=problem,
        names=_names(page),
        actor_path=actor_path,
        facet_filters=FACET_FILTERS,
    )


def _names(page: Page) -> dict[str, str]:
    """Return the names of the actors of a page by their ids, for figures that count ids."""
    return {row["actor_id"]: row["actor_name"] for row in page.rows if row["actor_id"] and row["actor_name"]}


async def start(visit: Visit) -> Response:
    """Send the visitor to the journal."""
    return visit.redirect(PRESETS[0].path)


PAGES = (
    PageRoute("/", start, name="start", right=None),
    PageRoute("/settings/audit-journal", start, name="settings_journal", right=None),
    *(PageRoute(p.path, journal(p), name=p.name, section=p.title, group="Journals") for p in PRESETS),
)
