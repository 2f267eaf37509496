"""Tokens, roles and scopes, before any database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from query import All, to_text
from query.access import ROLES, Right, Scope, SignInFailed, Token, TokenInvalid
from query.access.personal import PersonalData, masked
from query.access.token import check_secret, new_secret, new_token_id, recognised, secret_digest
from query.fields import event_fields
from schemas.catalogue import PERSONAL_FIELDS, Catalogue

NOW = datetime(2026, 6, 15, tzinfo=UTC)
PERSONAL = PersonalData.of(Catalogue.load())


def token(**values: object) -> Token:
    given: Mapping[str, object] = {"role": "auditor", "scope": Scope(), "name": "n", **values}
    return Token(token_id="tok_aaaaaaaaaa", created_at=NOW, **given)  # type: ignore[arg-type]


def test_a_secret_has_256_random_bits_and_is_recognised_by_its_beginning() -> None:
    token_id = new_token_id()
    secrets = {new_secret(token_id) for _ in range(100)}
    assert len(secrets) == 100
    assert all(re.fullmatch(rf"{token_id}_[A-Za-z0-9_-]{{43}}", s) for s in secrets)
    assert {recognised(s) for s in secrets} == {token_id}
    assert recognised("abcdefghijklmnqrstuvwxyz") == ""


def test_only_the_digest_of_a_secret_is_compared() -> None:
    assert secret_digest("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("secret", ["short", "a" * 23, "a" * 30 + " ", "ä" * 30, "a" * 30 + "\n"])
def test_a_secret_of_ones_own_that_is_short_or_odd_is_refused(secret: str) -> None:
    with pytest.raises(TokenInvalid):
        check_secret(secret)


def test_a_token_opens_nothing_after_its_expiry_or_revocation() -> None:
    token(expires_at=NOW + timedelta(seconds=1)).check_usable(NOW)
    with pytest.raises(SignInFailed, match="expired"):
        token(expires_at=NOW).check_usable(NOW)
    with pytest.raises(SignInFailed, match="revoked"):
        token(revoked_at=NOW - timedelta(days=1)).check_usable(NOW)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"name": " "}, "name"),
        ({"role": "root"}, "root"),
        ({"role": "own_events"}, "actor"),
    ],
)
def test_a_token_that_contradicts_itself_is_refused(values: dict[str, object], named: str) -> None:
    with pytest.raises(TokenInvalid, match=named):
        token(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"record_kinds": ("actoin",)},
        {"tenants": ("",)},
        {"actor_id": "u-1"},
        {"actor_id": "u-1", "tenants": ("a", "b")},
    ],
)
def test_a_scope_that_means_nothing_is_refused(values: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(TokenInvalid):
        Scope(**values)  # type: ignore[arg-type]


def test_a_scope_is_an_expression_of_all_its_parts() -> None:
    scope = Scope(("a", "b"), ("p",), (), ("task",), "")
    assert to_text(scope.expression()) == "(tenant:a OR tenant:b) project:p kind:task"
    assert to_text(Scope(("a",), actor_id="u").expression()) == "tenant:a actor_id:u"
    assert Scope().expression() == All()


def test_every_role_reads_events_and_only_some_see_more() -> None:
    assert all(Right.EVENTS in rights for rights in ROLES.values())
    assert [role for role, rights in ROLES.items() if Right.LEDGER in rights] == ["administrator"]
    assert [role for role, rights in ROLES.items() if Right.ERASE in rights] == ["erasure_officer"]
    assert [role for role, rights in ROLES.items() if Right.RESEND in rights] == ["operator", "administrator"]
    assert ROLES["operator"] - {Right.RESEND} == ROLES["auditor"]
    assert [role for role, rights in ROLES.items() if Right.PERSONAL not in rights] == ["exporter"]


def test_every_personal_field_is_a_field_of_a_row() -> None:
    assert len(PERSONAL.always) == len(PERSONAL_FIELDS)
    assert {name.partition(".")[0] for name in PERSONAL.always} <= set(event_fields())


def test_masking_leaves_what_is_empty_and_hides_the_rest_by_its_type() -> None:
    row = {
        "actor_name": "Ann",
        "actor_login": "",
        "ip": "1.2.3.4",
        "ip_chain": ["1.2.3.4"],
        "changes": [{"field": "name", "before": "Ann", "after": None}],
        "details": {"addresses": "a@x.com", "other": "kept"},
        "geo_lat": 1.5,
        "tenant_id": "acme",
    }
    names = ["actor_name", "actor_login", "ip", "ip_chain", "changes.before", "details.addresses", "geo_lat", "absent"]
    assert masked(row, names) == {
        "actor_name": "[masked]",
        "actor_login": "",
        "ip": "[masked]",
        "ip_chain": ["[masked]"],
        "changes": [{"field": "name", "before": "[masked]", "after": None}],
        "details": {"addresses": "[masked]", "other": "kept"},
        "geo_lat": None,
        "tenant_id": "acme",
    }
    assert row["actor_name"] == "Ann"
    assert masked(row, ["actor_name"], blank=True)["actor_name"] == ""


@pytest.mark.parametrize(
    ("own", "other", "within"),
    [
        (Scope(), Scope(), True),
        (Scope(("acme",)), Scope(), True),
        (Scope(), Scope(("acme",)), False),
        (Scope(("acme",)), Scope(("acme", "globex")), True),
        (Scope(("acme", "globex")), Scope(("acme",)), False),
        (Scope(("acme",), ("shop",)), Scope(("acme",)), True),
        (Scope(("acme",)), Scope(("acme",), ("shop",)), False),
        (Scope(products=("email",)), Scope(record_kinds=("auth",)), False),
        (Scope(("acme",), actor_id="u"), Scope(("acme",)), True),
        (Scope(("acme",)), Scope(("acme",), actor_id="u"), False),
        (Scope(("acme",), actor_id="v"), Scope(("acme",), actor_id="u"), False),
    ],
)
def test_a_scope_lies_within_another_when_it_reaches_nothing_beyond_it(own: Scope, other: Scope, within: bool) -> None:
    assert own.within(other) == within
