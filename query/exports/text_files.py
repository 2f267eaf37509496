"""CSV and NDJSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from query.exports.columns import ExportColumn
from query.exports.values import finite, guarded, moment_text, nested_text
from query.exports.writing import DigestedFile
from query.fields import Row

_BOM = b"\xef\xbb\xbf"


class CsvWriter:
    """Writes CSV as RFC 4180 has it, UTF-8, with headings. See ``query.exports.writing.RowWriter``.

    Every text is quoted, so that a program that splits at another character does not find a cell inside a text, and
    what it would take for a formula has one ``'`` in front.
    """

    cells_changed = 0

    def __init__(self, file: DigestedFile, columns: Sequence[ExportColumn], *, bom: bool = False) -> None:
        """Write the headings.

        Args:
            file: Where to write.
            columns: The columns, in order.
            bom: Begin with a byte order mark.
        """
        self._file, self._columns = file, columns
        if bom:
            file.write(_BOM)
        self._put([[guarded(c.heading) for c in columns]])

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows."""
        self._put([[_cell(column, row) for column in self._columns] for row in rows])

    def finish(self, facts: Mapping[str, str]) -> None:
        """Do nothing: a CSV has no place for facts, and a reader would take them for rows."""

    def close(self) -> None:
        """Do nothing: the writer holds nothing."""

    def _put(self, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
        self._file.write(text.getvalue().encode())


class NdjsonWriter:
    """Writes one JSON object a line; lists and maps stay what they are. See ``query.exports.writing.RowWriter``."""

    cells_changed = 0

    def __init__(self, file: DigestedFile, columns: Sequence[ExportColumn]) -> None:
        """Write to a file; each line has the columns in order."""
        self._file, self._columns = file, columns

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows."""
        lines = [orjson.dumps({c.name: _json_value(c, row) for c in self._columns}) for row in rows]
        if lines:
            self._file.write(b"\n".join(lines) + b"\n")

    def finish(self, facts: Mapping[str, str]) -> None:
        """Do nothing: a reader would take facts for a row."""

    def close(self) -> None:
        """Do nothing: the writer holds nothing."""


def _cell(column: ExportColumn, row: Row) -> object:
    match column.value(row):
        case None:
            return ""
        case datetime() as moment:
            return moment_text(moment, column.zone)
        case bool() as flag:
            return "true" if flag else "false"
        case int() | float() as number:
            return finite(number)
        case str() as text:
            return guarded(text)
        case value:
            return nested_text(value)


def _json_value(column: ExportColumn, row: Row) -> object:
    value = column.value(row)
    return moment_text(value, column.zone, "T") if isinstance(value, datetime) else finite(value)
