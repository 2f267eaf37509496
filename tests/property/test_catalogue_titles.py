"""Titles never fail and never interpret what they show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import TEMPLATE_NAMES, Title

VALUES = st.text(min_size=1).filter(lambda t: t != "unspecified")
LITERALS = st.text(max_size=10)


def escaped(text: str) -> str:
    return "".join(c * 2 if c in "{}[]" else c for c in text)


@given(LITERALS, VALUES, LITERALS)
def test_text_and_values_appear_as_they_are(before: str, value: str, after: str) -> None:
    title = Title(f"{escaped(before)}{{target}}{escaped(after)}")
    assert title.render({"target_id": value}) == before + value + after


@given(LITERALS, LITERALS)
def test_a_bracket_disappears_whole(outside: str, inside: str) -> None:
    # A space first: of three brackets in a row the first two are read as one that stands for itself.
    title = Title(f"{escaped(outside)}[ {escaped(inside)} {{parent}}]")
    assert title.render({}) == outside
    assert title.render({"parent_id": "p"}) == f"{outside} {inside} p"


def read(template: str) -> tuple[Title | None, str]:
    try:
        return Title(template), ""
    except ValueError as error:
        return None, str(error)


@given(st.text(alphabet="{}[]actorx. ", max_size=20))
def test_any_template_is_read_or_refused_with_words(template: str) -> None:
    title, refusal = read(template)
    assert refusal == "" or "partner" in refusal or "unknown name" in refusal
    if title is not None:
        assert isinstance(title.render({}), str)


@given(st.dictionaries(st.sampled_from(sorted({c for v in TEMPLATE_NAMES.values() for c in v})), VALUES))
def test_a_row_shows_the_first_column_that_has_a_value(row: dict[str, str]) -> None:
    for name, columns in TEMPLATE_NAMES.items():
        if name in {"ip", "attempt"}:
            continue
        shown = Title(f"{{{name}}}").render(row)
        assert shown == next((row[c] for c in columns if c in row), "?")


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_every_name_may_stand_in_a_template(name: str) -> None:
    assert Title(f"{{{name}}}").columns == set(TEMPLATE_NAMES[name])
