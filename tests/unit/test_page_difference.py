"""Old beside new: every kind of change told apart, nothing lost, at a bounded cost."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from query.access.personal import MASKED
from query.web.difference import MOST_LISTED, Difference, differences


def event(*changes: tuple[str, str | None, str | None], masked: bool = False, **status: str) -> dict[str, Any]:
    listed = [{"field": f, "before": b, "after": a, "masked": masked} for f, b, a in changes]
    return {"status_before": "", "status_after": "", "changes": listed, **status}


def only(*changes: tuple[str, str | None, str | None], **options: Any) -> Difference:
    (found,) = differences(event(*changes, **options)).listed
    return found


def told(found: Difference) -> tuple[str, str, Any, Any]:
    sides = [(s.type_name, s.text) if s else None for s in (found.before, found.after)]
    return (found.path, found.kind, sides[0], sides[1])


def nested(before: object, after: object) -> list[tuple[str, str, Any, Any]]:
    return [told(d) for d in differences(event(("set", json.dumps(before), json.dumps(after)))).listed]


def test_nothing_that_changed_is_no_difference() -> None:
    assert differences(event()).listed == ()


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [(None, "", "added"), ("", None, "removed"), ("", "0", "changed"), (None, "null", "added"), ("0", "00", "changed")],
)
def test_no_field_an_empty_text_and_zero_are_told_apart(before: str | None, after: str | None, kind: str) -> None:
    found = only(("limit", before, after))
    assert found.kind == kind
    assert [s.text if s else None for s in (found.before, found.after)] == [before, after]


def test_inside_json_null_an_empty_text_zero_and_false_have_types_of_their_own() -> None:
    found = nested({"a": None, "b": "", "c": 0, "d": "0", "e": []}, {"a": "", "b": 0, "c": "0", "d": False, "e": {}})
    assert found == [
        ("set.a", "changed", ("null", "null"), ("text", "")),
        ("set.b", "changed", ("text", ""), ("number", "0")),
        ("set.c", "changed", ("number", "0"), ("text", "0")),
        ("set.d", "changed", ("text", "0"), ("boolean", "false")),
        ("set.e", "changed", ("list", "[]"), ("object", "{}")),
    ]


def test_a_member_that_came_with_null_is_no_member_that_was_not_there() -> None:
    assert nested({}, {"a": None}) == [("set.a", "added", None, ("null", "null"))]
    assert nested({"a": None}, {}) == [("set.a", "removed", ("null", "null"), None)]


def test_nested_json_is_compared_by_path_and_what_is_equal_is_left_out() -> None:
    before = {"same": [1, {"x": 1}], "limits": {"daily": 10, "weekly": 50}, "gone": {"a": 1}}
    after = {"same": [1, {"x": 1}], "limits": {"daily": 20, "weekly": 50}, "new": "x"}
    assert nested(before, after) == [
        ("set.limits.daily", "changed", ("number", "10"), ("number", "20")),
        ("set.gone", "removed", ("object", '{\n  "a": 1\n}'), None),
        ("set.new", "added", None, ("text", "x")),
    ]


def test_an_item_put_in_front_of_a_list_is_one_difference() -> None:
    assert nested([1, 2, 3], [0, 1, 2, 3]) == [("set[0]", "added", None, ("number", "0"))]
    assert nested(["a", "b", "c"], ["a", "c"]) == [("set[1]", "removed", ("text", "b"), None)]
    assert nested([{"id": 1, "n": "x"}], [{"id": 1, "n": "y"}]) == [
        ("set[0].n", "changed", ("text", "x"), ("text", "y"))
    ]


def test_a_name_with_a_dot_does_not_look_like_two_names() -> None:
    assert [path for path, *_ in nested({"a.b": 1, "a": {"b": 1}}, {"a.b": 2, "a": {"b": 2}})] == [
        'set["a.b"]',
        "set.a.b",
    ]


def test_numbers_keep_the_way_they_are_written() -> None:
    found = only(("price", '{"a": 1.10, "b": 12345678901234567890}', '{"a": 1.1, "b": 12345678901234567890}'))
    assert told(found) == ("price.a", "changed", ("number", "1.10"), ("number", "1.1"))


def test_a_long_text_is_marked_by_word() -> None:
    found = only(("text", "Dear customer, buy now!", "Dear friend, buy it now!"))
    assert found.before is not None
    assert found.after is not None
    assert [(p.text, p.mark) for p in found.before.pieces] == [
        ("Dear ", "same"),
        ("customer", "removed"),
        (", buy now!", "same"),
    ]
    assert [p.text for p in found.after.pieces if p.mark == "added"] == ["friend", " it"]


def test_json_that_differs_in_its_blanks_only_is_still_shown_as_changed() -> None:
    found = only(("set", '{"a":1}', '{ "a": 1 }'))
    assert told(found) == ("set", "changed", ("value", '{"a":1}'), ("value", '{ "a": 1 }'))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{broken", "[NaN]", '["\\ud800"]', "[" * 100 + "]" * 100])
def test_what_json_cannot_show_without_changing_it_is_compared_as_text(text: str) -> None:
    found = only(("set", text, '{"a": 1}'))
    assert found.path == "set"
    assert found.before is not None
    assert found.before.text == text


def test_the_status_comes_first_and_one_side_alone_is_told() -> None:
    found = differences(event(("x", "1", "2"), status_before="draft", status_after="running")).listed
    assert told(found[0]) == ("status", "changed", ("value", "draft"), ("value", "running"))
    assert told(only(status_after="running")) == ("status", "added", None, ("value", "running"))


@pytest.mark.parametrize(("values", "masked"), [(("***", "***"), True), ((MASKED, None), False)])
def test_what_is_masked_says_so_and_is_not_compared(values: tuple[str, str | None], masked: bool) -> None:
    found = only(("password", *values), masked=masked)
    assert (found.kind, found.before.text if found.before else None) == ("masked", values[0])


def test_texts_made_to_be_hard_to_compare_cost_little_and_lose_nothing() -> None:
    before, after = "a b " * 20_000, "b a " * 20_000 + "!"
    started = time.process_time()
    found = differences(event(*[("text", before, after)] * 20, ("short", "one two", "one three"))).listed
    assert time.process_time() - started < 5
    assert all((d.before.text, d.after.text) == (before, after) for d in found[:-1] if d.before and d.after)
    assert len(found) == 21


def test_no_more_differences_are_listed_than_a_page_bears_and_the_rest_is_counted() -> None:
    found = differences(event(("set", "{}", json.dumps({f"n{i}": i for i in range(MOST_LISTED + 7)}))))
    assert (len(found.listed), found.unlisted) == (MOST_LISTED, 7)
