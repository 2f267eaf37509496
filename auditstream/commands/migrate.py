"""``auditstream migrate``: create and change the tables."""

from __future__ import annotations

import sys

import click

from auditstream.settings import load_settings
from sinks.connection import Connections
from sinks.errors import SinkError
from sinks.migrate import Migration, Migrator


@click.command(epilog="Example: auditstream migrate --dry-run")
@click.option("--dry-run", is_flag=True, help="Print the statements that would run, and change nothing.")
def migrate(*, dry_run: bool) -> None:
    """Bring the database's tables to this version; safe to repeat and to run from several places at once."""
    connections = Connections(load_settings().clickhouse)
    try:
        migrator = Migrator(connections)
        if dry_run:
            _print_pending(migrator, connections.settings.database)
        else:
            _apply(migrator)
    except SinkError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    finally:
        connections.close()


def _print_pending(migrator: Migrator, database: str) -> None:
    pending = migrator.pending()
    for migration in pending:
        click.echo(f"-- {_title(migration)}")
        for statement in migration.statements(database):
            click.echo(f"{statement};\n")
    click.echo(f"-- {len(pending)} migrations pending; nothing was changed")


def _apply(migrator: Migrator) -> None:
    done = migrator.migrate(lambda migration: click.echo(f"applied {_title(migration)}"))
    click.echo(f"{len(done)} migrations applied" if done else "nothing to do: all migrations are applied")


def _title(migration: Migration) -> str:
    return f"{migration.version:04}_{migration.name} (sha256 {migration.sha256[:12]})"
