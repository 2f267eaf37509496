"""``auditstream tokens``: who may read over HTTP."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click

from auditstream.change_trail import ChangesNotRecorded, ChangeTrail, change_trail
from auditstream.logs import configure_logging
from auditstream.output import format_option, print_rows
from auditstream.settings import Settings, load_settings
from query.access import ROLES, AccessError, Scope, Token, TokenInvalid, TokenStore
from query.access.administration import TOKEN_CREATE, TOKEN_REVOKE, created_values, revoked_values
from query.filters import enum_values
from sinks.connection import Connections

_COLUMNS = ("token_id", "name", "role", "state", "scope", "expires_at", "last_used_at", "created_at", "created_by")


@click.group()
def tokens() -> None:
    """Make, list and revoke the tokens by which the log is read over HTTP."""


@tokens.command(epilog="Example: auditstream tokens create 'support desk' --role auditor --tenant acme --days 90")
@click.argument("name")
@click.option("--role", type=click.Choice(list(ROLES)), required=True, help="What it may do.")
@click.option("--tenant", "tenants", multiple=True, help="Tenant that it reaches; repeat for several.")
@click.option("--all-tenants", is_flag=True, help="It reaches every tenant.")
@click.option("--project", "projects", multiple=True, help="Only this project, by id or slug.")
@click.option("--product", "products", multiple=True, help="Only this product.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(enum_values("record_kind")), help="Only this kind of record."
)
@click.option("--actor-id", default="", help="Only what this actor did; needs exactly one --tenant.")
@click.option("--days", type=click.IntRange(min=1, max=36_500), help="Days until it expires.  [default: never]")
@click.option(
    "--secret-stdin", is_flag=True, help="Take the secret from standard input: for callers that cannot be changed."
)
def create(
    name: str,
    role: str,
    tenants: tuple[str, ...],
    *,
    all_tenants: bool,
    projects: tuple[str, ...],
    products: tuple[str, ...],
    kinds: tuple[str, ...],
    actor_id: str,
    days: int | None,
    secret_stdin: bool,
) -> None:
    """Make a token and print its secret, which is shown this once and kept nowhere.

    NAME says what the token is for. Without --tenant, --all-tenants has to be given. That it was made becomes an audit
    event, which waits on disk while Kafka is away; where it cannot be kept at all, no token is made.
    """
    if bool(tenants) == all_tenants:
        raise click.UsageError("give --tenant at least once, or --all-tenants")
    secret = sys.stdin.readline().strip() if secret_stdin else None
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    settings = load_settings()
    with _store(settings) as store, change_trail(settings, _report) as trail:
        scope = Scope(tenants, projects, products, kinds, actor_id)
        token, shown = store.create(
            name, role, scope, expires_at=expires_at, created_by=getpass.getuser(), secret=secret
        )
        if trail:
            _record_creation(trail, store, token)
    click.echo(f"{token.token_id}: {token.role}, {scope.described()}", err=True)
    if secret is None:
        click.echo("the secret, shown this once:", err=True)
        click.echo(shown)


@tokens.command("list", epilog="Example: auditstream tokens list --format json")
@format_option
def list_tokens(*, fmt: str) -> None:
    """List all tokens, those made last first; secrets are not kept and cannot be listed."""
    with _store(load_settings()) as store:
        print_rows([_row(token) for token in store.tokens()], _COLUMNS, fmt)


@tokens.command(epilog="Example: auditstream tokens revoke tok_k7m2n9p4qx")
@click.argument("token_id")
def revoke(token_id: str) -> None:
    """Revoke a token; running servers see it within access.cache_s seconds.

    A token is revoked also when the audit event that tells of it cannot be kept; that is said.
    """
    settings = load_settings()
    with _store(settings) as store:
        before = store.find_id(token_id)
        token = store.revoke(token_id)
    click.echo(f"{token.token_id} ({token.name}) is revoked", err=True)
    if before is None or before.revoked_at is None:
        _record_revocation(settings, token)


def _record_creation(trail: ChangeTrail, store: TokenStore, token: Token) -> None:
    try:
        trail.changed(TOKEN_CREATE, _target(token), created_values(token))
    except ChangesNotRecorded:
        # Nobody has seen its secret yet.
        store.revoke(token.token_id)
        raise


def _record_revocation(settings: Settings, token: Token) -> None:
    try:
        with change_trail(settings, _report) as trail:
            if trail:
                trail.changed(TOKEN_REVOKE, _target(token), revoked_values(token))
    except ChangesNotRecorded as error:
        _report(str(error))


@contextmanager
def _store(settings: Settings) -> Iterator[TokenStore]:
    # To standard error: standard output is for the secret.
    configure_logging(settings.log)
    connections = Connections(settings.clickhouse)
    try:
        yield TokenStore(connections)
    except (AccessError, ChangesNotRecorded) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2 if isinstance(error, TokenInvalid) else 1)
    finally:
        connections.close()


def _report(sentence: str) -> None:
    click.echo(f"Warning: {sentence}", err=True)


def _target(token: Token) -> tuple[str, str, str]:
    return "api_token", token.token_id, token.name


def _row(token: Token) -> dict[str, object]:
    row = {name: getattr(token, name, None) for name in _COLUMNS}
    return {**row, "state": token.state(datetime.now(UTC)), "scope": token.scope.described()}
