"""Any text comes back from every format, and none of them is a formula."""

from __future__ import annotations

import csv
import io

import openpyxl
import orjson
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from query.exports.columns import columns_of
from query.exports.formats import open_writer
from query.exports.request import Format
from query.exports.writing import DigestedFile
from query.question import UTC_ZONE

COLUMNS = columns_of(["message"], UTC_ZONE, {})
#: Strange beginnings are likelier than chance would have them.
TEXTS = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.builds("".join, st.lists(st.sampled_from(list("=+-@'\t\r\n \u200b\u00a0_x0D<r>/\"")), max_size=12)),
    ),
    max_size=10,
)


def written(name: Format, texts: list[str]) -> bytes:
    file = io.BytesIO()
    with open_writer(name, DigestedFile(file), COLUMNS) as writer:
        writer.write([{"message": text} for text in texts])
        writer.finish({})
    return file.getvalue()


@given(TEXTS)
@settings(deadline=None)
def test_any_text_comes_back_from_csv_after_one_quote_is_taken_away(texts: list[str]) -> None:
    found = [row[0] for row in csv.reader(io.StringIO(written("csv", texts).decode(), newline=""))][1:]
    assert [cell.removeprefix("'") for cell in found] == texts
    assert [cell for cell in found if cell.lstrip()[:1] in ("=", "+", "-", "@") or cell[:1] in ("\t", "\r", "\n")] == []


@given(TEXTS)
@settings(deadline=None, max_examples=40)
def test_any_text_comes_back_from_a_workbook_as_text(texts: list[str]) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(written("xlsx", texts)))["events"]
    cells = [sheet.cell(number, 1) for number in range(2, len(texts) + 2)]
    # XML reads every end of line as \n; the format escapes \r itself.
    assert [unescape(str(cell.value or "")) for cell in cells] == texts
    assert {cell.data_type for cell in cells} <= {"s", "n"}  # an empty cell is of type n
    assert [cell.value for cell in cells if cell.data_type == "n" and cell.value is not None] == []


@given(TEXTS)
@settings(deadline=None)
def test_any_text_comes_back_from_ndjson_and_parquet(texts: list[str]) -> None:
    lines = written("ndjson", texts).split(b"\n")[:-1]
    assert [orjson.loads(line)["message"] for line in lines] == texts
    assert pq.read_table(io.BytesIO(written("parquet", texts)))["message"].to_pylist() == texts
