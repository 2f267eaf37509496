import io
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.encoding import RecordEncoder
from producers.masking import MASK, Masker
from producers.masking.rules import Rules
from producers.masking.text import TextMasker
from producers.records import SCHEMA, to_record
from producers.settings import ProducerSettings

_settings = ProducerSettings()
_masker = Masker(_settings)
_text = TextMasker(Rules(_settings))
_parsed = fastavro.parse_schema(dict(SCHEMA))
_encode = RecordEncoder(SCHEMA["fields"]).encode

_SECRET_NAMES = (
    "password",
    "api_key",
    "X-Api-Key",
    "clientSecret",
    "access_token",
    "card[pin]",
    "AUTHORIZATION",
    "Set-Cookie",
    "pwd",
)
_PLAIN_WORDS = st.text("abcdefghijkmnoqrtuvwxyz äж\u200f", min_size=0, max_size=30)
_SECRET = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789_-", min_size=12, max_size=40).map(lambda s: f"zQ{s}Qz")


def _card(digits: str) -> str:
    total = sum(sum(divmod(2 * int(d), 10)) if n % 2 == 0 else int(d) for n, d in enumerate(reversed(digits)))
    return digits + str(-total % 10)


_CARDS = st.builds(
    lambda first, rest: _card(first + rest), st.sampled_from("23456"), st.text("0123456789", min_size=11, max_size=17)
)


def _grouped(number: str, separator: str) -> str:
    return separator.join(number[i : i + 4] for i in range(0, len(number), 4))


@st.composite
def carriers(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and the secret in it."""
    name, before, after = draw(st.sampled_from(_SECRET_NAMES)), draw(_PLAIN_WORDS), draw(_PLAIN_WORDS)
    secret = draw(_SECRET)
    shape = draw(
        st.sampled_from(
            (
                json.dumps({before: after, name: secret}),
                json.dumps({"a": [{"b": {name: {"inner": [secret, 1]}}}], "n": before}, ensure_ascii=False, indent=2),
                json.dumps([{"name": name, "value": secret}]),
                json.dumps({"log": json.dumps({name: secret, "x": before})}),
                json.dumps({"n": before, name: secret})[:-2],
                f"a={quote_plus(before)}&{quote_plus(name)}={quote_plus(secret)}&b=1",
                f"https://u@host.example/cb?x=1&{quote(name)}={quote(secret)}#top",
                f"see https://user:{secret}@host.example/ {after}",
                f"{before} {name}: {secret}",
                f"{before} {name}='{secret} and more' {after}",
                f"POST /x\r\nAuthorization: Digest a=b, response={secret}\r\n\r\n{after}",
                f"{before} Bearer {secret} {after}",
                f"{before} eyJhbGciOiJIUzI1NiJ9.{secret}.sig {after}",
            )
        )
    )
    return shape, secret


@st.composite
def card_carriers(draw: st.DrawFn) -> tuple[str, str]:
    """A text, and the card number in it as it is written there."""
    number = _grouped(draw(_CARDS), draw(st.sampled_from(("", " ", "-"))))
    words = draw(_PLAIN_WORDS)
    shapes = [
        f"{words} {number}, thanks",
        json.dumps({"note": f"card {number}"}),
        f"note={quote_plus(number)}&a=1",
        f"https://h.example/p?n={quote(number)}",
    ]
    if number.isdigit():
        shapes.append(f'{{"pay": {number}}}')
    return draw(st.sampled_from(shapes)), number


Carrier = tuple[str, str]
Place = Callable[[str], dict[str, Any]]

_PLACES: tuple[Place, ...] = (
    lambda t: {"message": t},
    lambda t: {"details": {"note": t}},
    lambda t: {"labels": {"x": t}},
    lambda t: {"changes": [{"field": "f", "before": t, "after": None}]},
    lambda t: {"api": {"request_body": t}},
    lambda t: {"api": {"response_body": t}},
    lambda t: {"api": {"query_params": t}},
    lambda t: {"hook": {"url": t, "error": t}},
    lambda t: {"task": {"error": t}},
    lambda t: {"targets": [{"name": t}]},
    lambda t: {"resource_snapshot": t},
)


@given(carrier=st.one_of(carriers(), card_carriers()), place=st.sampled_from(_PLACES))
def test_no_secret_survives_in_the_encoded_bytes_and_the_redaction_is_noted(carrier: Carrier, place: Place) -> None:
    text, secret = carrier
    record = to_record({"event_code": "a.b", "tenant_id": "t", **place(text)})
    _masker.apply(record)
    encoded = _encode(record)
    assert secret.encode() not in encoded
    assert quote(secret).encode() not in encoded
    assert quote_plus(secret).encode() not in encoded
    decoded: Any = fastavro.schemaless_reader(io.BytesIO(encoded), _parsed, None)
    assert sum(r["count"] for r in decoded["redactions"]) >= 1


@given(carrier=st.one_of(carriers(), card_carriers()), place=st.sampled_from(_PLACES))
def test_masking_twice_changes_nothing_more(carrier: Carrier, place: Place) -> None:
    record = to_record({"event_code": "a.b", "tenant_id": "t", **place(carrier[0])})
    _masker.apply(record)
    once = _encode(record)
    _masker.apply(record)
    assert _encode(record) == once


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(_SECRET_NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)


def _differences(before: Any, after: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for key in before:
            yield from _differences(before[key], after[key], key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from _differences(one, other, name)
    elif before != after:
        yield name, before, after


# The first drawing of arbitrary text builds a table of Unicode, which takes seconds on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(value=st.dictionaries(st.text("abdeg", min_size=1), _json, max_size=4), ascii_only=st.booleans())
def test_a_json_body_stays_valid_json_and_only_masked_values_differ(value: dict[str, Any], ascii_only: bool) -> None:
    hits: dict[str, int] = {}
    text = json.dumps(value, ensure_ascii=ascii_only)
    after = json.loads(_text.mask(text, hits))
    changed = list(_differences(value, after))
    assert all(MASK in str(new) for _, _, new in changed)
    assert bool(changed) == bool(hits)


@given(text=st.text("abcdefgh ijklm.,!?\n{}[]\"'äж漢😀", max_size=300))
def test_a_text_without_anything_secret_is_left_alone(text: str) -> None:
    hits: dict[str, int] = {}
    assert _text.mask(text, hits) == text
    assert not hits


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(text=st.text(max_size=200) | carriers().map(lambda c: c[0]) | card_carriers().map(lambda c: c[0]))
def test_the_cheap_look_never_misses_what_masking_would_change(text: str) -> None:
    hits: dict[str, int] = {}
    masked = _text.mask(text, hits)
    if masked != text:
        assert Rules(_settings).may_match(text)


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "a." * 500_000, "x=" * 500_000, '{"a":"' + "\\n" * 400_000, "1" * 1_000_000, "1 " * 500_000],
)
def test_a_megabyte_of_anything_is_masked_in_linear_time(text: str) -> None:
    # Quadratic behaviour would take hours, not seconds; the time limit of the test run is the judge.
    hits: dict[str, int] = {}
    _text.mask(text, hits)
