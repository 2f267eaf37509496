"""``auditstream catalogue``: which event codes there are."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from auditstream.output import format_option, print_rows
from auditstream.settings import Settings, load_settings
from schemas.catalogue import Catalogue, CatalogueEntry, reference_page
from schemas.errors import CatalogueError

_LISTED = ("code", "category", "crud", "record_kind", "object_type", "retention_class", "severity", "title")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WRONG_SETTINGS = 2


def load_catalogue(settings: Settings) -> Catalogue:
    """Read the catalogue that the settings name; end with exit code 2 when one of its files is wrong."""
    try:
        return Catalogue.load(settings.catalogue.files, retention_classes=settings.retention.classes)
    except CatalogueError as error:
        click.echo(str(error), err=True)
        sys.exit(_WRONG_SETTINGS)


@click.group(
    epilog="""\b
Examples:
  auditstream catalogue list 'campaign.*'
  auditstream catalogue show campaign.activate
  auditstream catalogue check our-events.toml"""
)
def catalogue() -> None:
    """Look at the event codes that ship and those of your own files."""


@catalogue.command(
    "list",
    epilog="""\b
Examples:
  auditstream catalogue list --kind task
  auditstream catalogue list 'loyalty_*' --category activate --format csv""",
)
@click.argument("pattern", default="*")
@click.option("--kind", "record_kind", help="Only codes of this record kind, for example task.")
@click.option("--category", help="Only codes of this category, for example delete.")
@format_option
def list_codes(pattern: str, record_kind: str | None, category: str | None, fmt: str) -> None:
    """List event codes; * in PATTERN stands for anything."""
    wanted = {"record_kind": record_kind, "category": category}
    entries = (e for e in load_catalogue(load_settings()) if _matches(e, pattern, wanted))
    print_rows((e.as_row() for e in entries), _LISTED, fmt)


def _matches(entry: CatalogueEntry, pattern: str, wanted: Mapping[str, str | None]) -> bool:
    named = all(value is None or getattr(entry, key) == value for key, value in wanted.items())
    return named and fnmatchcase(entry.code, pattern)


@catalogue.command(
    epilog="""\b
Examples:
  auditstream catalogue show customer.anonymize
  auditstream catalogue show task.vouchers.import --format json"""
)
@click.argument("code")
@format_option
def show(code: str, fmt: str) -> None:
    """Show all that is known about one event CODE, and where it is defined."""
    known = load_catalogue(load_settings())
    entry = known.get(code)
    if entry is None:
        near = ", ".join(difflib.get_close_matches(code, known.codes, 3))
        click.echo(f"no event code {code!r}" + (f"; near it: {near}" if near else ""), err=True)
        sys.exit(1)
    row: dict[str, Any] = {**entry.as_row(), "defined_at": entry.place}
    if fmt == "table":
        print_rows(({"field": k, "value": v} for k, v in row.items()), ("field", "value"), fmt)
    else:
        print_rows([row], tuple(row), fmt)


@catalogue.command(
    epilog="""\b
Example:
  auditstream catalogue check our-events.toml"""
)
@click.argument("files", nargs=-1, required=True, type=_FILE)
def check(files: tuple[Path, ...]) -> None:
    """Check catalogue FILES beside the codes that ship; every problem is told at once.

    Exit codes: 0 all is well, 1 problems were found.
    """
    classes = load_settings().retention.classes
    try:
        known = Catalogue.load(files, retention_classes=classes)
    except CatalogueError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    added = len(known) - len(Catalogue.load())
    click.echo(f"{added} codes, all well; {len(known)} with those that ship")


@catalogue.command(
    epilog="""\b
Example:
  auditstream catalogue docs --output docs/events.md"""
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead.")
def docs(output: Path | None) -> None:
    """Print the reference page of all event codes as Markdown."""
    page = reference_page(load_catalogue(load_settings()))
    if output is None:
        click.echo(page, nl=False)
    else:
        output.write_text(page, encoding="utf-8", newline="\n")
