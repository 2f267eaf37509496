"""From claims to a role and a scope, and what a rule must not say."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from auditstream.cli import cli
from auditstream.settings import SettingsError, load_settings
from query.access import Identity, Scope, identity_id
from query.oidc import SignInRefused, grant_of, recall, remember
from query.oidc_settings import OidcRule, OidcSettings

ISSUER = "https://id.example"


def rule(claim: str, value: str, role: str = "auditor", **more: Any) -> OidcRule:
    return OidcRule(claim=claim, value=value, role=role, **(more or {"tenants": ("acme",)}))


def test_the_first_rule_that_matches_counts() -> None:
    rules = (rule("groups", "log-admins", "administrator", all_tenants=True), rule("groups", "log-*"))
    both = grant_of(rules, {"groups": ["log-readers", "log-admins"]})
    one = grant_of(rules, {"groups": ["log-readers"]})
    assert both
    assert one
    assert (both.role, both.scope) == ("administrator", Scope())
    assert (one.role, one.scope) == ("auditor", Scope(("acme",)))
    assert grant_of(rules, {"groups": ["staff"]}) is None
    assert grant_of(rules, {}) is None


def test_a_rule_narrows_by_tenants_projects_products_and_kinds() -> None:
    narrow = rule("hd", "*", tenants=("acme", "globex"), projects=("shop",), products=("email",), kinds=("auth",))
    found = grant_of((narrow,), {"hd": "example.com"})
    assert found
    assert found.scope == Scope(("acme", "globex"), ("shop",), ("email",), ("auth",))


@pytest.mark.parametrize(
    ("claims", "matches"),
    [
        ({"realm_access": {"roles": ["reader"]}}, True),
        ({"realm_access.roles": "reader"}, True),
        ({"realm_access": {"roles": "reader"}}, True),
        ({"realm_access": {"roles": [["reader"], {"a": "reader"}, None, 7]}}, False),
        ({"realm_access": "reader"}, False),
        ({"realm_access": {"Roles": ["reader"]}}, False),
        ({"realm_access": {"roles": ["Reader", "readers"]}}, False),
    ],
)
def test_a_claim_is_found_by_its_name_or_its_path_and_compared_whole(claims: dict[str, Any], matches: bool) -> None:
    assert (grant_of((rule("realm_access.roles", "reader"),), claims) is not None) == matches


def test_an_address_counts_only_when_the_provider_has_verified_it() -> None:
    rules = (rule("email", "*@example.com"),)
    assert grant_of(rules, {"email": "ann@example.com"}) is None
    assert grant_of(rules, {"email": "ann@example.com", "email_verified": "true"}) is None
    assert grant_of(rules, {"email": "ann@example.com", "email_verified": True})


def test_tenants_and_the_actor_come_from_claims() -> None:
    own = rule("sub", "*", "own_events", tenants_claim="org", actor_claim="staff_id")
    found = grant_of((own,), {"sub": "x", "org": ["acme"], "staff_id": 7})
    assert found
    assert found.scope == Scope(("acme",), actor_id="7")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "x", "org": "acme"},
        {"sub": "x", "staff_id": "7"},
        {"sub": "x", "org": [], "staff_id": "7"},
        {"sub": "x", "org": "", "staff_id": "7"},
        {"sub": "x", "org": ["acme", "globex"], "staff_id": "7"},
        {"sub": "x", "org": "acme", "staff_id": ""},
        {"sub": "x", "org": "acme", "staff_id": ["7", "8"]},
    ],
)
def test_a_rule_without_the_claims_it_takes_from_does_not_match_rather_than_reach_everything(
    claims: dict[str, Any],
) -> None:
    own = rule("sub", "*", "own_events", tenants_claim="org", actor_claim="staff_id")
    assert grant_of((own,), claims) is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"role": "root", "all_tenants": True}, "there is no role 'root'"),
        ({"role": "auditor"}, "exactly one of tenants, tenants_claim and all_tenants"),
        ({"role": "auditor", "all_tenants": True, "tenants": ("a",)}, "exactly one of tenants"),
        ({"role": "own_events", "tenants": ("a",)}, "needs actor_claim"),
        ({"role": "own_events", "all_tenants": True, "actor_claim": "sub"}, "within its tenant only"),
        ({"role": "auditor", "tenants": ("a",), "kinds": ("gossip",)}, "there is no record kind gossip"),
        ({"role": "auditor", "tenants": ("a", "")}, "is empty"),
        ({"role": "auditor", "tenants": ("a",), "actor_claim": "sub", "tenant": "b"}, "Extra inputs"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        OidcRule(claim="groups", value="x", **fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"issuer": "http://id.example"}, "expected https"),
        ({"issuer": "id.example"}, "expected https"),
        ({"issuer": "https://["}, "expected https"),
        ({"issuer": ISSUER}, "an issuer needs oidc.client_id"),
        ({"issuer": ISSUER, "client_id": "c"}, "an issuer needs oidc.rules"),
    ],
)
def test_settings_that_could_let_nobody_in_or_be_overheard_are_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        OidcSettings(**fields)
    assert not OidcSettings().enabled


def settings(*rules: OidcRule) -> OidcSettings:
    return OidcSettings(issuer=ISSUER, client_id="c", rules=rules or (rule("groups", "x"),))


def ann(scope: Scope) -> Identity:
    return Identity(
        identity_id(ISSUER, "u-7"),
        "Ann",
        "auditor",
        scope,
        datetime(2026, 6, 15, tzinfo=UTC),
        created_by=ISSUER,
        expires_at=datetime(2026, 6, 15, 8, tzinfo=UTC),
        issuer=ISSUER,
        subject="u-7",
        email="ann@example.com",
    )


def test_a_session_gives_back_the_same_person() -> None:
    before = ann(Scope(("acme",), ("shop",), record_kinds=("auth",), actor_id="7"))
    assert before.expires_at
    kept = remember(before, settings())
    assert recall("u-7", kept, before.expires_at.timestamp(), settings()) == before


def test_a_session_ends_when_the_rules_change() -> None:
    kept = remember(ann(Scope(("acme",))), settings())
    assert recall("u-7", kept, time.time(), settings())
    assert recall("u-7", kept, time.time(), settings(rule("groups", "y"))) is None
    assert recall("u-7", kept, time.time(), OidcSettings()) is None


def test_a_scope_that_no_cookie_holds_is_refused_at_sign_in() -> None:
    with pytest.raises(SignInRefused, match="too many tenants"):
        remember(ann(Scope(tuple(f"tenant-{i}" for i in range(500)))), settings())


def test_rules_come_from_a_file_or_the_environment_and_are_listed_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "auditstream.toml"
    file.write_text(
        f'[oidc]\nissuer = "{ISSUER}"\nclient_id = "c"\nclient_secret = "hush-hush"\n'
        '[[oidc.rules]]\nclaim = "groups"\nvalue = "log-admins"\nrole = "administrator"\nall_tenants = true\n'
        '[[oidc.rules]]\nclaim = "groups"\nvalue = "log-*"\nrole = "auditor"\ntenants = ["acme"]\n'
    )
    monkeypatch.setenv("AUDITSTREAM_CONFIG", str(file))
    assert [r.role for r in load_settings().oidc.rules] == ["administrator", "auditor"]
    told = json.dumps([{"claim": "groups", "value": "x", "role": "exporter", "tenants": ["globex"]}])
    monkeypatch.setenv("AUDITSTREAM_OIDC_RULES", told)
    assert load_settings().oidc.rules == (rule("groups", "x", "exporter", tenants=("globex",)),)
    listed = CliRunner().invoke(cli, ["settings", "--changed", "--format", "json"]).stdout
    values = {row["name"]: row["value"] for row in json.loads(listed)}
    assert json.loads(values["oidc.rules"]) == json.loads(told)
    assert "hush-hush" not in listed


def test_a_wrong_rule_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITSTREAM_OIDC_RULES", '[{"claim": "g", "value": "x", "role": "root", "all_tenants": true}]')
    with pytest.raises(SettingsError, match=r"AUDITSTREAM_OIDC_RULES\.0\.role = 'root'.*there is no role 'root'"):
        load_settings()
