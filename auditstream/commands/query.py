"""``auditstream query``: read events, one event, figures, and the latest states."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import click

from auditstream.event_view import TABLE_COLUMNS, EventView, all_fields
from auditstream.filter_options import Filters, filter_options, reported_errors
from auditstream.output import cell_text, escape_text, format_option, print_rows
from auditstream.settings import Settings, load_settings
from query import Detail, Page, Question, Reader, open_reader
from query.aggregates import FACETS, Interval
from query.fields import Row
from query.question import SortName
from query.states import STATE_KINDS
from schemas.catalogue import Catalogue

#: Rows fetched at a time.
_PAGE_ROWS = 1000

#: Values that a detail does not show.
_NOTHING: tuple[object, ...] = (None, "", [], {}, "unspecified")
#: Kind of a record -> how the fields of its block begin.
_BLOCKS = {
    "api_call": "api_",
    "auth": "auth_",
    "run_log": "run_",
    "task": "task_",
    "export": "export_",
    "webhook": "hook_",
    "access": "access_",
}

_EPILOG = r"""
Examples:

\b
  auditstream query --since 24h --outcome failure
  auditstream query 'actor:ann@example.com action:campaign.* -outcome:success ip:10.0.0.0/8'
  auditstream query --event 01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e
  auditstream query --since 7d --facet actor
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Options of the command that are no filters."""

    sort: SortName
    descending: bool
    limit: int
    cursor: str | None
    columns: str
    fmt: str
    event: str | None
    count: bool
    histogram: str | None
    facet: str | None
    states: str | None


@click.command(epilog=_EPILOG)
@click.option("--sort", type=click.Choice(get_args(SortName)), default="time", show_default=True, help="Order.")
@click.option("--desc/--asc", "descending", default=True, help="Direction.  [default: desc, newest first]")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Rows; 0 for all.")
@click.option("--cursor", help="Go on where a page ended; repeat its filters and sort.")
@click.option(
    "--columns", default="", metavar="NAME,…", help="Columns to print: fields, time, actor, title, target, from."
)
@click.option("--event", metavar="ID", help="Show one event with its bodies and the card of its actor.")
@click.option("--count", is_flag=True, help="Print how many events match.")
@click.option("--histogram", type=click.Choice(get_args(Interval)), help="Count by interval.")
@click.option(
    "--facet", type=click.Choice(list(FACETS)), metavar="NAME", help="Count by value: " + ", ".join(FACETS) + "."
)
@click.option(
    "--states", type=click.Choice(list(STATE_KINDS)), help="Only the latest state of each task, export or webhook."
)
@format_option
@filter_options
def query(**given: Any) -> None:  # noqa: ANN401 - one value of its own type for each option
    """Read the log by time.

    EXPRESSION is a text such as 'actor:ann@example.com -outcome:success'; terms must all match, OR between them and
    parentheses are possible, a word without a name is looked for in the text. Every filter is an option as well, and
    an option given twice matches either value. The cursor of the next page is printed on standard error.
    """
    filters = Filters.take(given)
    asked = _Asked(**given)
    settings = load_settings()
    with reported_errors():
        question = filters.question(sort=asked.sort, descending=asked.descending)
        with open_reader(settings.clickhouse) as reader:
            _answer(reader, question, asked, settings)


def _answer(reader: Reader, question: Question, asked: _Asked, settings: Settings) -> None:
    if asked.event:
        _print_details(reader, asked.event, question, asked.fmt, settings)
    elif asked.count:
        print_rows([asdict(reader.total(question))], ["events", "is_exact"], asked.fmt)
    elif asked.histogram:
        buckets = reader.histogram(question, asked.histogram)
        headings = {"start": f"start ({question.zone.key})"}
        print_rows([asdict(b) for b in buckets], ["start", "events", "is_exact"], asked.fmt, headings=headings)
    elif asked.facet:
        limit = min(asked.limit, 1000) or 1000
        values = reader.facet(question, asked.facet, top=limit)
        columns = ["value", "events", "is_exact"]
        print_rows([asdict(v) for v in values], columns, asked.fmt, headings={"value": asked.facet})
    else:
        _print_events(reader, question, asked, settings)


def _print_events(reader: Reader, question: Question, asked: _Asked, settings: Settings) -> None:
    named = [name.strip() for name in asked.columns.split(",") if name.strip()]
    columns = named or (TABLE_COLUMNS if asked.fmt == "table" else all_fields())
    view = EventView.of(columns, question.zone, load_catalogue(settings))
    walk = _Walk(reader, question, asked, view.fields)
    print_rows(view.rows(walk.rows()), view.columns, asked.fmt, headings=view.headings)
    if walk.next_cursor:
        click.echo(f"there is more; next page: --cursor {walk.next_cursor}", err=True)


@dataclass(slots=True)
class _Walk:
    """Fetches pages until the limit is reached; ``next_cursor`` continues after it."""

    reader: Reader
    question: Question
    asked: _Asked
    fields: tuple[str, ...]
    next_cursor: str | None = None

    def rows(self) -> Iterator[Row]:
        left = self.asked.limit or sys.maxsize
        self.next_cursor = self.asked.cursor
        while left > 0:
            page = self._page(min(left, _PAGE_ROWS))
            yield from page.rows
            left -= len(page.rows)
            self.next_cursor = page.next_cursor
            if page.next_cursor is None:
                return

    def _page(self, limit: int) -> Page:
        read, cursor, states = self.reader, self.next_cursor, self.asked.states
        if states:
            return read.latest_states(states, self.question, limit=limit, cursor=cursor, fields=self.fields)
        return read.page(self.question, limit=limit, cursor=cursor, fields=self.fields)


def load_catalogue(settings: Settings) -> Catalogue:
    """Read the catalogue of the settings, for the titles of events."""
    return Catalogue.load(settings.catalogue.files, retention_classes=settings.retention.classes)


def _print_details(reader: Reader, event_id: str, question: Question, fmt: str, settings: Settings) -> None:
    tenant = question.required("tenant")
    details = reader.details(event_id, tenant=tenant.value if tenant else None)
    if not details:
        click.echo(f"there is no event {event_id}: never stored, or past its retention", err=True)
        sys.exit(1)
    catalogue = load_catalogue(settings)
    titles = [catalogue.title(d.event["event_code"], d.event) for d in details]
    if fmt != "table":
        rows = [{"title": t, **asdict(d)} for t, d in zip(titles, details, strict=True)]
        print_rows(rows, ["title", "event", "payload", "actor", "conflict"], fmt)
        return
    for title, detail in zip(titles, details, strict=True):
        _print_detail(title, detail)
    if len(details) > 1:
        _print_deliveries(details)


def _print_detail(title: str, detail: Detail) -> None:
    click.echo(escape_text(title))
    _print_fields("event", detail.event)
    bodies = detail.payload or {}
    _print_fields("bodies", {name: bodies[name] for name in bodies if name.startswith("api_")})
    _print_fields("actor now", detail.actor or {})
    if detail.actor and (detail.actor["deleted"] or detail.actor["status"] in ("deactivated", "deleted")):
        state = "deleted" if detail.actor["deleted"] else detail.actor["status"]
        click.echo(f"\n  note: the actor is {state} and no longer part of the organisation")


def _print_deliveries(details: Sequence[Detail]) -> None:
    click.echo(f"\n  note: delivered {len(details)} times under this id")
    if any(detail.conflict for detail in details):
        click.echo("  note: what was sent differs between these deliveries")


def _is_foreign(name: str, row: Row) -> bool:
    """Return whether a field belongs to a block that this kind of record does not have, and holds nothing."""
    kind = next((k for k, prefix in _BLOCKS.items() if name.startswith(prefix)), row["record_kind"])
    return bool(kind != row["record_kind"]) and not row[name]


def _print_fields(heading: str, row: Row) -> None:
    shown = {name: cell_text(value) for name, value in row.items() if value not in _NOTHING or value is False}
    if row.get("record_kind"):
        shown = {n: t for n, t in shown.items() if not _is_foreign(n, row)}
    if shown:
        click.echo(f"\n{heading}")
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        click.echo(f"  {name:<{width}}  {escape_text(text)}")
