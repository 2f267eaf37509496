"""Parquet: typed columns, lists and maps included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from query.exports.columns import ExportColumn
from query.exports.writing import DigestedFile
from query.fields import Row

#: Bytes of rows in memory that are written as one row group: small ones read slowly, large ones cost memory.
_GROUP_BYTES = 16 << 20


class ParquetWriter:
    """Writes Parquet with zstd. See ``query.exports.writing.RowWriter``.

    Times are timestamps in microseconds with the zone of the export; addresses and ids are text.
    """

    cells_changed = 0

    def __init__(self, file: DigestedFile, columns: Sequence[ExportColumn]) -> None:
        """Start the file."""
        self._columns = columns
        fields = [pa.field(c.name, c.arrow, metadata={"description": c.doc}) for c in columns]
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._waiting: list[pa.Table] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Take rows; they are written when they make a row group."""
        values = [_array(column, rows) for column in self._columns]
        self._waiting.append(pa.Table.from_arrays(values, schema=self._schema))
        if sum(table.nbytes for table in self._waiting) >= _GROUP_BYTES:
            self._write_group()

    def finish(self, facts: Mapping[str, str]) -> None:
        """Write what waits, the facts as metadata of the file, and its end."""
        self._write_group()
        self._writer.add_key_value_metadata({f"auditstream.{name}": value for name, value in facts.items()})
        self._writer.close()

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting.clear()


def _array(column: ExportColumn, rows: Sequence[Row]) -> pa.Array:
    values = [column.value(row) for row in rows]
    if pa.types.is_map(column.arrow):
        values = [list(v.items()) if isinstance(v, Mapping) else v for v in values]
    return pa.array(values, column.arrow)
