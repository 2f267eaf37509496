"""What compiled code takes for JSON a parser takes too, and UUIDs are read as the standard library reads them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.arrays import string_data, string_offsets
from consumers.decode.columns import read_uuids, surely_json
from consumers.validation.uuids import parse_uuids

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)
near_json = st.text('{}[]",:\\/ \t\n\r\x1f0123456789+-.eEtrufalsn\x7fé\ud7ffux', max_size=24)


def judged(texts: Sequence[str]) -> list[bool]:
    array = pa.array(["before", *texts, "behind"], pa.string()).slice(1, len(texts))
    found: list[bool] = surely_json(string_data(array), string_offsets(array), np.arange(len(texts))).tolist()
    return found


def parses(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


@settings(max_examples=500, deadline=None)
@given(documents, st.sampled_from([None, 1]), st.booleans())
def test_ordinary_documents_are_known_to_be_json(document: object, indent: int | None, escaped: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=escaped)
    rare = re.search(r"\\ud[89a-f]|e[+-]?\d{3}", text) is not None
    assert judged([text]) == [True] or rare


@settings(max_examples=2000, deadline=None)
@given(near_json, st.sampled_from(["{}", "[{}]", '{{"a":{}}}', "[1,{}", "{} "]))
@example("01", "{}")
@example("1.", "{}")
@example("1e999", "{}")
@example("9" * 400, "{}")
@example('"\\ud800"', "{}")
@example("\ufeff1", "{}")
@example("[" * 2000 + "]" * 2000, "{}")
def test_nothing_is_taken_for_json_that_does_not_parse(text: str, around: str) -> None:
    whole = around.replace("{{", "{").replace("}}", "}").replace("{}", text, 1) if around != "{}" else text
    assert parses(whole) or judged([whole]) == [False]


@settings(max_examples=300, deadline=None)
@given(documents, st.randoms(use_true_random=False))
def test_a_damaged_document_is_taken_for_json_only_if_it_parses(document: object, chance: object) -> None:
    text = json.dumps(document, ensure_ascii=False)
    pick = chance.randrange  # type: ignore[attr-defined]
    texts = [text[: (at := pick(len(text) + 1))] + chr(pick(128)) + text[at + pick(2) :] for _ in range(20)]
    assert all(parses(t) for t, known in zip(texts, judged(texts), strict=True) if known)


@pytest.mark.parametrize(
    "text", ["", " ", "{", '{"a"', '{"a":', '{"a":1', "[1", '"', '"\\', '"\\u12', "-", "tru", "1e"]
)
def test_what_is_cut_is_not_read_past_its_end(text: str) -> None:
    rest = {"{": "}", '{"a"': ":1}", "tru": "e", "-": "1", "1e": "5"}.get(text, '"]}')
    array = pa.array([text, rest], pa.string())
    assert surely_json(string_data(array), string_offsets(array), np.arange(1)).tolist() == [False]


uuid_texts = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda u: str(u).upper()),
    st.text("0123456789abcdefABCDEF-gG/:@`", min_size=35, max_size=37),
    st.uuids().map(lambda u: str(u).replace("-", "_", 1)),
    st.text(max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(uuid_texts, max_size=20))
def test_uuids_are_read_as_the_standard_library_reads_their_plain_form(texts: list[str]) -> None:
    array = pa.array(["x", *texts, "y"], pa.string()).slice(1, len(texts))
    found, good = parse_uuids(array)
    plain = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
    assert good.tolist() == [plain.fullmatch(t) is not None for t in texts]
    expected = [uuid.UUID(t).bytes if ok else bytes(16) for t, ok in zip(texts, good, strict=True)]
    assert [bytes(row) for row in found] == expected


def test_no_texts_are_no_uuids() -> None:
    found, good = read_uuids(np.zeros(0, np.uint8), np.zeros(1, np.int32))
    assert found.shape == (0, 16)
    assert good.shape == (0,)
