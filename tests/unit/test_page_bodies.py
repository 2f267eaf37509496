"""Bodies and query parameters as they are shown: readable, and letter by letter what was stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from query.access.personal import MASKED
from query.web.bodies import MOST_PARAMETERS, Body, body, query_parameters, request_body, response_body
from query.web.json_text import MOST_CHARACTERS


def shown(text: str, **options: Any) -> Body:
    found = body(text, **options)
    assert found is not None
    return found


def test_json_is_laid_out_one_member_a_line_and_every_value_stays_as_it_was() -> None:
    found = shown('{"b":1.10,"a":["x, {y}: \\u00e4\\"",{}],"n":[],"big":12345678901234567890.0}')
    assert found.form == "json"
    assert found.text == (
        '{\n  "b": 1.10,\n  "a": [\n    "x, {y}: \\u00e4\\"",\n    {}\n  ],\n  "n": [],\n'
        '  "big": 12345678901234567890.0\n}'
    )


@pytest.mark.parametrize("value", [[], {}, [[]], {"a": {}}, [1, [2, {"a": [None, True]}]], "text", 0, None])
def test_laid_out_json_reads_back_as_the_same(value: object) -> None:
    assert json.loads(shown(json.dumps(value)).text) == value


@pytest.mark.parametrize("text", ["plain", "{broken", '{"a":1,"a":2}', "a=1&b=2", "<xml/>", '"\\ud800"'])
def test_what_is_no_json_stays_as_it_is(text: str) -> None:
    assert (shown(text).form, shown(text).text) == ("text", text)


def test_an_empty_text_is_no_body_and_a_masked_one_says_so() -> None:
    assert body("") is None
    assert shown(MASKED).is_masked
    assert shown(MASKED).text == ""


def test_a_body_beyond_the_limit_is_shown_in_part_and_says_so() -> None:
    found = shown("ä" * (MOST_CHARACTERS + 1))
    assert (len(found.text), found.is_shown_in_part) == (MOST_CHARACTERS, True)
    assert found.stored_bytes == 2 * (MOST_CHARACTERS + 1)


def test_a_body_nested_to_make_the_page_large_is_not_laid_out() -> None:
    found = shown("[" * 1000 + "]" * 1000)
    assert found.form == "text"


def test_a_cut_body_is_told_from_the_whole_one_beside_it() -> None:
    event = {"api_truncated": True, "api_request_bytes": 7, "api_response_bytes": 90_000}
    payload = {"api_request_body": '{"a":1}', "api_response_body": '{"a":'}
    request, response = request_body(event, payload), response_body(event, payload)
    assert request is not None
    assert response is not None
    assert (request.is_cut, request.sent_bytes) == (False, 7)
    assert (response.is_cut, response.sent_bytes, response.stored_bytes) == (True, 90_000, 5)


def test_a_body_of_a_call_that_told_no_size_counts_as_cut_when_one_was() -> None:
    event = {"api_truncated": True, "api_request_bytes": None}
    found = request_body(event, {"api_request_body": "x"})
    assert found is not None
    assert found.is_cut


def test_query_parameters_are_decoded_in_order_and_repeated_ones_are_kept() -> None:
    found = query_parameters("?a=1&b=%C3%A4+x&a=&flag&c=%FF&d=a=b")
    assert found is not None
    assert found.pairs == (("a", "1"), ("b", "ä x"), ("a", ""), ("flag", ""), ("c", "%FF"), ("d", "a=b"))
    assert found.text == "?a=1&b=%C3%A4+x&a=&flag&c=%FF&d=a=b"


def test_query_parameters_written_as_json_are_listed_too() -> None:
    found = query_parameters('{"limit": 10, "order": "asc", "ids": [1, 2]}')
    assert found is not None
    assert found.pairs == (("limit", "10"), ("order", "asc"), ("ids", "[1, 2]"))


def test_query_parameters_may_be_absent_masked_or_too_many() -> None:
    assert query_parameters("") is None
    masked, many = query_parameters(MASKED), query_parameters("a=1&" * (MOST_PARAMETERS + 3))
    assert masked is not None
    assert many is not None
    assert masked.is_masked
    assert (len(many.pairs), many.unlisted) == (MOST_PARAMETERS, 3)
