"""The text form of a question."""

from __future__ import annotations

import pytest

from query import All, AnyOf, InvalidFilter, Not, Term, parse, to_text
from query.condition import condition
from query.expression import MAX_DEPTH, MAX_TERMS, canonical, depth, required_terms, terms
from query.parameters import Parameters
from query_log import asked


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", All()),
        ("  ", All()),
        ("actor:ann@x.com", Term("actor", "ann@x.com")),
        ("Actor:Ann", Term("actor", "Ann")),
        ("ip:2001:db8::/32", Term("ip", "2001:db8::/32")),
        ("-outcome:success", Not(Term("outcome", "success"))),
        ("NOT outcome:success", Not(Term("outcome", "success"))),
        ("a:1 b:2", All((Term("a", "1"), Term("b", "2")))),
        ("a:1 OR b:2 c:3", AnyOf((Term("a", "1"), All((Term("b", "2"), Term("c", "3")))))),
        ("(a:1 OR b:2) c:3", All((AnyOf((Term("a", "1"), Term("b", "2"))), Term("c", "3")))),
        ("a:1,2", AnyOf((Term("a", "1"), Term("a", "2")))),
        ('a:"1,2","x y"', AnyOf((Term("a", "1,2"), Term("a", "x y")))),
        (r'a:"say \"hi\" \\"', Term("a", r'say "hi" \ '.strip())),
        ('a:""', Term("a", "")),
        ("hello", Term("text", "hello")),
        ('"2001:db8::1"', Term("text", "2001:db8::1")),
        ("ORDER NOTHING", All((Term("text", "ORDER"), Term("text", "NOTHING")))),
        ("-(a:1)", Not(Term("a", "1"))),
    ],
)
def test_a_text_becomes_a_tree_and_back(text: str, expression: object) -> None:
    found = parse(text)
    assert found == expression
    assert parse(to_text(found)) == found


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("a:1 b:", 6, "a value is missing"),
        ('a:1 b:"x', 6, "the quote is not closed"),
        ('"x\\', 0, "the quote is not closed"),
        ("(a:1", 0, "the parenthesis is not closed"),
        ("a:1)", 3, "unexpected"),
        ("a:1 OR", 6, "nothing follows OR"),
        ("a:1 -", 5, "nothing follows -"),
        ("NOT", 3, "nothing follows NOT"),
        ("a:1,", 4, "a value is missing"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, position: int, problem: str) -> None:
    with pytest.raises(InvalidFilter, match=problem) as raised:
        parse(text)
    assert raised.value.position == position
    assert str(raised.value).startswith(f"at character {position + 1}: ")


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("tenant:x acton:y", 9, 'there is no filter "acton"; .*did you mean "action"'),
        ("outcome:sucess", 0, 'expected one of unknown, success, .*did you mean "success"'),
        ("severity:WARN", 0, 'did you mean "WARNING"'),
        ("min_severity:warn", 0, 'did you mean "WARNING"'),
        ("ip:10.0.0.300", 0, "no address or network"),
        ("ip:10.0.0.1/8", 0, "the network is 10.0.0.0/8"),
        ("ip:fe80::1%eth0", 0, "zone is not stored"),
        ("event:abc", 0, "no UUID; expected a UUID"),
        ("country:Germany", 0, "two letters"),
        ("since:yesterdy", 0, "this is no time; expected a time such as"),
        ("since:2026-03-29T02:30[Europe/Berlin]", 0, "is skipped when the clocks change in Europe/Berlin"),
        ("since:2026-01-01T00:00[Europe/Berln]", 0, 'did you mean "Europe/Berlin"'),
        ('target:"campaign"', 0, "the type is missing; expected type/id"),
        ('text:" "', 0, "no word"),
    ],
)
def test_a_value_without_meaning_is_refused_with_what_was_expected(text: str, position: int, message: str) -> None:
    question = asked(text)
    with pytest.raises(InvalidFilter, match=message) as raised:
        question.where(Parameters())
    assert raised.value.position == position


def test_a_value_that_is_no_text_or_too_long_is_refused() -> None:
    for value, message in (("\udc80", "no valid Unicode"), ("x" * 5000, "more than 4096")):
        with pytest.raises(InvalidFilter, match=message):
            condition(Term("actor", value), Parameters(), asked().clock)


def test_size_and_depth_are_bounded() -> None:
    for text, message in (
        ("(" * 50 + "a:1" + ")" * 50, "levels"),
        ("-" * 50 + "a:1", "levels"),
        (" ".join(["a:1"] * (MAX_TERMS + 1)), "too many terms"),
        ("x" * 30_000, "too long"),
    ):
        with pytest.raises(InvalidFilter, match=message):
            parse(text)
    assert depth(parse("-" * (MAX_DEPTH - 1) + "a:1")) == MAX_DEPTH


def test_values_never_become_part_of_the_statement() -> None:
    parameters = Parameters()
    sql = asked("actor:MARK_A action:MARK_B* text:MARK_C ip:10.0.0.0/8 detail:MARK_D=MARK_E").where(parameters)
    assert "MARK" not in sql
    assert "10." not in sql
    bound = {str(v) for v in parameters.values.values()}
    assert {"MARK_A", "MARK_B", "MARK_C", "MARK_D", "MARK_E", "::ffff:10.0.0.0"} <= {
        v.replace("::ffff:a00:0", "::ffff:10.0.0.0") for v in bound
    }


def test_equal_trees_have_equal_digests_wherever_they_stand() -> None:
    assert canonical(parse("a:1 b:2")) == canonical(parse("  a:1   b:2"))
    texts = ["a:1", "-a:1", "a:1 b:2", "b:2 a:1", "a:1 OR b:2", "a:2", "b:1", "", "-()"]
    assert len({canonical(parse(t)) for t in texts}) == len(texts)


def test_only_terms_that_every_match_fulfils_are_required() -> None:
    expression = parse("a:1 (b:2 OR c:3) -d:4 (e:5 f:6)")
    assert [t.name for t in required_terms(expression)] == ["a", "e", "f"]
    assert [t.name for t in terms(expression)] == ["a", "b", "c", "d", "e", "f"]
