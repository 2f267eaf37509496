"""Administering tokens within one's own scope and rights, on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_log import Records
from infrastructure.clickhouse import fresh_database
from query.access import (
    Caller,
    Forbidden,
    Scope,
    Token,
    TokenAdministration,
    TokenInvalid,
    TokenRequest,
    TokenStore,
    TokenUnknown,
)
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings

CALLER = Caller("req-1", "203.0.113.7")
ACME = Scope(("acme",))


@pytest.fixture(scope="module")
def connections(chdb_path: Path) -> Iterator[Connections]:
    opened = Connections(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path)))
    Migrator(opened).migrate()
    yield opened
    opened.close()


@pytest.fixture
def store(connections: Connections) -> TokenStore:
    connections.command(f"TRUNCATE TABLE {connections.settings.database}.api_tokens")
    return TokenStore(connections)


def everywhere(role: str) -> TokenRequest:
    return TokenRequest("x", role, all_tenants=True)


def admin(store: TokenStore, scope: Scope = ACME) -> Token:
    return store.create("admin", "administrator", scope)[0]


def test_what_is_made_and_revoked_is_recorded_without_the_secret(store: TokenStore) -> None:
    records, by = Records(), admin(store)
    administration = TokenAdministration(store, records)
    token, secret = administration.create(by, CALLER, TokenRequest("desk", "auditor", ("acme",), projects=("shop",)))
    found = store.find(secret)
    assert found
    assert (found.token_id, found.created_by) == (token.token_id, by.token_id)
    assert administration.revoke(by, CALLER, token.token_id).revoked_at
    administration.revoke(by, CALLER, token.token_id)
    create, revoke = records.changes
    assert (create.code, create.target_id, create.by) == ("access.token_create", token.token_id, by)
    assert dict(create.values) == {"role": (None, "auditor"), "tenants": (None, ["acme"]), "projects": (None, ["shop"])}
    assert (revoke.code, revoke.target_name) == ("access.token_revoke", "desk")
    assert secret not in repr(records.changes)


def test_tokens_beyond_the_own_scope_are_neither_seen_nor_changed(store: TokenStore) -> None:
    records, by = Records(), admin(store)
    other = store.create("other", "auditor", Scope(("globex",)))[0]
    everywhere = store.create("everywhere", "auditor", Scope())[0]
    own = store.create("own", "auditor", Scope(("acme",), ("shop",)))[0]
    administration = TokenAdministration(store, records)
    assert {t.token_id for t in administration.tokens(by)} == {by.token_id, own.token_id}
    for token in (other, everywhere):
        with pytest.raises(TokenUnknown):
            administration.revoke(by, CALLER, token.token_id)
    assert {t.name for t in store.tokens() if t.revoked_at} == set()
    assert records.changes == []


@pytest.mark.parametrize("tenants", [(), ("globex",), ("acme", "globex")])
def test_nobody_makes_a_token_that_reaches_more_than_the_own(store: TokenStore, tenants: tuple[str, ...]) -> None:
    asked = TokenRequest("x", "auditor", tenants, all_tenants=not tenants)
    with pytest.raises(Forbidden, match="reaches more than your own"):
        TokenAdministration(store, Records()).create(admin(store), CALLER, asked)
    assert [t.name for t in store.tokens()] == ["admin"]


def test_nobody_gives_a_right_that_is_not_the_own(store: TokenStore) -> None:
    administration, by = TokenAdministration(store, Records()), admin(store, Scope())
    with pytest.raises(Forbidden, match="rights that yours has not: erase"):
        administration.create(by, CALLER, everywhere("erasure_officer"))
    assert "erasure_officer" not in administration.roles(by)
    assert administration.create(by, CALLER, everywhere("administrator"))[0].role == "administrator"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (TokenRequest("x", "root", ("acme",)), "there is no role 'root'"),
        (TokenRequest("x", "auditor"), "name the tenants"),
        (TokenRequest("x", "auditor", ("acme",), all_tenants=True), "name the tenants"),
        (TokenRequest(" ", "auditor", ("acme",)), "needs a name"),
        (TokenRequest("x", "own_events", ("acme",)), "needs the id of the actor"),
        (TokenRequest("x", "auditor", ("acme",), record_kinds=("gossip",)), "there is no record kind gossip"),
        (TokenRequest("x", "auditor", ("acme",), days=0), "expected 1 to 36500"),
        (TokenRequest("x", "auditor", ("acme",), days=40_000), "expected 1 to 36500"),
    ],
)
def test_a_token_that_contradicts_itself_is_not_made(store: TokenStore, asked: TokenRequest, told: str) -> None:
    records, by = Records(), admin(store)
    with pytest.raises(TokenInvalid, match=told):
        TokenAdministration(store, records).create(by, CALLER, asked)
    assert ([t.name for t in store.tokens()], records.changes) == (["admin"], [])


@pytest.mark.parametrize("role", ["auditor", "operator", "exporter", "erasure_officer"])
def test_without_the_right_there_are_no_tokens_at_all(store: TokenStore, role: str) -> None:
    by = store.create("reader", role, Scope())[0]
    administration = TokenAdministration(store, Records())
    with pytest.raises(Forbidden, match="'tokens' is needed"):
        administration.tokens(by)
    with pytest.raises(Forbidden, match="'tokens' is needed"):
        administration.create(by, CALLER, everywhere(role))
    with pytest.raises(Forbidden, match="'tokens' is needed"):
        administration.revoke(by, CALLER, by.token_id)
