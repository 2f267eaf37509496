"""Errors of the decoder have stable names and words."""

from __future__ import annotations

import pytest

from consumers.decode import DecodeError, explain


@pytest.mark.parametrize("error", DecodeError)
def test_every_error_is_explained_in_words_of_its_own(error: DecodeError) -> None:
    assert explain(error)
    assert [explain(e) for e in DecodeError].count(explain(error)) == 1


def test_names_and_numbers_of_errors_never_change() -> None:
    names = (
        "eof varint_too_long negative_length utf8 enum_index enum_symbol union_index union_branch trailing_bytes "
        "int_range boolean block too_many_items depth too_large empty frame_short frame_magic schema_unknown"
    )
    assert [(e.name, e.value) for e in DecodeError] == list(zip(names.split(), range(1, 20), strict=True))


def test_success_is_no_error_to_explain() -> None:
    with pytest.raises(ValueError, match="0 is not a valid DecodeError"):
        explain(0)
