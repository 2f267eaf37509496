"""Marked texts: whatever is compared, both texts are there letter by letter, and equal parts are equal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from query.web.difference import differences
from query.web.json_text import indented
from query.web.words import Budget, marked_words, runs

TEXTS = st.text(st.sampled_from("ab \n.ä"), max_size=40)
LISTS = st.lists(st.integers(0, 3), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
)


@given(TEXTS, TEXTS, st.integers(0, 200))
def test_the_pieces_of_both_texts_join_to_the_texts_and_share_what_is_marked_the_same(
    before: str, after: str, pairs: int
) -> None:
    left, right = marked_words(before, after, Budget(pairs))
    assert "".join(p.text for p in left) == before
    assert "".join(p.text for p in right) == after
    shared = ["".join(p.text for p in side if p.mark == "same") for side in (left, right)]
    assert shared[0] == shared[1]


@given(LISTS, LISTS, st.integers(0, 200))
def test_runs_cover_both_sequences_without_gap_and_the_same_ones_are_equal(
    before: list[int], after: list[int], pairs: int
) -> None:
    found = runs(before, after, Budget(pairs))
    assert [i for run in found for i in run.before] == list(range(len(before)))
    assert [j for run in found for j in run.after] == list(range(len(after)))
    for run in found:
        equal = [before[i] for i in run.before] == [after[j] for j in run.after]
        assert equal is run.same


@given(JSON)
def test_laid_out_json_reads_back_as_the_same(value: object) -> None:
    assert json.loads(indented(json.dumps(value))) == value


@given(JSON, JSON)
def test_two_states_have_a_difference_if_and_only_if_their_texts_differ(before: object, after: object) -> None:
    old, new = json.dumps(before), json.dumps(after)
    change = {"field": "f", "before": old, "after": new, "masked": False}
    found = differences({"status_before": "", "status_after": "", "changes": [change]}).listed
    assert found
    if old != new:
        assert any(d.kind != "changed" or d.before != d.after for d in found)
