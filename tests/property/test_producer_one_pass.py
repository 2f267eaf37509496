"""The one pass against the long way, which is the reference: the same bytes, or no opinion."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers import Actor, AuditEvent, Change, InvalidEvent, Origin, Target, TargetRef, Task
from producers.drafts import Draft, Drafter, Event
from producers.keys import key_function
from producers.masking import LOOKED_AT, CleanTexts, Masker
from producers.masking.rules import Rules
from producers.masking.text import TextMasker
from producers.records import SCHEMA
from producers.settings import ProducerSettings
from producers.writers import UNUSUAL

_settings = ProducerSettings()
_key = key_function("object")
_STAMPS = {"producer_id": "p", "source_host": "h"}
_FIXED: dict[str, Any] = {"event_id": "0190a5c2-5b7e-7c3a-9d2e-3f4a5b6c7d8e", "occurred_at": 1_790_000_000_000_000}
_drafter = Drafter(_STAMPS, _key, Masker(_settings))
_FIELDS = {f["name"]: f["type"] for f in SCHEMA["fields"]}

_SECRETS = (
    "password=hunter22",
    "Authorization: Basic dXNlcjpwYXNz",
    '{"api_key": "abc"}',
    "api+key=abc",
    "to\u212aen: abcdef",
    "4111 1111 1111 1111",
    "sk_live_abcdefghijklmnop",
    "AKIAABCDEFGHIJKLMNOP",
    "ghp_abcdefghijklmnopqrstuvwxyz",
    "glpat-abcdefghijklmnopqrst",
    "xoxb-1234567890-abc",
    "AIza" + "x" * 35,
    "SG." + "a" * 20 + "." + "b" * 20,
    "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.x",
    "https://u:pw@h.example/",
    "-----BEGIN RSA PRIVATE KEY-----abc",
    "the pin: 1234",
    "pass%77ord=x",
)
_TEXTS = st.one_of(
    st.text("abcdefgh ijklm._-{}\"'äж漢😀\u0130", max_size=40),
    st.sampled_from(_SECRETS),
    st.builds("{} {}".format, st.text("abcdeinpstw .", max_size=12), st.sampled_from(_SECRETS)),
    st.sampled_from(("", "company", "design", "company\ud800", "x" * 5000)),
)
_ODD: st.SearchStrategy[Any] = st.sampled_from(
    (None, 0, 1.5, True, "", [], {}, b"x", -(2**63), 2**63, float("nan"), ("a",))
)


def _values(kind: Any) -> st.SearchStrategy[Any]:
    if isinstance(kind, list):
        return st.none() | _values(next(k for k in kind if k != "null"))
    name = kind if isinstance(kind, str) else kind["type"]
    simple: dict[str, st.SearchStrategy[Any]] = {
        "string": _TEXTS,
        "int": st.integers(-(1 << 31), (1 << 31) - 1),
        "long": st.integers(-(1 << 63), (1 << 63) - 1),
        "boolean": st.booleans(),
        "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-10, 10),
    }
    if name in simple:
        return simple[name]
    if name == "enum":
        return st.sampled_from(kind["symbols"]).flatmap(lambda s: st.sampled_from((s, s.upper(), s.title())))
    if name == "array":
        return st.lists(_values(kind["items"]), max_size=3)
    if name == "map":
        return st.dictionaries(_TEXTS, _TEXTS | st.integers() | st.none(), max_size=3)
    return st.fixed_dictionaries({}, optional={f["name"]: _values(f["type"]) for f in kind["fields"]})


def _outcome(draft: Any, event: Event) -> Any:
    try:
        made: Draft = draft(event)
    except (InvalidEvent, UnicodeEncodeError) as error:
        return str(error)
    return made.event_id, made.key, made.body(77), made.numbered


def _agree(event: Event, drafter: Drafter = _drafter) -> bool:
    """Hold both ways equal; say whether the one pass had an opinion."""
    try:
        quick = _outcome(drafter._one_pass.draft, event)
    except UNUSUAL:
        return False
    if isinstance(quick, str):  # it never refuses by itself: the long way does
        return False
    assert quick == _outcome(drafter._long_way.draft, event)
    return True


_slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


@pytest.mark.parametrize("part", range(0, len(_FIELDS), 12))
@_slow
@given(data=st.data())
def test_an_event_drafted_in_one_pass_has_the_bytes_of_the_long_way(part: int, data: st.DataObject) -> None:
    chosen = dict(list(_FIELDS.items())[part : part + 12])
    drawn = st.fixed_dictionaries({}, optional={n: _values(k) | _ODD for n, k in chosen.items()})
    event = {"event_code": "a.b", "tenant_id": "t", **_FIXED, **data.draw(drawn)}
    # Without them both ways ask the clock.
    _agree({n: _FIXED[n] if v is None and n in _FIXED else v for n, v in event.items()})


_GROUPS = st.fixed_dictionaries(
    {"event_code": st.just("a.b"), "tenant_id": st.sampled_from(("t", ""))},
    optional={
        "actor": st.sampled_from(({"id": "u"}, Actor(id="u", type="user", roles=["x"]), Actor(), {"nmae": 1}, "u")),
        "actor_id": st.sampled_from(("u", "v", None, "")),
        "origin": st.sampled_from(("api", "API", {"kind": "api", "ip": "::1"}, Origin(name="Shopify"), None)),
        "origin_name": st.sampled_from(("Shopify", None)),
        "target": st.sampled_from((Target(id="c", type="x"), Target(id="c"), {"id": "c", "name": "pin: 1234"})),
        "target_type": st.sampled_from((None, "x")),
        "record_kind": st.sampled_from(("task", "Action", "system", "auth", None)),
        "task": st.sampled_from((Task(task_id="1"), {"task_id": "1", "error": "password=x"}, {}, None)),
        "auth": st.sampled_from(({"event": "login"}, None)),
        "targets": st.sampled_from(([TargetRef(id="a", name="b")], [{"id": "a"}], ["a"])),
        "changes": st.sampled_from(([Change(field="a", after=[1])], [{"field": "password", "after": "x"}], [{}])),
        "producer_id": st.sampled_from(("own", "", None)),
        "producer_seq": st.sampled_from((5, None)),
        "redactions": st.just([{"field": "message", "rule": "card", "count": 1}]),
        "occurred_at": st.sampled_from(("2026-03-01T12:00:00Z", "2026-03-01T12:00:00", 7)),
    },
)


@_slow
@given(event=_GROUPS)
def test_groups_blocks_and_contradictions_end_alike_on_both_ways(event: dict[str, Any]) -> None:
    _agree({**_FIXED, **event})


def test_usual_events_take_the_one_pass() -> None:
    flat = {
        "event_code": "a.b",
        "tenant_id": "t",
        "origin": "api",
        "message": "a company",
        "details": {"n": 1},
        **_FIXED,
    }
    grouped = {"event_code": "a.b", "tenant_id": "t", "actor": {"id": "u"}, "api": {"status_code": 200}, **_FIXED}
    typed = AuditEvent(
        event_code="a.b",
        tenant_id="t",
        actor=Actor(id="u"),
        origin=Origin(kind="api"),
        changes=[Change(field="limit", before=1, after=2)],
        task=Task(task_id="1", progress_pct=40.5),
        **_FIXED,
    )
    assert all(_agree(event) for event in (flat, grouped, typed))


@pytest.mark.parametrize("secret", _SECRETS)
@pytest.mark.parametrize("path", sorted(p for p in LOOKED_AT if "." not in p and p not in ("details", "labels")))
def test_a_secret_never_takes_the_one_pass(secret: str, path: str) -> None:
    event = {"event_code": "a.b", "tenant_id": "t", path: secret}
    assert not _agree(event)
    assert not _agree({"event_code": "a.b", "tenant_id": "t", "details": {"note": secret}})
    body = _drafter.draft(event).body(1)
    assert secret.encode() not in body
    assert _drafter.draft(event).chunks[list(_FIELDS).index("redactions")] != b"\0"


@_slow
@given(text=st.text(max_size=200) | _TEXTS)
def test_a_text_found_clean_is_one_that_masking_does_not_change(text: str) -> None:
    rules, hits = Rules(_settings), dict[str, int]()
    if CleanTexts(rules).has(text):
        assert TextMasker(rules).mask(text, hits) == text
        assert not hits


def test_no_other_letters_than_the_two_known_ones_become_ascii_in_lower_case() -> None:
    strange = {c for c in map(chr, range(128, sys.maxunicode + 1)) if any(x.isascii() for x in c.lower())}
    assert strange == {"\u212a", "\u0130"}


def test_own_names_and_patterns_of_the_user_are_looked_for_in_the_one_pass_too() -> None:
    for own in ({"mask_names": ("Kunden_Nr",)}, {"mask_names": ("Öffner",)}, {"mask_patterns": {"iban": "DE[0-9]{5}"}}):
        drafter = Drafter(_STAMPS, _key, Masker(ProducerSettings(**own)))
        for note in ("KUNDENNR: 17", "öffner=abc", "DE12345"):
            event: dict[str, Any] = {"event_code": "a.b", "tenant_id": "t", "message": note, **_FIXED}
            _agree(event, drafter)
        assert _agree({"event_code": "a.b", "tenant_id": "t", "message": "nothing", **_FIXED}, drafter)


def test_without_masking_the_one_pass_takes_every_text() -> None:
    drafter = Drafter(_STAMPS, _key, None)
    event: dict[str, Any] = {"event_code": "a.b", "tenant_id": "t", "message": "password=x", **_FIXED}
    assert _agree(event, drafter)


def test_what_was_found_clean_is_remembered_within_bounds() -> None:
    clean = CleanTexts(Rules(_settings))
    for n in range(9000):
        assert clean.has(f"text {n}")
    assert clean.has("x" * 300)
    assert not clean.has("password=x")
    assert len(clean.known) <= 8192
    assert not {"x" * 300, "password=x"} & clean.known
