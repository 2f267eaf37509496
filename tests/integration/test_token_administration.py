"""Administering tokens within one's own scope and rights, on the real engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_log import Records
from query.access import (
    Caller,
    Forbidden,
    Scope,
    Token,
    TokenAdministration,
    TokenInvalid,
    TokenStore,
    TokenUnknown,
)
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings

CALLER = Caller("req-1", "203.0.113.7")
ACME = Scope(("acme",))


@pytest.fixture
def store(chdb_settings: ClickHouseSettings) -> Iterator[TokenStore]:
    connections = Connections(chdb_settings)
    Migrator(connections).migrate()
    yield TokenStore(connections)
    connections.close()


def admin(store: TokenStore, scope: Scope = ACME) -> Token:
    return store.create("admin", "administrator", scope)[0]


def test_what_is_made_and_revoked_is_recorded_without_the_secret(store: TokenStore) -> None:
    records, by = Records(), admin(store)
    administration = TokenAdministration(store, records)
    token, secret = administration.create(by, CALLER, "desk", "auditor", Scope(("acme",), ("shop",)))
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


@pytest.mark.parametrize("scope", [Scope(), Scope(("globex",)), Scope(("acme", "globex"))])
def test_nobody_makes_a_token_that_reaches_more_than_the_own(store: TokenStore, scope: Scope) -> None:
    with pytest.raises(Forbidden, match="reaches more than your own"):
        TokenAdministration(store, Records()).create(admin(store), CALLER, "x", "auditor", scope)
    assert [t.name for t in store.tokens()] == ["admin"]


def test_nobody_gives_a_right_that_is_not_the_own(store: TokenStore) -> None:
    administration, by = TokenAdministration(store, Records()), admin(store, Scope())
    with pytest.raises(Forbidden, match="rights that yours has not: erase"):
        administration.create(by, CALLER, "x", "erasure_officer", Scope())
    assert "erasure_officer" not in administration.roles(by)
    assert administration.create(by, CALLER, "x", "administrator", Scope())[0].role == "administrator"
    with pytest.raises(TokenInvalid):
        administration.create(by, CALLER, "x", "root", Scope())


@pytest.mark.parametrize("role", ["auditor", "operator", "exporter", "erasure_officer"])
def test_without_the_right_there_are_no_tokens_at_all(store: TokenStore, role: str) -> None:
    by = store.create("reader", role, Scope())[0]
    administration = TokenAdministration(store, Records())
    with pytest.raises(Forbidden, match="'tokens' is needed"):
        administration.tokens(by)
    with pytest.raises(Forbidden, match="'tokens' is needed"):
        administration.create(by, CALLER, "x", role, Scope())
    with pytest.raises(Forbidden, match="'tokens' is needed"):
        administration.revoke(by, CALLER, by.token_id)
