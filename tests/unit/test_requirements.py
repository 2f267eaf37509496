"""The table of requirements: complete, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: How many behaviours each source has; they are numbered from 1.
COUNTS = {"AJ": 26, "CL": 19, "VO": 31, "BR": 31, "AT": 23, "X": 15}
EXPECTED = [f"{source}-{number:02d}" for source, count in COUNTS.items() for number in range(1, count + 1)]
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (ROOT / "docs" / "requirements.md").read_text("utf-8").splitlines()
    if re.match(r"\| [A-Z]+-\d", line)
]


@cache
def _tests_of(path: str) -> frozenset[str]:
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    functions = (node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.FunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def test_every_behaviour_is_listed_once_and_in_order() -> None:
    assert [row[0] for row in ROWS] == EXPECTED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_behaviour_says_what_where_and_by_which_test(row: list[str]) -> None:
    assert len(row) == 4
    _, behaviour, served, shown = row
    assert behaviour
    assert served
    if served == "planned":
        assert shown == "planned"
    if shown != "planned":
        path, separator, name = shown.strip("`").partition("::")
        assert separator, f"expected path::test, found {shown}"
        assert name in _tests_of(path), f"there is no {shown}"
