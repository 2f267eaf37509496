"""What `auditstream serve` puts together from settings alone: sign-in at a provider, tokens, readiness, records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from auditstream.http_server import serving
from auditstream.reading import opened_app
from auditstream.settings import Settings
from infrastructure.clickhouse import fresh_database
from infrastructure.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, open_identity_provider
from infrastructure.ports import LOOPBACK, free_port, wait_until
from query.web.oidc import BEGIN_PATH, CALLBACK_PATH
from sinks.connection import Connections
from sinks.migrate import Migrator
from sinks.settings import ClickHouseSettings

_RULES = [
    {"claim": "groups", "value": "admins", "role": "administrator", "tenants": ["acme"]},
    {"claim": "groups", "value": "readers", "role": "auditor", "tenants": ["globex"]},
]
_PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {"name": "Ann", "email": "ann@example.com", "groups": ["admins"]},
    "cy": {"name": "Cy", "groups": ["readers"]},
    "bob": {"name": "Bob", "groups": []},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with open_identity_provider() as opened:
        opened.people = _PEOPLE
        yield opened


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spools")


@pytest.fixture(scope="module")
def url(chdb_path: Path, provider: IdentityProvider, spool: Path) -> Iterator[str]:
    database = fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))
    connections = Connections(database)
    Migrator(connections).migrate()
    connections.close()
    port = free_port()
    provider.redirect_uris = {f"http://{LOOPBACK}:{port}{CALLBACK_PATH}"}
    settings = Settings.model_validate(
        {
            "clickhouse": database,
            "kafka": {"bootstrap_servers": f"{LOOPBACK}:9"},
            "registry": {"url": "mock://oidc-served", "cache_dir": spool / "cache"},
            "http": {"port": port, "stop_s": 1.0},
            "access": {"spool_dir": spool / "access"},
            "export": {"storage": str(spool / "exports"), "audit_spool_dir": spool / "export"},
            "resend": {"spool_dir": spool / "resend"},
            "oidc": {
                "issuer": provider.issuer,
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "rules": _RULES,
            },
        }
    )
    with opened_app(settings) as (app, service), serving(app, service, settings.http) as address:
        yield address


def signed_in(url: str, login: str) -> tuple[httpx.Client, httpx.Response]:
    """Sign in as a browser does, and return it with the answer to its way back."""
    browser = httpx.Client(base_url=url)
    begun = browser.get(BEGIN_PATH, params={"next": "/access"})
    back = httpx.post(begun.headers["location"], data={"login": login}).headers["location"]
    return browser, browser.get(back)


def recorded(spool: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (spool / "access").rglob("*") if path.is_file())


def test_people_get_their_roles_and_every_sign_in_is_recorded_for_its_tenant(url: str, spool: Path) -> None:
    ann, answer = signed_in(url, "ann")
    assert answer.headers["location"] == "/access"
    assert "tenant acme" in ann.get("/access").text
    cy, _ = signed_in(url, "cy")
    assert cy.get("/access").status_code == 403
    bob, refused = signed_in(url, "bob")
    assert refused.status_code == 403
    assert bob.get("/access").status_code == 303
    on_disk = recorded(spool)
    for told in (b"auth.login", b"auth.login_failed", b"id-of-ann", b"id-of-cy", b"no rule gives this person a role"):
        assert told in on_disk
    assert on_disk.count(b"access.denied") == 1
    for browser in (ann, cy, bob):
        browser.close()


def test_it_is_ready_and_says_that_its_sessions_end_with_it(url: str) -> None:
    def ready() -> httpx.Response:
        return httpx.get(f"{url}/health/ready", timeout=30.0)

    # On a busy machine the database may answer too late for the first look.
    wait_until(lambda: ready().status_code == httpx.codes.OK, timeout_s=60.0, what="readiness", every_s=1.1)
    assert ready().json() == {
        "status": "ready",
        "checks": {"database": "ok", "records": "ok"},
        "page_session_key": "random",
    }


def test_neither_the_secret_nor_a_token_of_the_provider_reaches_the_browser_or_the_disk(
    url: str, provider: IdentityProvider, spool: Path
) -> None:
    ann, _ = signed_in(url, "ann")
    held = " ".join([*ann.cookies.values(), ann.get("/access").text]) + recorded(spool).decode(errors="replace")
    assert len(provider.issued) >= 2
    assert [secret for secret in (CLIENT_SECRET, *provider.issued) if secret in held] == []
    ann.close()
