"""``auditstream export``: events into files, with a manifest beside each; past exports, and the same one again."""

from __future__ import annotations

import getpass
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from auditstream.commands.query import load_catalogue
from auditstream.event_view import EventView
from auditstream.export_trail import export_trail
from auditstream.filter_options import Filters, filter_options, reported_errors
from auditstream.logs import configure_logging
from auditstream.output import escape_text, print_rows
from auditstream.settings import Settings, load_settings
from query import Question, open_reader
from query.collector import collect_rarely
from query.exports import FORMAT_NAMES, Derived, ExportJobs, ExportRequest, Job, Requester, format_of, ignore_progress
from query.exports.manifest import Contents, to_bytes
from query.fields import Row
from query.question import UTC_ZONE, SortName

_STANDARD_OUTPUT = "-"
_DERIVED = {
    "title": "What was done, in words.",
    "actor": "Who did it: name, login or id.",
    "target": "The main object.",
    "from": "Address and country.",
}
_LISTED = ("id", "created", "state", "format", "kind", "rows", "truncated", "downloads", "expires", "by", "filter")

_EPILOG = r"""
Examples:

\b
  auditstream export --since 30d --tenant acme --format xlsx --output january.xlsx
  auditstream export 'kind:auth outcome:failure' --full --format parquet --output logins/
  auditstream export --since 24h --columns time,actor,title,outcome --output - > today.csv
  auditstream export --list
  auditstream export --again 7c9e6679-7425-40de-944b-e07fc1f90ae7 --output -
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Options of the command that are no filters."""

    fmt: str | None
    output: str | None
    full: bool
    columns: str
    sort: SortName
    descending: bool
    bom: bool
    purpose: str
    listed: bool
    again: str | None

    @property
    def format(self) -> str:
        """The format that was named, or that the name of the file means."""
        ending = Path(self.output or "").suffix[1:].lower()
        return self.fmt or (ending if ending in FORMAT_NAMES else "csv")


@click.command(epilog=_EPILOG)
@click.option(
    "--format",
    "fmt",
    type=click.Choice(list(FORMAT_NAMES), case_sensitive=False),
    help="Format of the file; xls gives xlsx.  [default: by the name of the file, else csv]",
)
@click.option(
    "--output",
    metavar="FILE|DIR|-",
    help="Where a copy goes; - for standard output.  [default: the file stays in export.storage]",
)
@click.option("--full", is_flag=True, help="All rows, instead of the newest ones (export.interactive_rows).")
@click.option(
    "--columns", default="", metavar="NAME,…", help="Columns: fields, time, actor, title, target, from.  [default: all]"
)
@click.option("--sort", type=click.Choice(get_args(SortName)), default="time", show_default=True, help="Order.")
@click.option("--desc/--asc", "descending", default=True, help="Direction.  [default: desc, newest first]")
@click.option("--bom", is_flag=True, help="Begin a CSV with a byte order mark.")
@click.option("--purpose", default="", help="Why, for the manifest and the audit event.")
@click.option("--list", "listed", is_flag=True, help="List past exports, the newest first.")
@click.option("--again", metavar="ID", help="Make a past export again, with its parameters.")
@filter_options
def export(**given: Any) -> None:  # noqa: ANN401 - one value of its own type for each option
    """Export events into a file with a manifest beside it.

    EXPRESSION and the filters are those of `auditstream query`. Without --full the newest 20,000 rows are exported, and
    it is said when there are more. Rows, truncation and SHA-256 are printed on standard error.
    """
    filters = Filters.take(given)
    asked = _Asked(**given)
    if asked.listed and asked.again:
        raise click.UsageError("--list and --again exclude each other")
    settings = load_settings()
    configure_logging(settings.log)
    collect_rarely()
    with reported_errors():
        question = filters.question(sort=asked.sort, descending=asked.descending)
        with export_trail(settings, _tell) as trail:
            jobs = ExportJobs(settings.export, derived=screen_columns(settings), trail=trail)
            _run(jobs, question, asked, settings)


def screen_columns(settings: Settings) -> dict[str, Derived]:
    """Return the columns of the screen that are made of several fields, for exports."""
    catalogue = load_catalogue(settings)

    def derived(name: str, doc: str) -> Derived:
        view = EventView.of((name,), UTC_ZONE, catalogue)
        return Derived(view.fields, lambda row: str(next(iter(view.rows([row])))[name]), doc)

    return {name: derived(name, doc) for name, doc in _DERIVED.items()}


def _run(jobs: ExportJobs, question: Question, asked: _Asked, settings: Settings) -> None:
    jobs.expire()
    if asked.listed:
        print_rows([_line(job) for job in jobs.jobs()], _LISTED, "table" if sys.stdout.isatty() else "ndjson")
        return
    by = Requester(getpass.getuser(), name=getpass.getuser(), origin="command_line")
    # Connected first: an export that cannot begin leaves no record.
    with open_reader(settings.clickhouse) as reader:
        job = jobs.repeat(asked.again, by) if asked.again else jobs.request(_request(question, asked, by))
        with _progress(job, reader.count) as on_rows:
            job = jobs.run(job.id, reader, on_rows)
    _deliver(jobs, job, asked.output, by)
    _summarise(job)


def _request(question: Question, asked: _Asked, by: Requester) -> ExportRequest:
    columns = tuple(name.strip() for name in asked.columns.split(",") if name.strip())
    return ExportRequest(
        question, by, asked.format, full=asked.full, columns=columns, bom=asked.bom, purpose=asked.purpose
    )


def _deliver(jobs: ExportJobs, job: Job, output: str | None, by: Requester) -> None:
    if output is None:
        return
    try:
        with jobs.download(job.id, by) as download:
            if output == _STANDARD_OUTPUT:
                shutil.copyfileobj(download.file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
                return
            path = Path(output) / job.file_name if output.endswith("/") or Path(output).is_dir() else Path(output)
            if path.exists() and not path.is_file():
                # A device or a pipe must not be replaced by a file of its name, nor get one beside it.
                with path.open("wb") as pipe:
                    shutil.copyfileobj(download.file, pipe)
                return
            _place(path, lambda file: shutil.copyfileobj(download.file, file))
        manifest = to_bytes({**(job.manifest or {}), "file": path.name})
        _place(path.with_name(f"{path.name}.manifest.json"), lambda file: file.write(manifest))
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error}; export {job.id} is kept") from error
    _tell(str(path))


def _place(given: Path, fill: Callable[[Any], object]) -> None:
    """Write a file that is there whole or not at all; what a link points to is written, the link stays."""
    path = given.resolve()
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            fill(file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _progress(job: Job, count: Callable[[Question], int]) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ignore_progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        # The total of an export that will be cut is not worth a count.
        total = count(job.request.question) if job.request.full else None
        task = progress.add_task("exporting", total=total)
        yield lambda rows: progress.update(task, completed=rows)


def _summarise(job: Job) -> None:
    made = job.manifest or {}
    contents = Contents(**{name: made[name] for name in Contents.__slots__})
    if job.request.format == "xls":
        _tell("xls is written as xlsx, which replaced it")
    _tell(f"{contents.sentence}, {contents.bytes} bytes, {format_of(job.request.format)}")
    if contents.cells_changed:
        _tell(f"{contents.cells_changed} values are too long for a cell and cut; another format holds them whole")
    _tell(f"sha256 {contents.sha256}")
    _tell(f"export {job.id}, kept until {job.expires_at:%Y-%m-%d %H:%M} UTC")


def _line(job: Job) -> Row:
    made = job.manifest or {}
    asked = job.request.to_data()
    return {
        "id": job.id,
        "created": job.created_at,
        "state": job.state,
        "format": asked["format"],
        "kind": "full" if job.request.full else "interactive",
        "rows": made.get("rows"),
        "truncated": made.get("truncated"),
        "downloads": job.downloads,
        "expires": job.expires_at,
        "by": job.request.requester.name or job.request.requester.id,
        "filter": asked["filter"],
    }


def _tell(sentence: str) -> None:
    click.echo(escape_text(sentence), err=True)
