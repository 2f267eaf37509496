"""From a filled-in filter form to an address, and back to what the form shows."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from query.condition import check
from query.expression import Term
from query.filters import Filter, all_filters
from query.http.asking import question_of_url
from query.http.parameters import Values
from query.syntax import to_text
from query.web.filter_form import CUSTOM, PERIODS, FilterForm, filled_in
from query.web.narrowing import Condition, Narrowing, Pairs
from query.web.presets import JOURNAL, PRESETS, Preset, QuickFilter
from query.web.zones import ShownZone
from schemas.catalogue import Catalogue

CATALOGUE = Catalogue.load()
TOKYO = ShownZone(ZoneInfo("Asia/Tokyo"), "project", "Asia/Tokyo", "")
API_CALLS = next(preset for preset in PRESETS if preset.name == "api_calls")
OPERATIONS = next(preset for preset in PRESETS if preset.name == "operation_log")


def form_of(*pairs: tuple[str, str], preset: Preset = JOURNAL) -> FilterForm:
    return FilterForm(Narrowing.of(preset, pairs), TOKYO, CATALOGUE)


def text_of(pairs: Pairs) -> str:
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    return to_text(question_of_url(Values(given)).expression)


def test_empty_fields_are_left_out_and_the_period_is_named() -> None:
    sent = [("at", "/journal"), ("_period", "24h"), ("category", ""), ("actor", "ann"), ("q", ""), ("any", "")]
    assert filled_in(sent) == [("since", "24h"), ("actor", "ann")]


@pytest.mark.parametrize("name", PERIODS)
def test_every_period_comes_back_as_itself(name: str) -> None:
    assert form_of(*filled_in([("_period", name)])).period == name


def test_without_a_period_the_last_day_is_meant_and_all_times_have_to_be_asked_for() -> None:
    assert Narrowing.of(JOURNAL, []).question == [("since", "24h")]
    assert Narrowing.of(JOURNAL, [("period", "all")]).question == []
    assert Narrowing.of(JOURNAL, [("after", "2026-01-01")]).question == [("after", "2026-01-01")]


def test_who_changes_a_date_means_it_and_the_other_end_stays_exact() -> None:
    since = "2026-06-01T10:00:00.123456Z"
    shown = form_of(("since", since))
    assert shown.period == CUSTOM
    assert shown.local(shown.since) == "2026-06-01T19:00:00"
    sent = [
        ("_period", CUSTOM),
        ("_period_was", CUSTOM),
        ("_since", "2026-06-01T19:00:00"),
        ("_since_was", "2026-06-01T19:00:00"),
        ("_since_exact", since),
        ("_until", "2026-06-02T00:00"),
    ]
    assert filled_in(sent) == [("since", since), ("until", "2026-06-02T00:00")]
    unscripted = [("_period", "24h"), ("_period_was", "24h"), ("_since", "2026-06-01T19:00"), ("_since_was", "x")]
    assert filled_in(unscripted) == [("since", "2026-06-01T19:00")]


def test_what_is_added_waits_and_what_is_applied_counts() -> None:
    row = [("_attribute", "country"), ("_criterion", "not"), ("_value", " DE ")]
    waiting = filled_in([("_period", "7d"), *row, ("_step", "add")])
    assert waiting == [("since", "7d"), ("draft", "country:not:DE")]
    assert Narrowing.of(JOURNAL, waiting).question == [("since", "7d")]
    applied = filled_in([*waiting, ("_period", "7d"), ("_step", "apply")])
    assert applied == [("since", "7d"), ("not", "country:DE")]


@pytest.mark.parametrize("filter_", all_filters(), ids=lambda f: f.name)
def test_a_condition_on_any_filter_survives_as_draft_and_as_text(filter_: Filter) -> None:
    name = filter_.name
    condition = Condition(name, negated=True, value='a:b "c" (d)')
    assert Condition.of_draft(condition.as_draft()) == condition
    assert condition.pair == ("not", to_text(Term(name, 'a:b "c" (d)')))


def test_a_draft_that_is_no_condition_is_ignored_and_a_wrong_value_is_told() -> None:
    drafts = [("draft", "nonsense"), ("draft", "nofilter:is:x"), ("draft", "ip:is:"), ("draft", "ip:is:x")]
    found = list(form_of(*drafts).drafts())
    assert [draft.condition.value for draft in found] == ["x"]
    assert "expected an address" in found[0].problem


def test_the_form_sends_along_what_has_no_field() -> None:
    pairs = [("since", "7d"), ("category", "update"), ("country", "DE"), ("not", "ip:10.0.0.0/8"), ("sort", "ip")]
    assert form_of(*pairs, ("cursor", "c"), ("q", "x")).hidden == pairs[2:]
    twice = [("category", "update"), ("category", "delete")]
    assert form_of(*twice).chosen(QuickFilter("category", "", "schema")) == ""
    assert form_of(*twice).hidden == twice


def test_other_pages_are_asked_the_same_with_what_always_holds() -> None:
    plain = Narrowing.of(API_CALLS, [("outcome", "failure")])
    assert text_of(plain.passed_on) == "since:24h kind:api_call outcome:failure"
    alternatives = Narrowing.of(API_CALLS, [("outcome", "failure"), ("actor", "x"), ("any", "true")])
    assert text_of(alternatives.passed_on) == "since:24h (outcome:failure OR actor:x) --kind:api_call"
    login = next(preset for preset in PRESETS if preset.name == "login_history")
    narrowed = Narrowing.of(login, [("action", "auth.login")])
    assert text_of(narrowed.passed_on).startswith("since:24h action:auth.login --(action:auth.login OR")


def test_the_types_of_operations_are_those_of_the_range() -> None:
    types = QuickFilter("action", "Type", "codes")
    everything = {choice.value for choice in form_of(preset=OPERATIONS).options(types, {})}
    contacts = {choice.value for choice in form_of(("product", "contacts"), preset=OPERATIONS).options(types, {})}
    assert contacts == {e.code for e in CATALOGUE if e.product == "contacts"}
    assert contacts < everything
    assert not any(code.startswith("api.") for code in everything)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.name)
def test_every_journal_is_made_of_filters_and_fields_that_exist(preset: Preset) -> None:
    names = {f.name for f in all_filters()}
    assert {quick.name for quick in preset.filters} <= names
    for name, value in preset.fixed:
        check(Term(name, value), FilterForm(Narrowing.of(preset, []), TOKYO, CATALOGUE).clock)
    assert preset.switch is None or preset.switch.name in names
    assert FilterForm(Narrowing.of(preset, []), TOKYO, CATALOGUE).since is not None
