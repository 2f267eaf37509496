"""Whatever is asked: a token never sees a row outside of its scope, and masking is never undone by asking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrastructure.clickhouse import fresh_database
from query import START, All, AnyOf, Expression, InvalidCursor, Not, Question, Reader, Term
from query.access import Forbidden, PersonalData, Scope, ScopedReader, Token
from query.question import SortName
from query_log import NOW, address, at, open_log
from schemas.catalogue import Catalogue
from sinks.settings import ClickHouseSettings

TENANTS = ("acme", "globex", "initech")
CATALOGUE = Catalogue.load()
PERSONAL = PersonalData.of(CATALOGUE)
FIELDS = ("tenant_id", "project_id", "product", "record_kind", "actor_id", "actor_name")


@dataclass(frozen=True)
class Case:
    """A scope, and what a row within it looks like."""

    scope: Scope

    def holds(self, row: dict[str, object]) -> bool:
        scope = self.scope
        pairs = (
            (scope.tenants, row["tenant_id"]),
            (scope.projects, row["project_id"]),
            (scope.products, row["product"]),
            (scope.record_kinds, row["record_kind"]),
            ((scope.actor_id,) if scope.actor_id else (), row["actor_id"]),
        )
        return all(not allowed or value in allowed for allowed, value in pairs)


def stored() -> list[dict[str, object]]:
    """Every combination of tenant, project, product, kind and actor that a scope tells apart."""
    rows: list[dict[str, object]] = []
    for number in range(96):
        kind = ("action", "task", "auth", "access")[number // 24 % 4]
        rows.append(
            {
                "tenant_id": TENANTS[number % 3],
                "project_id": f"p{number // 3 % 2}",
                "product": ("crm", "mail")[number // 6 % 2],
                "record_kind": kind,
                "actor_id": f"u{number // 12 % 2}",
                "actor_name": "Ann",
                "event_code": "user.update" if number % 2 else "campaign.activate",
                "target_type": "user",
                "target_id": f"o{number % 4}",
                "task_id": f"t{number % 5}" if kind == "task" else "",
                "task_state_seq": number,
                "ip": address(f"10.0.0.{number % 5}"),
                "outcome": ("success", "failure")[number % 2],
                "occurred_at": at("2026-06-15T00:00:00") + number,
            }
        )
    return rows


@pytest.fixture(scope="module")
def reader(chdb_path: Path) -> Iterator[Reader]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as log:
        log.store(stored(), dead=[])
        yield log.reader


def scoped(reader: Reader, role: str, scope: Scope) -> ScopedReader:
    return ScopedReader(reader, Token("tok_test", "test", role, scope, datetime.now(UTC)), CATALOGUE, PERSONAL)


SCOPES = st.one_of(
    st.builds(
        Scope,
        tenants=st.lists(st.sampled_from(TENANTS), min_size=1, max_size=2, unique=True).map(tuple),
        projects=st.sampled_from([(), ("p0",), ("p0", "p9")]),
        products=st.sampled_from([(), ("crm",)]),
        record_kinds=st.sampled_from([(), ("action", "task"), ("access",)]),
    ),
    st.builds(Scope, tenants=st.sampled_from([("acme",), ("globex",)]), actor_id=st.sampled_from(["u0", "u1"])),
)
TERMS = st.one_of(
    st.builds(Term, st.just("tenant"), st.sampled_from([*TENANTS, "", "*", "acme' OR 1=1 --"])),
    st.builds(Term, st.just("project"), st.sampled_from(["p0", "p1", ""])),
    st.builds(Term, st.just("product"), st.sampled_from(["crm", "mail"])),
    st.builds(Term, st.just("kind"), st.sampled_from(["action", "task", "access"])),
    st.builds(Term, st.just("actor_id"), st.sampled_from(["u0", "u1"])),
    st.builds(Term, st.just("outcome"), st.sampled_from(["success", "failure"])),
    st.builds(Term, st.just("action"), st.sampled_from(["*", "campaign.*", "user.update"])),
    st.builds(Term, st.just("since"), st.sampled_from(["1970-01-01", "24h"])),
)
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
MODEST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MODEST
@given(scope=SCOPES, expression=EXPRESSIONS, sort=st.sampled_from(get_args(SortName)), descending=st.booleans())
def test_no_question_reaches_a_row_outside_of_the_scope(
    reader: Reader, scope: Scope, expression: Expression, sort: SortName, descending: bool
) -> None:
    case, question = Case(scope), Question(expression, sort, descending, now=NOW)
    one = scoped(reader, "auditor", scope)
    within = [r for r in reader.page(question, limit=1000, fields=FIELDS).rows if case.holds(r)]
    page = one.page(question, limit=1000, fields=FIELDS).rows
    assert page == within
    assert one.count(question) == len(within)
    assert sum(bucket.events for bucket in one.histogram(question, "day")) == len(within)
    counted = {value.value: value.events for value in one.facet(question, "tenant")}
    assert sum(counted.values()) == len(within)
    assert not scope.tenants or set(counted) <= set(scope.tenants)
    arrived = one.arrivals(question, START, fields=FIELDS).rows
    assert sorted(map(str, arrived)) == sorted(map(str, within))
    assert all(case.holds(r) for r in one.latest_states("task", question, limit=1000, fields=FIELDS).rows)


@MODEST
@given(scope=SCOPES, expression=EXPRESSIONS, other=SCOPES)
def test_a_cursor_of_another_token_opens_nothing_more(
    reader: Reader, scope: Scope, expression: Expression, other: Scope
) -> None:
    question = Question(expression, now=NOW)
    cursor = scoped(reader, "auditor", other).page(question, limit=1, fields=FIELDS).next_cursor
    if cursor is None:
        return
    try:
        rows = scoped(reader, "auditor", scope).page(question, limit=1000, cursor=cursor, fields=FIELDS).rows
    except InvalidCursor:
        return
    assert all(map(Case(scope).holds, rows))


@MODEST
@given(
    expression=EXPRESSIONS,
    personal=st.sampled_from([Term("object_id", "o1"), Term("object", "user/o1"), Term("target", "user/o1")]),
    negated=st.booleans(),
)
def test_who_sees_masked_fields_learns_nothing_by_filtering_for_them(
    reader: Reader, expression: Expression, personal: Term, negated: bool
) -> None:
    # target_id is personal in events of users.
    one = scoped(reader, "exporter", Scope())
    asked = AnyOf((expression, Not(personal) if negated else personal))
    rows = one.page(Question(asked, now=NOW), limit=1000, fields=["event_code", "target_id"]).rows
    assert {r["event_code"] for r in rows} <= {"campaign.activate"}
    everything = one.page(Question(now=NOW), limit=1000, fields=["event_code", "target_id", "actor_name"]).rows
    assert {r["target_id"] for r in everything if r["event_code"] == "user.update"} == {"[masked]"}
    assert {r["actor_name"] for r in everything} == {"[masked]"}


@pytest.mark.parametrize("name", ["actor", "login", "name", "email", "attempted_login", "department", "ip", "text"])
def test_filters_by_personal_fields_are_refused_to_who_sees_them_masked(reader: Reader, name: str) -> None:
    value = "10.0.0.1" if name == "ip" else "ann"
    for expression in (Term(name, value), Not(Term(name, value)), AnyOf((Term("tenant", "x"), Term(name, value)))):
        with pytest.raises(Forbidden, match="personal"):
            scoped(reader, "exporter", Scope()).count(Question(expression, now=NOW))


@pytest.mark.parametrize("sort", ["user", "ip"])
def test_sorts_by_personal_fields_are_refused_to_who_sees_them_masked(reader: Reader, sort: SortName) -> None:
    # The order alone tells, and the cursor holds the value.
    with pytest.raises(Forbidden, match="personal"):
        scoped(reader, "exporter", Scope()).page(Question(sort=sort, now=NOW), limit=1)


@pytest.mark.parametrize("facet", ["login", "department", "ip"])
def test_facets_of_personal_fields_are_refused_to_who_sees_them_masked(reader: Reader, facet: str) -> None:
    with pytest.raises(Forbidden, match="personal"):
        scoped(reader, "exporter", Scope()).facet(Question(now=NOW), facet)
