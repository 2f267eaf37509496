"""XLSX: a real workbook with typed dates, frozen headings and filters, written row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from query.exports.columns import ExportColumn
from query.exports.errors import InvalidExport
from query.exports.values import finite, looks_like_formula, moment_text, nested_text
from query.exports.writing import DigestedFile
from query.fields import Row

#: Limits of the format (Microsoft, "Excel specifications and limits").
SHEET_ROWS = 1_048_576
CELL_CHARACTERS = 32_767
SHEET_COLUMNS = 16_384
#: Numbers are stored as binary64: whole numbers beyond are not exact.
_EXACT = 2**53
_FIRST_YEAR = 1900
_DATE_FORMAT = "yyyy-mm-dd hh:mm:ss.000"
_DATE_WIDTH, _WIDTH = 24, 18


@dataclass(frozen=True, slots=True)
class _SheetColumn:
    """One column of a sheet; a column of times becomes two of them."""

    heading: str
    value: Callable[[Row], object]
    width: int


class _PlainSheet(Worksheet):  # type: ignore[misc] # the library has no types
    """A sheet without rich text, which can be given up."""

    def discard(self) -> None:
        """Close the file in which its rows wait. Idempotent."""
        self.row_data_fh.close()

    def _xml_rich_inline_string(self, string: str, attributes: Sequence[Any] = ()) -> None:
        # The library copies a text that begins with <r> and ends with </r> into the file as it is: with the texts of
        # strangers that is an injection of markup.
        self._xml_inline_string(string, True, list(attributes))  # noqa: FBT003 - the library names it so


class XlsxWriter:
    """Writes a workbook of one or more sheets of events and a sheet about them. See ``query.exports.writing.RowWriter``.

    Times are dates of the zone in one column (their fraction is shown to the millisecond), and in the next one texts
    with microseconds and the offset from UTC. Texts are cells of type text: none is a formula, and those that would
    become one by editing have the quote prefix. Control characters are escaped as the format has it (``_x001B_``).
    """

    def __init__(self, file: DigestedFile, columns: Sequence[ExportColumn], *, sheet_rows: int = SHEET_ROWS) -> None:
        """Start the first sheet.

        Args:
            file: Where the workbook goes when it is finished.
            columns: The columns, in order.
            sheet_rows: Rows of one sheet, its heading included; more rows go on in a further sheet.

        Raises:
            InvalidExport: More columns than a sheet can have.
        """
        self._columns = [c for column in columns for c in _sheet_columns(column)]
        if len(self._columns) > SHEET_COLUMNS:
            raise InvalidExport(f"a sheet has at most {SHEET_COLUMNS} columns; choose fewer, or csv")
        self._sheet_rows, self._rows, self._sheets, self.cells_changed = sheet_rows, 0, 0, 0
        # The rows wait in files, not in memory; a directory of our own goes away with all of them after an error too.
        self._directory = tempfile.TemporaryDirectory(prefix="auditstream-xlsx-")
        options = {"constant_memory": True, "tmpdir": self._directory.name, "use_zip64": True}
        self._book = Workbook(file, options)
        self._bold = self._book.add_format({"bold": True})
        self._date = self._book.add_format({"num_format": _DATE_FORMAT})
        self._quoted = self._book.add_format({"quote_prefix": True})
        self._sheet = self._next_sheet()

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows, in further sheets where one is full."""
        for row in rows:
            if self._rows + 1 == self._sheet_rows:
                self._complete_sheet()
                self._sheet = self._next_sheet()
            self._rows += 1
            for number, column in enumerate(self._columns):
                self._put(self._rows, number, column.value(row))

    def finish(self, facts: Mapping[str, str]) -> None:
        """Write the sheet about the rows and the workbook."""
        self._complete_sheet()
        about = self._book.add_worksheet("about", worksheet_class=_PlainSheet)
        about.set_column(0, 0, _DATE_WIDTH)
        about.set_column(1, 1, 100)
        for number, (name, value) in enumerate(facts.items()):
            about.write_string(number, 0, name, self._bold)
            text = _cut(value)
            about.write_string(number, 1, text, self._text_format(text))
        self._book.close()

    def close(self) -> None:
        """Remove the files in which rows waited."""
        for sheet in self._book.worksheets():
            sheet.discard()
        self._directory.cleanup()

    def _next_sheet(self) -> _PlainSheet:
        self._sheets, self._rows = self._sheets + 1, 0
        name = "events" if self._sheets == 1 else f"events {self._sheets}"
        sheet: _PlainSheet = self._book.add_worksheet(name, worksheet_class=_PlainSheet)
        sheet.freeze_panes(1, 0)
        for number, column in enumerate(self._columns):
            sheet.set_column(number, number, column.width)
            sheet.write_string(0, number, column.heading, self._bold)
        return sheet

    def _complete_sheet(self) -> None:
        self._sheet.autofilter(0, 0, self._rows, len(self._columns) - 1)

    def _put(self, row: int, number: int, value: object) -> None:
        match value:
            case None | "":
                return
            case bool():
                self._sheet.write_boolean(row, number, value)
            case datetime():
                self._sheet.write_datetime(row, number, value, self._date)
            case int() | float() if _is_exact(value):
                self._sheet.write_number(row, number, value)
            case str():
                self._text(row, number, value)
            case int() | float():
                self._text(row, number, str(value))
            case _:
                self._text(row, number, nested_text(value))

    def _text(self, row: int, number: int, text: str) -> None:
        fitting = _cut(text)
        self.cells_changed += fitting is not text
        self._sheet.write_string(row, number, fitting, self._text_format(fitting))

    def _text_format(self, text: str) -> Format | None:
        return self._quoted if looks_like_formula(text) else None


def _sheet_columns(column: ExportColumn) -> Iterator[_SheetColumn]:
    if column.kind != "moment":
        yield _SheetColumn(column.heading, column.value, _WIDTH)
        return

    def local(row: Row) -> object:
        moment = column.value(row)
        if not isinstance(moment, datetime):
            return None
        shown = moment.astimezone(column.zone).replace(tzinfo=None)
        return shown if shown.year >= _FIRST_YEAR else moment_text(moment, column.zone)

    def exact(row: Row) -> object:
        moment = column.value(row)
        return moment_text(moment, column.zone) if isinstance(moment, datetime) else None

    yield _SheetColumn(column.heading, local, _DATE_WIDTH)
    yield _SheetColumn(f"{column.name} with UTC offset", exact, _DATE_WIDTH + 8)


def _is_exact(value: float) -> bool:
    return finite(value) is value and (isinstance(value, float) or abs(value) <= _EXACT)


def _units(text: str) -> int:
    # The format counts UTF-16 code units.
    return len(text) if len(text) * 2 <= CELL_CHARACTERS else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str) -> str:
    """Return the text itself if a cell holds it, else its beginning with a note of its length."""
    if _units(text) <= CELL_CHARACTERS:
        return text
    note = f" … [cut; the whole text has {len(text)} characters]"
    units = text.encode("utf-16-le", "surrogatepass")[: (CELL_CHARACTERS - len(note)) * 2]
    return units.decode("utf-16-le", "ignore") + note
