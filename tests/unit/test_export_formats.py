"""What the writers of exports write, read back by other libraries."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.utils.escape import unescape
from openpyxl.worksheet.worksheet import Worksheet

from query.errors import InvalidFilter
from query.exports import Derived, InvalidExport, format_of
from query.exports.columns import ExportColumn, columns_of
from query.exports.formats import open_writer
from query.exports.request import Format
from query.exports.workbook import CELL_CHARACTERS, XlsxWriter
from query.exports.writing import DigestedFile
from query.fields import event_fields

BERLIN = ZoneInfo("Europe/Berlin")
MOMENT = datetime(2026, 1, 31, 23, 30, 0, 123456, UTC)
Rows = Sequence[Mapping[str, Any]]

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\u00a0 +1",
    "\u200b=1",
    "\ufeff@x",
    "\uff1d1+1",
    "\x00-1",
    "'x",
)
HARMLESS = ("", "a=1", "Ann", "1-2", "(=1)", "/=", "مرحبا", "\u200f\u05e9\u05dc")


def written(name: Format, rows: Rows, columns: Sequence[ExportColumn], *, bom: bool = False) -> bytes:
    file = io.BytesIO()
    with open_writer(name, DigestedFile(file), columns, bom=bom) as writer:
        writer.write([dict(row) for row in rows])
        writer.finish({"filter": "tenant:acme"})
    return file.getvalue()


def texts(values: Sequence[str]) -> tuple[list[dict[str, Any]], tuple[ExportColumn, ...]]:
    return [{"message": value} for value in values], columns_of(["message"], BERLIN, {})


def book(content: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def sheet(content: bytes, name: str = "events") -> Worksheet:
    found = book(content)[name]
    assert isinstance(found, Worksheet)
    return found


def csv_rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_csv_cell_never_begins_a_formula_and_gives_its_text_back(text: str) -> None:
    cell = csv_rows(written("csv", *texts([text])))[1][0]
    assert cell == "'" + text


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_left_alone(text: str) -> None:
    rows, columns = texts([text])
    assert csv_rows(written("csv", rows, columns))[1] == [text]
    cell = sheet(written("xlsx", rows, columns)).cell(2, 1)
    assert (cell.value or "", cell.quotePrefix) == (text, False)


def test_every_text_of_a_csv_is_quoted_so_that_no_other_separator_opens_a_cell() -> None:
    content = written("csv", *texts(['a;=1+1\n=2,"x"']))
    assert content == b'"message"\r\n"a;=1+1\n=2,""x"""\r\n'


@pytest.mark.parametrize("text", FORMULAS)
def test_a_workbook_holds_what_looks_like_a_formula_as_quoted_text(text: str) -> None:
    cell = sheet(written("xlsx", *texts([text]))).cell(2, 1)
    assert (unescape(str(cell.value)), cell.data_type) == (text, "s")
    assert cell.quotePrefix is True


@pytest.mark.parametrize("text", ["\x1b[31m\x00", "_x000D_", "a\r\nb", "\ufffe\uffff", " both ends ", "</t>&<"])
def test_a_workbook_escapes_characters_that_xml_does_not_have(text: str) -> None:
    assert unescape(str(sheet(written("xlsx", *texts([text]))).cell(2, 1).value)) == text


@pytest.mark.parametrize("text", ["<r><t>x</t></r>", "<r></row><row><c/></r>", "<r>=1</r>"])
def test_markup_in_a_text_does_not_become_markup_of_the_sheet(text: str) -> None:
    rows, columns = texts([text, "next"])
    found = sheet(written("xlsx", rows, columns))
    assert [c.value for (c,) in found.iter_rows(min_row=2)] == [text, "next"]


def test_times_are_dates_of_the_zone_with_microseconds_and_offset_beside_them() -> None:
    columns = columns_of(["occurred_at"], BERLIN, {})
    found = sheet(written("xlsx", [{"occurred_at": MOMENT}], columns))
    assert [c.value for c in found[1]] == ["occurred_at (Europe/Berlin)", "occurred_at with UTC offset"]
    shown, exact = found[2]
    assert isinstance(shown.value, datetime)  # only a number with a date format is read as one
    assert abs(shown.value - datetime(2026, 2, 1, 0, 30, 0, 123456)).total_seconds() < 0.001  # noqa: DTZ001 - sheets know no zone
    assert exact.value == "2026-02-01 00:30:00.123456+01:00"
    assert (found.freeze_panes, found.auto_filter.ref) == ("A2", "A1:B2")


def test_a_local_time_that_happens_twice_is_told_apart_by_its_offset() -> None:
    rows = [{"occurred_at": datetime(2026, 10, 25, hour, 30, tzinfo=UTC)} for hour in (0, 1)]
    found = csv_rows(written("csv", rows, columns_of(["time"], BERLIN, {})))
    assert found == [
        ["time (Europe/Berlin)"],
        ["2026-10-25 02:30:00.000000+02:00"],
        ["2026-10-25 02:30:00.000000+01:00"],
    ]


def test_times_before_the_first_day_of_spreadsheets_stay_readable() -> None:
    rows = [
        {"occurred_at": datetime(1900, 1, 1, 0, 0, tzinfo=UTC)},
        {"occurred_at": datetime(2299, 12, 31, tzinfo=UTC)},
    ]
    found = sheet(written("xlsx", rows, columns_of(["occurred_at"], ZoneInfo("America/New_York"), {})))
    assert str(found.cell(2, 1).value).startswith("1899-12-31 19:0")
    last = found.cell(3, 1).value
    assert isinstance(last, date)
    assert last.year == 2299


def test_whole_numbers_beyond_the_precision_of_sheets_are_text() -> None:
    columns = columns_of(["producer_seq", "run_value_num", "api_truncated"], BERLIN, {})
    rows: list[dict[str, Any]] = [
        {"producer_seq": 2**53 + 1, "run_value_num": float("nan"), "api_truncated": True},
        {"producer_seq": 7, "run_value_num": 1.5, "api_truncated": False},
    ]
    found = sheet(written("xlsx", rows, columns))
    assert [c.value for c in found[2]] == ["9007199254740993", "nan", True]
    assert [c.value for c in found[3]] == [7, 1.5, False]
    lines = [orjson.loads(line) for line in written("ndjson", rows, columns).splitlines()]
    assert (lines[0]["producer_seq"], lines[0]["run_value_num"]) == (2**53 + 1, "nan")


@pytest.mark.parametrize("character", ["a", "😀"])
def test_a_text_too_long_for_a_cell_is_cut_and_says_so(character: str) -> None:
    rows, columns = texts([character * 40_000])
    file = io.BytesIO()
    with open_writer("xlsx", DigestedFile(file), columns) as writer:
        writer.write(rows)
        writer.finish({})
        assert writer.cells_changed == 1
    value = str(sheet(file.getvalue()).cell(2, 1).value)
    assert len(value.encode("utf-16-le")) // 2 <= CELL_CHARACTERS
    assert value.endswith("[cut; the whole text has 40000 characters]")


def test_rows_beyond_a_sheet_go_on_in_further_sheets() -> None:
    rows, columns = texts([str(number) for number in range(7)])
    file = io.BytesIO()
    writer = XlsxWriter(DigestedFile(file), columns, sheet_rows=4)
    writer.write(rows)
    writer.finish({"rows": "7 rows, all that match"})
    writer.close()
    found = book(file.getvalue())
    assert found.sheetnames == ["events", "events 2", "events 3", "about"]
    names = found.sheetnames[:3]
    assert [c.value for name in names for (c,) in found[name].iter_rows(min_row=2)] == list("0123456")
    assert [(found[n].auto_filter.ref, found[n].freeze_panes) for n in names] == [
        ("A1:A4", "A2"),
        ("A1:A4", "A2"),
        ("A1:A2", "A2"),
    ]
    assert [[c.value for c in row] for row in found["about"]] == [["rows", "7 rows, all that match"]]


def test_an_abandoned_workbook_leaves_no_files_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rows, columns = texts(["a"])
    with open_writer("xlsx", DigestedFile(io.BytesIO()), columns) as writer:
        writer.write(rows)
        assert list(tmp_path.rglob("*"))
    assert list(tmp_path.iterdir()) == []


def test_lists_and_maps_are_json_in_tables_and_native_elsewhere() -> None:
    columns = columns_of(["details", "targets", "actor_roles"], BERLIN, {})
    targets = [{"type": "t", "id": "1", "name": "ن", "role": "target"}]
    rows: list[dict[str, Any]] = [{"details": {"a": "b"}, "targets": targets, "actor_roles": ["x", "y"]}]
    assert csv_rows(written("csv", rows, columns))[1] == [
        '{"a":"b"}',
        '[{"type":"t","id":"1","name":"ن","role":"target"}]',
        '["x","y"]',
    ]
    assert sheet(written("xlsx", rows, columns)).cell(2, 3).value == '["x","y"]'
    assert orjson.loads(written("ndjson", rows, columns)) == rows[0]
    table = pq.read_table(io.BytesIO(written("parquet", rows, columns)))
    assert table.to_pylist(maps_as_pydicts="strict") == rows


def test_parquet_has_types_and_says_what_it_holds() -> None:
    columns = columns_of(["occurred_at", "ip", "event_id", "duration_ms", "api_truncated", "geo_lat"], BERLIN, {})
    row = {
        "occurred_at": MOMENT,
        "ip": "203.0.113.7",
        "event_id": "01983f2e-6c1b-7a54-9d0e-0d5b8a1c2f3e",
        "duration_ms": None,
        "api_truncated": False,
        "geo_lat": 1.5,
    }
    content = written("parquet", [row], columns)
    table = pq.read_table(io.BytesIO(content))
    assert table.schema.field("occurred_at").type == pa.timestamp("us", tz="Europe/Berlin")
    assert table.schema.field("ip").type == pa.string()
    assert table.schema.field("duration_ms").type == pa.int64()
    assert table.to_pylist() == [row]
    assert pq.read_metadata(io.BytesIO(content)).metadata[b"auditstream.filter"] == b"tenant:acme"


@pytest.mark.parametrize("name", ["csv", "xlsx", "ndjson", "parquet"])
def test_every_column_can_be_written_by_every_format_also_without_rows(name: Format) -> None:
    columns = columns_of([], BERLIN, {})
    assert [c.name for c in columns] == list(event_fields())
    content = written(name, [], columns)
    if name == "csv":
        assert csv_rows(content) == [[c.heading for c in columns]]
    elif name == "parquet":
        assert pq.read_schema(io.BytesIO(content)).names == [c.name for c in columns]
    elif name == "xlsx":
        assert sheet(content).max_row == 1
    else:
        assert content == b""


def test_a_byte_order_mark_comes_when_it_is_asked_for() -> None:
    rows, columns = texts(["ä"])
    assert written("csv", rows, columns, bom=True) == b"\xef\xbb\xbf" + written("csv", rows, columns)


def test_the_digest_is_of_all_that_was_written() -> None:
    file = DigestedFile(io.BytesIO())
    file.write(b"a")
    file.write(b"bc")
    assert file.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file.bytes == file.tell() == 3
    with pytest.raises(OSError, match="front to back"):
        file.seek(0)


def test_derived_columns_come_first_and_unknown_ones_are_refused_with_the_nearest() -> None:
    derived = {"title": Derived(("event_code",), lambda row: row["event_code"].upper(), "Title.")}
    columns = columns_of([], BERLIN, derived)
    assert [c.name for c in columns][:2] == ["title", next(iter(event_fields()))]
    assert columns[0].value({"event_code": "a.b"}) == "A.B"
    with pytest.raises(InvalidFilter, match='did you mean "actor_name"'):
        columns_of(["actor_nme"], BERLIN, derived)


def test_the_old_name_of_a_workbook_gives_the_new_format_and_others_are_refused() -> None:
    assert (format_of("XLS"), format_of("csv")) == ("xlsx", "csv")
    with pytest.raises(InvalidExport, match='did you mean "parquet"'):
        format_of("parket")
