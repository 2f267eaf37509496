"""Migrations: numbered SQL files, applied once, recorded with the digest of the file.

There is no lock. Every statement can be repeated (``IF NOT EXISTS``, ``CREATE OR REPLACE VIEW``) and the record of a
version may be written twice, so that two workers may migrate at the same time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from sinks.connection import Connections
from sinks.errors import SinkMisconfigured
from sinks.tuning import tune

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_PLACEHOLDER = re.compile(r"\$\{(\w*)\}")
#: Whatever may contain a semicolon that ends nothing, then the semicolon that ends a statement.
_PIECE = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|--[^\n]*|/\*.*?\*/|;|[^'`\"\-/;]+|.", re.DOTALL
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_RECORDS = """CREATE TABLE IF NOT EXISTS ${database}.schema_migrations
(
    version UInt32,
    name String,
    sha256 String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY version"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file.

    Attributes:
        version: Number of the file, from 1.
        name: Rest of its name.
        sql: Its text, with ``${database}`` where the database belongs.
    """

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the text, 64 hexadecimal digits."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self, database: str) -> Sequence[str]:
        """Return its statements for a database, comments left in, without closing semicolons.

        Raises:
            ValueError: The name of the database is not an identifier, or the file has an unknown placeholder.
        """
        return [s for s in (substitute(s, database).strip() for s in split(self.sql)) if _code(s)]


def shipped() -> Sequence[Migration]:
    """Return the migrations that come with this version, ascending."""
    folder = resources.files("sinks").joinpath("migrations")
    found = [(match, entry) for entry in folder.iterdir() if (match := _FILE.fullmatch(entry.name))]
    return sorted(
        (Migration(int(m[1]), m[2], e.read_text(encoding="utf-8")) for m, e in found), key=lambda x: x.version
    )


def split(sql: str) -> Iterator[str]:
    """Split a text at semicolons outside of quotes and comments."""
    statement = ""
    for match in _PIECE.finditer(sql):
        if match[0] == ";":
            yield statement
            statement = ""
        else:
            statement += match[0]
    yield statement


def substitute(sql: str, database: str) -> str:
    """Put the name of the database in place of ``${database}``.

    Raises:
        ValueError: The name is not an identifier, or there is another placeholder.
    """
    if not _IDENTIFIER.fullmatch(database):
        raise ValueError(f"database {database!r} is not a name of letters, digits and underscores")
    unknown = set(_PLACEHOLDER.findall(sql)) - {"database"}
    if unknown:
        raise ValueError(f"unknown placeholders in a migration: {', '.join(sorted(unknown))}")
    return _PLACEHOLDER.sub(f"`{database}`", sql)


def _code(statement: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", statement, flags=re.DOTALL).strip()


class Migrator:
    """Brings a database to the newest version.

    Args:
        connections: Connections to the database server.
        migrations: Migrations to apply, ascending; those that ship by default.
    """

    def __init__(self, connections: Connections, migrations: Sequence[Migration] | None = None) -> None:
        self._connections = connections
        self._migrations = shipped() if migrations is None else migrations
        self._database = connections.settings.database

    def pending(self) -> Sequence[Migration]:
        """Return what is not applied yet, ascending.

        Raises:
            SinkMisconfigured: An applied file was changed since, or the database is newer than this version.
            SinkUnavailable: The database could not be asked.
        """
        applied = self._applied()
        problems = [
            self._changed(m, applied[m.version])
            for m in self._migrations
            if applied.get(m.version, m.sha256) != m.sha256
        ]
        newest = max((m.version for m in self._migrations), default=0)
        problems += [
            f"database {self._database}: migration {version:04} is applied, but this version knows only {newest:04}; needed: a newer auditstream"
            for version in sorted(applied)
            if version > newest
        ]
        if problems:
            raise SinkMisconfigured(problems)
        return [m for m in self._migrations if m.version not in applied]

    def migrate(self, applied: Callable[[Migration], None] = lambda _: None) -> Sequence[Migration]:
        """Apply what is pending, then ``sinks.tuning``; repeating it and running it twice at once are harmless.

        Args:
            applied: Called after each migration.

        Returns:
            What was applied.

        Raises:
            SinkMisconfigured: See ``pending``.
            SinkUnavailable: The database could not be asked; run it again.
            SinkStopped: The database refuses a statement.
        """
        self._connections.command(substitute("CREATE DATABASE IF NOT EXISTS ${database}", self._database))
        self._connections.command(substitute(_RECORDS, self._database))
        done = []
        for migration in self.pending():
            self._apply(migration)
            applied(migration)
            done.append(migration)
        tune(self._connections)
        return done

    def _apply(self, migration: Migration) -> None:
        for statement in migration.statements(self._database):
            self._connections.command(statement)
        # Recorded last: a migration that was cut short is repeated from its start.
        record = substitute("INSERT INTO ${database}.schema_migrations (version, name, sha256) VALUES", self._database)
        self._connections.command(f"{record} ({migration.version}, '{migration.name}', '{migration.sha256}')")

    def _applied(self) -> Mapping[int, str]:
        known = self._connections.rows(
            "SELECT count() AS n FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
            {"database": self._database},
        )
        if not known[0]["n"]:
            return {}
        rows = self._connections.rows(
            substitute("SELECT version, sha256 FROM ${database}.schema_migrations", self._database)
        )
        return {int(row["version"]): str(row["sha256"]) for row in rows}

    def _changed(self, migration: Migration, found: str) -> str:
        return (
            f"database {self._database}: migration {migration.version:04}_{migration.name} was applied as {found[:12]}…, but its"
            f" file is now {migration.sha256[:12]}…; needed: the file as it was, and the change as a new migration"
        )
