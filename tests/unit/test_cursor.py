"""Cursors and positions: whole, of their own question, or refused in words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from query import InvalidCursor, Position
from query.cursor import Cursor, decode, digest, seal
from query.parameters import Parameters
from query.sorting import Order

NOW = datetime(2026, 6, 15, 12, 0, 0, 123456, tzinfo=UTC)
CURSOR = Cursor(digest("q"), NOW, ("1", "ä\0'", ""))


def test_a_cursor_comes_back_as_it_was() -> None:
    assert decode(CURSOR.encode(), digest("q")) == CURSOR
    assert CURSOR.encode().replace("-", "").replace("_", "").isalnum()


def test_every_changed_character_is_found() -> None:
    text = CURSOR.encode()
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        with pytest.raises(InvalidCursor, match="damaged"):
            decode(text[:place] + other + text[place + 1 :], digest("q"))


@pytest.mark.parametrize("text", ["", "x", "not a cursor", "ä", "====", "AAAA", "A" * 100_000])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor, match="leave it out to start again"):
        decode(text, digest("q"))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        7,
        [1, 2],
        [2, digest("q"), 0, []],
        [1, digest("q"), 10**30, []],
        [1, digest("q"), "x", []],
        [1, digest("q"), 0, 5],
    ],
)
def test_a_sealed_text_with_other_content_is_refused(data: object) -> None:
    with pytest.raises(InvalidCursor, match="another version"):
        decode(seal(json.dumps(data).encode()), digest("q"))


def test_a_cursor_of_another_question_is_refused() -> None:
    with pytest.raises(InvalidCursor, match="another filter"):
        decode(CURSOR.encode(), digest("other"))


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("1",),
        ("x", "y", "z", "0", "0"),
        ("1", "no uuid", "no uuid", "0", "0"),
        (str(2**63), str(UUID(int=1)), str(UUID(int=1)), "0", "0"),
    ],
)
def test_keys_that_do_not_fit_the_order_are_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(InvalidCursor, match="does not fit the sort"):
        Order.of("time", descending=True).after(values, Parameters())


def test_a_position_comes_back_as_it_was() -> None:
    position = Position(
        {("5f0a4f0e-0000-4000-8000-00000000000a", 3): 2**40, ("5f0a4f0e-0000-4000-8000-00000000000a", 0): 0}
    )
    assert Position.decode(position.encode()) == position


@pytest.mark.parametrize(
    "data",
    [
        ["arrivals", [["no uuid", 0, 1]]],
        ["arrivals", [["5f0a4f0e-0000-4000-8000-00000000000a", 0, -1]]],
        ["arrivals", [["5f0a4f0e-0000-4000-8000-00000000000a", "x", 1]]],
        ["arrivals", 7],
        ["pages", []],
        [],
        None,
    ],
)
def test_what_is_no_position_is_refused(data: object) -> None:
    with pytest.raises(InvalidCursor):
        Position.decode(seal(json.dumps(data).encode()))
    with pytest.raises(InvalidCursor):
        Position.decode(CURSOR.encode())
