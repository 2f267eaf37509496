"""How rows are printed: one option and one function, the same for every command."""

from __future__ import annotations

import base64
import csv
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, TextIO, TypeVar
from uuid import UUID

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Mapping[str, object]
Command = TypeVar("Command", bound=Callable[..., Any])
Format = Literal["table", "json", "csv", "ndjson"]

FORMATS: tuple[Format, ...] = ("table", "json", "csv", "ndjson")

#: Characters of a table cell that are shown; the rest is cut and marked with an ellipsis.
CELL_CHARACTERS = 60
#: Width of a table that does not go to a terminal, so that nothing is squeezed.
_UNLIMITED_WIDTH = 100_000
#: A spreadsheet takes a cell that begins with one of these for a formula (OWASP, "CSV Injection"), full-width forms
#: included. The quote itself is among them so that taking one leading quote away always gives the value back.
_FORMULA_STARTS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20'\t\r\n")
#: Joiners are format characters too, but Indic and Persian words and emoji need them.
_JOINERS = frozenset("\u200c\u200d")
#: Control, format (bidi overrides, zero width, tags), surrogate, line and paragraph separator.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def format_option(command: Command) -> Command:
    """Add ``--format table|json|csv|ndjson`` to a click command, passed as ``fmt``.

    Without the option it is ``table`` on a terminal and ``ndjson`` into a pipe or file.
    """
    option = click.option(
        "--format",
        "fmt",
        type=click.Choice(FORMATS),
        callback=_format_or_default,
        help="How rows are printed.  [default: table on a terminal, else ndjson]",
    )
    return option(command)


def _format_or_default(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
    del ctx, param
    return value or ("table" if sys.stdout.isatty() else "ndjson")


def print_rows(
    rows: Iterable[Row],
    columns: Sequence[str],
    fmt: str,
    *,
    headings: Mapping[str, str] | None = None,
    out: TextIO | None = None,
) -> None:
    r"""Print rows; csv, json and ndjson as they come, a table once all are there.

    json and ndjson keep every value (times as ISO 8601 with microseconds, bytes as base64); characters that could
    play tricks on a terminal are written as ``\u`` escapes, which reads back the same. csv follows RFC 4180, writes
    lists and maps as JSON, and puts a ``'`` before text that a spreadsheet would take for a formula (or that begins
    with ``'``). A table cuts long cells and shows such characters as escapes.

    Args:
        rows: Mappings from column to value; a missing column counts as None.
        columns: Columns to print, in order.
        fmt: One of FORMATS.
        headings: Heading of a column in a table where it is not the column itself.
        out: Where to print, standard output when None.
    """
    stream = out or sys.stdout
    if fmt == "table":
        _print_table(rows, columns, headings or {}, stream)
        return
    lines = {"json": _json_lines, "ndjson": _ndjson_lines, "csv": _csv_lines}[fmt](rows, columns, stream)
    for line in lines:
        stream.write(line)
    stream.flush()


def escape_text(text: str) -> str:
    """Show control, bidi and invisible characters as escapes, so that text cannot play tricks on a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if _is_unsafe(c) else c for c in text)


def cell_text(value: object) -> str:
    """Return the whole text of a value for a table or csv cell, not escaped; None is empty."""
    if value is None:
        return ""
    plain = plain_value(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def table_cell(value: object, characters: int = CELL_CHARACTERS) -> str:
    """Return the text of a value for a terminal: escaped, and cut to a number of characters."""
    text = cell_text(value)
    cut = text if len(text) <= characters else text[: characters - 1] + "…"
    return escape_text(cut)


def plain_value(value: object) -> object:
    """Return a value as JSON knows it: times as ISO 8601, bytes as base64, ids and addresses as text."""
    match value:
        case datetime() | date():
            return _time_text(value)
        case bytes():
            return base64.b64encode(value).decode()
        case UUID() | IPv4Address() | IPv6Address():
            return str(value)
        case Mapping():
            return {str(k): plain_value(v) for k, v in value.items()}
        case list() | tuple():
            return [plain_value(v) for v in value]
    return value


def json_text(value: object) -> str:
    """Return a value as one line of JSON in which no unsafe character stands bare."""
    text = json.dumps(plain_value(value), ensure_ascii=False, separators=(",", ":"), default=str)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_json_escape(c) if _is_unsafe(c) else c for c in text)


def _time_text(value: date) -> str:
    if not isinstance(value, datetime):
        return value.isoformat()
    # The database hands out UTC, with or without saying so.
    moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE_CATEGORIES and character not in _JOINERS


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _picked(row: Row, columns: Sequence[str]) -> dict[str, object]:
    return {c: row.get(c) for c in columns}


def _ndjson_lines(rows: Iterable[Row], columns: Sequence[str], out: TextIO) -> Iterator[str]:
    del out
    for row in rows:
        yield json_text(_picked(row, columns)) + "\n"


def _json_lines(rows: Iterable[Row], columns: Sequence[str], out: TextIO) -> Iterator[str]:
    del out
    start = "["
    for row in rows:
        yield f"{start}\n{json_text(_picked(row, columns))}"
        start = ","
    yield "[]\n" if start == "[" else "\n]\n"


class _Echo:
    """A file whose ``write`` hands the text back, so that csv rows can be streamed."""

    def write(self, text: str) -> str:
        return text


def _csv_lines(rows: Iterable[Row], columns: Sequence[str], out: TextIO) -> Iterator[str]:
    # RFC 4180 line ends: with a bare \n, csv before Python 3.13 leaves a \r inside a cell unquoted.
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    # A terminal is nobody's data: there tricks are shown, into a pipe every character is kept.
    cell = _guarded_and_escaped if out.isatty() else _guarded
    yield str(writer.writerow(list(columns)))
    for row in rows:
        yield str(writer.writerow([cell(row.get(c)) for c in columns]))


def _guarded(value: object) -> str:
    text = cell_text(value)
    if isinstance(value, (int, float)) or not text:
        return text
    # A program may drop leading blanks before it looks for a formula.
    suspicious = text[0] in _FORMULA_STARTS or text.lstrip()[:1] in _FORMULA_STARTS
    return f"'{text}" if suspicious else text


def _guarded_and_escaped(value: object) -> str:
    return escape_text(_guarded(value))


def _print_table(rows: Iterable[Row], columns: Sequence[str], headings: Mapping[str, str], out: TextIO) -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(headings.get(column, column)), no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(Text(table_cell(row.get(c))) for c in columns))
    width = None if out.isatty() else _UNLIMITED_WIDTH
    Console(file=out, width=width, highlight=False, emoji=False).print(table)
