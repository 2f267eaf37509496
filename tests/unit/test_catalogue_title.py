"""Titles: templates, missing values, and values that look like templates."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from schemas.catalogue import TEMPLATE_NAMES, Catalogue, Title
from schemas.columns import event_columns, wire_columns


def test_the_first_column_with_a_value_is_shown() -> None:
    title = Title("{actor}")
    assert title.render({"actor_name": "", "actor_login": "ann@x", "actor_id": "u1"}) == "ann@x"
    assert title.render({"actor_name": None, "actor_id": "u1", "actor_type": "user"}) == "u1"
    assert title.render({"actor_type": "system"}) == "system"
    assert title.render({"actor_type": "unspecified"}) == "?"


def test_a_bracket_is_left_out_when_one_of_its_names_has_no_value() -> None:
    title = Title("a[ b {target}][ c {parent} {tenant}] d")
    assert title.render({"target_id": "t", "parent_id": "p"}) == "a b t d"
    assert title.render({"parent_id": "p", "tenant_id": "x"}) == "a c p x d"


def test_braces_and_brackets_written_twice_stand_for_themselves() -> None:
    assert Title("{{a}} [[b]] {target}").render({"target_id": "t"}) == "{a} [b] t"


def test_a_value_is_never_read_as_a_template() -> None:
    row = {"actor_name": "{target}[x]{{", "target_id": "t"}
    assert Title("{actor} saw {target}").render(row) == "{target}[x]{{ saw t"


@pytest.mark.parametrize(
    "template", ["{", "}", "[", "]", "{actor", "actor}", "[{actor}", "{actor}]", "[a [b] c]", "{a{actor}}", "{actor]"]
)
def test_a_brace_or_bracket_without_partner_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"partner|unknown name"):
        Title(template)


@pytest.mark.parametrize(
    "template", ["{nobody}", "{}", "{0}", "{actor.__class__}", "{actor[0]}", "{actor!r}", "{actor:>9}", "{ actor }"]
)
def test_only_the_documented_names_are_allowed(template: str) -> None:
    with pytest.raises(ValueError, match=r"unknown name|partner"):
        Title(template)


def test_every_name_reads_columns_that_are_stored() -> None:
    stored = {c.name for c in (*event_columns(), *wire_columns())}
    assert {c for columns in TEMPLATE_NAMES.values() for c in columns} <= stored


def test_addresses_are_shown_as_people_write_them() -> None:
    title = Title("x[ from {ip}]")
    assert title.render({"ip": "::ffff:203.0.113.9"}) == "x from 203.0.113.9"
    assert title.render({"ip": IPv6Address("2001:db8::1")}) == "x from 2001:db8::1"
    assert title.render({"ip": IPv6Address("::")}) == "x"


def test_numbers_are_shown_without_idle_digits() -> None:
    assert Title("{progress} %").render({"task_progress_pct": 42.0}) == "42 %"
    assert Title("[attempt {attempt}]").render({"hook_attempt": 0}) == ""
    assert Title("{count}").render({"affected_count": 0}) == "0"


def test_titles_are_equal_when_their_templates_are() -> None:
    assert Title("{actor}") == Title("{actor}")
    assert len({Title("{actor}"), Title("{actor}"), Title("{target}")}) == 2


def test_columns_of_a_title_are_all_it_looks_at() -> None:
    title = Title("{ip}[ {count}]")
    assert title.columns == {"ip", "affected_count"}


def test_every_shipped_title_renders_with_nothing_and_with_everything() -> None:
    full = {c: "v" for columns in TEMPLATE_NAMES.values() for c in columns}
    for entry in Catalogue.load():
        assert entry.title.render({})
        rendered = entry.title.render(full)
        assert not set(rendered) & set("{}[]?"), entry.code
