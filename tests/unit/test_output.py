"""Rows in every format: whole for machines, harmless for terminals and spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import click
import pytest
from click.testing import CliRunner

from auditstream.output import FORMATS, escape_text, format_option, print_rows, table_cell

ODD = [
    "\x1b[31m",
    "\u202eevil",
    "a\nb",
    "\x9b1m",
    "\u200b",
    "\u2028",
    "\x7f",
    "a\tb",
    "\U000e0041",
    "\ufeff",
    "\r\n",
    "\0",
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(rows: list[dict[str, object]], columns: list[str], fmt: str, out: io.StringIO | None = None) -> str:
    stream = out or io.StringIO()
    print_rows(rows, columns, fmt, out=stream)
    return stream.getvalue()


def test_json_and_ndjson_keep_every_value() -> None:
    moment = datetime(2026, 6, 15, 12, 0, 0, 1, tzinfo=UTC)
    row = {
        "t": moment,
        "i": -7,
        "n": None,
        "l": [1, {"x": "ä"}],
        "b": b"\x00\xff",
        "u": UUID(int=1),
        "s": "\u202e\x1b😀",
        "f": True,
    }
    plain = {**row, "t": "2026-06-15T12:00:00.000001Z", "b": "AP8=", "u": str(UUID(int=1))}
    assert json.loads(printed([row, row], list(row), "json")) == [plain, plain]
    assert [json.loads(line) for line in printed([row, row], list(row), "ndjson").splitlines()] == [plain, plain]
    assert json.loads(printed([], ["a"], "json")) == []
    assert printed([], ["a"], "ndjson") == ""


@pytest.mark.parametrize("fmt", ["table", "json", "ndjson"])
@pytest.mark.parametrize("text", ODD)
def test_no_control_or_bidi_character_reaches_the_output(fmt: str, text: str) -> None:
    shown = printed([{"a": text}], ["a"], fmt)
    assert not any(
        c in shown.replace("\n", "")
        for c in text
        if c != "\n" and not (c.isascii() and c.isprintable()) and c not in "evil"
    )
    assert all(c.isprintable() for line in shown.split("\n") for c in line)


@pytest.mark.parametrize("text", ODD)
def test_csv_keeps_every_character_in_a_pipe_and_shows_escapes_on_a_terminal(text: str) -> None:
    piped = printed([{"a": "x" + text, "b": 1}], ["a", "b"], "csv")
    assert list(csv.reader(io.StringIO(piped, newline=""))) == [["a", "b"], ["x" + text, "1"]]
    shown = printed([{"a": "x" + text, "b": 1}], ["a", "b"], "csv", Terminal())
    assert all(c.isprintable() for c in shown.replace("\r\n", ""))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "\uff1d1", "'x", "''"])
def test_csv_guards_text_that_a_spreadsheet_would_compute(text: str) -> None:
    cell = list(csv.reader(io.StringIO(printed([{"a": text}], ["a"], "csv"), newline="")))[1][0]
    assert cell == f"'{text}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-1, "-1"), (-1.5, "-1.5"), ("a=1", "a=1"), ("1-2", "1-2"), ("", ""), (None, ""), (True, "true")],
)
def test_csv_leaves_numbers_and_plain_text_alone(value: object, shown: str) -> None:
    piped = printed([{"a": value, "b": "x"}], ["a", "b"], "csv")
    assert list(csv.reader(io.StringIO(piped, newline="")))[1] == [shown, "x"]


def test_a_table_cuts_long_cells_and_nothing_else_does() -> None:
    row: dict[str, object] = {"a": "x" * 500}
    assert "x" * 59 + "…" in printed([row], ["a"], "table")
    for fmt in FORMATS[1:]:
        assert "x" * 500 in printed([row], ["a"], fmt)
    assert table_cell("\x1b" * 3, 2) == "\\x1b…"


def test_a_table_never_reads_text_as_markup() -> None:
    assert "[bold]:smile:[/x]" in printed([{"a": "[bold]:smile:[/x]"}], ["a"], "table")


def test_rows_are_printed_as_they_come() -> None:
    out = io.StringIO()
    seen = []

    def rows() -> Iterator[dict[str, object]]:
        for i in range(3):
            seen.append(out.getvalue().count("\n"))
            yield {"a": i}

    print_rows(rows(), ["a"], "ndjson", out=out)
    assert seen == [0, 1, 2]


def test_joiners_and_other_scripts_stay_readable() -> None:
    text = "👩\u200d🚀 नमस्ते\u200cदुनिया שלום"
    assert escape_text(text) == text


def test_the_option_is_ndjson_in_a_pipe_and_refuses_other_names() -> None:
    @click.command()
    @format_option
    def show(fmt: str) -> None:
        click.echo(fmt)

    assert CliRunner().invoke(show, []).output == "ndjson\n"
    assert CliRunner().invoke(show, ["--format", "csv"]).output == "csv\n"
    assert CliRunner().invoke(show, ["--format", "xml"]).exit_code == 2
