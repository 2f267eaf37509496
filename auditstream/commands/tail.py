"""``auditstream tail``: follow events as they arrive."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from threading import Event
from types import FrameType
from typing import Any

import click
from rich.cells import set_cell_size

from auditstream.commands.query import load_catalogue
from auditstream.event_view import TABLE_COLUMNS, EventView, all_fields
from auditstream.filter_options import Filters, filter_options, reported_errors
from auditstream.output import escape_text, format_option, print_rows, table_cell
from auditstream.settings import load_settings
from query import START, DatabaseUnreachable, Position, Question, Reader, open_reader
from query.arrivals import Arrivals
from query.fields import Row

#: Widths of the table's columns, in cells of the terminal: rows are printed before the next ones are known.
_WIDTHS = {"time": 32, "actor": 24, "title": 48, "target": 28, "from": 24, "outcome": 8}
_DEFAULT_WIDTH = 24
_MAX_WAIT_S = 10.0

_EPILOG = r"""
Examples:

\b
  auditstream tail --outcome failure --outcome denied
  auditstream tail --from-start --format ndjson 'action:campaign.*' | jq .title
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--from-start", is_flag=True, help="Begin with the oldest event there is, not with the next one to arrive."
)
@click.option("--position", help="Go on behind a position that an earlier tail printed.")
@click.option("--once", is_flag=True, help="End when all that has arrived is printed.")
@click.option(
    "--interval", type=click.FloatRange(min=0.05), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option(
    "--columns", default="", metavar="NAME,…", help="Columns to print: fields, time, actor, title, target, from."
)
@format_option
@filter_options
def tail(**given: Any) -> None:  # noqa: ANN401 - one value of its own type for each option
    """Follow events in the order of their arrival, without a gap; late ones too. Ctrl-C ends it.

    Filters are those of `auditstream query`. At the end the position is printed on standard error, to go on there.
    """
    filters = Filters.take(given)
    settings = load_settings()
    with reported_errors():
        question = filters.question()
        named = [name.strip() for name in given["columns"].split(",") if name.strip()]
        columns = named or (TABLE_COLUMNS if given["fmt"] == "table" else all_fields())
        view = EventView.of(columns, question.zone, load_catalogue(settings))
        start = Position.decode(given["position"]) if given["position"] else None
        with open_reader(settings.clickhouse) as reader:
            start = start or (START if given["from_start"] else reader.newest_position())
            follower = Follower(reader, question, view.fields, start, given["interval"], once=given["once"])
            with _stopped_by_signals(follower.stop):
                _print(view, follower, given["fmt"])
        click.echo(f"go on with: --position {follower.position.encode()}", err=True)


@dataclass(slots=True)
class Follower:
    """Yields events as they arrive, until it is stopped.

    Attributes:
        reader: Where to read.
        question: Which events.
        fields: Their fields.
        position: How far it has come. It moves when all events of a step were taken, so that whoever goes on from it
            may see some events again and misses none.
        interval_s: Seconds between looks when nothing further has arrived.
        once: End when everything that has arrived was yielded.
        stop: Set it to end.
    """

    reader: Reader
    question: Question
    fields: tuple[str, ...]
    position: Position
    interval_s: float
    once: bool = False
    stop: Event = field(default_factory=Event)

    def events(self) -> Iterator[Row]:
        """Yield events; what was printed so far is flushed before every wait."""
        wait_s = self.interval_s
        while not self.stop.is_set():
            step = self._step()
            if step is None:
                wait_s = min(wait_s * 2, _MAX_WAIT_S)
                self.stop.wait(wait_s)
                continue
            yield from step.rows
            # Only now: were it moved first, what a broken pipe did not take would be lost to whoever goes on.
            self.position, wait_s = step.position, self.interval_s
            sys.stdout.flush()
            if not step.caught_up:
                continue
            if self.once:
                return
            self.stop.wait(wait_s)

    def _step(self) -> Arrivals | None:
        try:
            return self.reader.arrivals(self.question, self.position, fields=self.fields)
        except DatabaseUnreachable as error:
            if self.once:
                raise
            click.echo(f"waiting: {escape_text(str(error))}", err=True)
            return None


def _print(view: EventView, follower: Follower, fmt: str) -> None:
    rows = view.rows(follower.events())
    if fmt == "table":
        _print_lines(view, rows)
    else:
        print_rows(rows, view.columns, fmt)


def _print_lines(view: EventView, rows: Iterable[Row]) -> None:
    headings = {column: view.headings.get(column, column) for column in view.columns}
    click.echo(_line(view, headings))
    for row in rows:
        click.echo(_line(view, row))


def _line(view: EventView, row: Row) -> str:
    cells = ((_WIDTHS.get(c, _DEFAULT_WIDTH), row[c]) for c in view.columns)
    return "  ".join(set_cell_size(table_cell(value, width), width) for width, value in cells).rstrip()


class _stopped_by_signals:  # noqa: N801 - used like a function in a with statement
    """Turns the first Ctrl-C or SIGTERM into a stop in order; a second Ctrl-C ends at once."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._stop.set()
        signal.signal(number, self._before[number])
