"""Which writer writes which format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version

from query.exports.columns import ExportColumn
from query.exports.parquet import ParquetWriter
from query.exports.request import Format
from query.exports.text_files import CsvWriter, NdjsonWriter
from query.exports.workbook import XlsxWriter
from query.exports.writing import DigestedFile, RowWriter

#: The distribution that writes a format.
_WRITTEN_BY: Mapping[Format, str] = {"xlsx": "xlsxwriter", "ndjson": "orjson", "parquet": "pyarrow"}


@contextmanager
def open_writer(
    name: Format, file: DigestedFile, columns: Sequence[ExportColumn], *, bom: bool = False
) -> Iterator[RowWriter]:
    """Open the writer of a format, and close it.

    Args:
        name: The format.
        file: Where it writes.
        columns: The columns, in order.
        bom: Begin a CSV with a byte order mark.

    Raises:
        InvalidExport: The format cannot hold the columns.
    """
    writer = _writer(name, file, columns, bom)
    try:
        yield writer
    finally:
        writer.close()


def versions(name: Format) -> dict[str, str]:
    """Return the versions of what writes a format, by distribution."""
    library = _WRITTEN_BY.get(name)
    return {d: version(d) for d in ("auditstream", library) if d}


def _writer(name: Format, file: DigestedFile, columns: Sequence[ExportColumn], bom: bool) -> RowWriter:
    match name:
        case "csv":
            return CsvWriter(file, columns, bom=bom)
        case "xlsx":
            return XlsxWriter(file, columns)
        case "ndjson":
            return NdjsonWriter(file, columns)
        case "parquet":
            return ParquetWriter(file, columns)
