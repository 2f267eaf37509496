"""Tokens in ClickHouse: kept, found by the hash of their secret, listed, revoked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa

from query.access.errors import TokenInvalid, TokenStoreUnavailable, TokenUnknown
from query.access.scope import Scope
from query.access.token import Token, check_secret, new_secret, new_token_id, secret_digest
from sinks.connection import Connections
from sinks.errors import SinkError

_TIME = pa.timestamp("ms", tz="UTC")
_TEXTS = pa.list_(pa.string())
_SCHEMA = pa.schema(
    [
        ("sha256", pa.binary(32)),
        ("token_id", pa.string()),
        ("name", pa.string()),
        ("role", pa.string()),
        ("tenants", _TEXTS),
        ("projects", _TEXTS),
        ("products", _TEXTS),
        ("record_kinds", _TEXTS),
        ("actor_id", pa.string()),
        ("created_at", _TIME),
        ("created_by", pa.string()),
        ("expires_at", _TIME),
        ("revoked_at", _TIME),
        ("version", pa.uint64()),
    ]
)
_USES = pa.schema([("token_id", pa.string()), ("used_at", _TIME)])
_CREATED, _REVOKED = 1, 2


class TokenStore:
    """The tokens of one database. Any thread may ask.

    Every method may raise ``TokenStoreUnavailable``.
    """

    def __init__(self, connections: Connections) -> None:
        """Use open connections.

        Args:
            connections: Connections to the database; closed by the caller.
        """
        self._connections = connections
        self._database = connections.settings.database

    def create(
        self,
        name: str,
        role: str,
        scope: Scope,
        *,
        expires_at: datetime | None = None,
        created_by: str = "",
        secret: str | None = None,
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            name: What it is for.
            role: A key of ``ROLES``.
            scope: Which records it reaches.
            expires_at: From when on it opens nothing.
            created_by: Who makes it.
            secret: A secret that callers already have and cannot change; a new one by default.

        Returns:
            The token and its secret, which is not kept anywhere.

        Raises:
            TokenInvalid: The token contradicts itself, or the secret is in use or too short.
        """
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        token = Token(new_token_id(), name, role, scope, now, created_by, expires_at)
        if secret is None:
            secret = new_secret(token.token_id)
        else:
            check_secret(secret)
            if self.find(secret) is not None:
                raise TokenInvalid("the secret is in use; every token has its own")
        self._write(token, secret_digest(secret), _CREATED)
        return token, secret

    def find(self, secret: str) -> Token | None:
        """Return the token of a secret, None when there is none."""
        where = "WHERE sha256 = unhex({digest:String})"
        found = self._read(where, {"digest": secret_digest(secret).hex()})
        return found[0][1] if found else None

    def check(self) -> None:
        """Prove that the tokens can be read."""
        self._read("LIMIT 1", {})

    def find_id(self, token_id: str) -> Token | None:
        """Return the token of an id, None when there is none."""
        found = self._read("WHERE token_id = {id:String}", {"id": token_id})
        return found[0][1] if found else None

    def tokens(self) -> list[Token]:
        """Return all tokens, those made last first."""
        return [token for _, token in self._read("ORDER BY created_at DESC, token_id", {})]

    def revoke(self, token_id: str) -> Token:
        """Revoke a token; repeating it changes nothing.

        Returns:
            The token as it is now.

        Raises:
            TokenUnknown: There is none of this id.
        """
        found = self._read("WHERE token_id = {id:String}", {"id": token_id})
        if not found:
            raise TokenUnknown(token_id)
        digest, token = found[0]
        if token.revoked_at is None:
            token = replace(token, revoked_at=datetime.now(UTC))
            self._write(token, digest, _REVOKED)
        return token

    def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """Keep when tokens were used last, by their ids."""
        columns = {"token_id": list(uses), "used_at": list(uses.values())}
        self._insert("api_token_uses", pa.table(columns, schema=_USES))

    def _write(self, token: Token, digest: bytes, version: int) -> None:
        scope = token.scope
        row = {
            "sha256": digest,
            "token_id": token.token_id,
            "name": token.name,
            "role": token.role,
            "tenants": list(scope.tenants),
            "projects": list(scope.projects),
            "products": list(scope.products),
            "record_kinds": list(scope.record_kinds),
            "actor_id": scope.actor_id,
            "created_at": token.created_at,
            "created_by": token.created_by,
            "expires_at": token.expires_at,
            "revoked_at": token.revoked_at,
            "version": version,
        }
        self._insert("api_tokens", pa.Table.from_pylist([row], schema=_SCHEMA))

    def _insert(self, table: str, rows: pa.Table) -> None:
        with _translated():
            name = f"`{self._database}`.{table}"
            self._connections.insert(name, rows, "", query_id=f"auditstream:{table}:{uuid4()}")

    def _read(self, rest: str, parameters: Mapping[str, str]) -> Sequence[tuple[bytes, Token]]:
        # `rest` is written in this class; values are bound.
        statement = (
            f"SELECT hex(sha256) AS digest, t.*, u.used_at FROM `{self._database}`.api_tokens AS t FINAL "  # noqa: S608
            f"LEFT JOIN (SELECT token_id, max(used_at) AS used_at FROM `{self._database}`.api_token_uses "
            f"GROUP BY token_id) AS u ON u.token_id = t.token_id {rest} SETTINGS join_use_nulls = 1"
        )
        with _translated():
            rows = self._connections.rows(statement.replace("t.*", ", ".join(_selected())), parameters)
        return [(bytes.fromhex(row["digest"]), _token(row)) for row in rows]


def _selected() -> Iterator[str]:
    return (f"t.{name} AS {name}" for name in _SCHEMA.names if name != "sha256")


def _token(row: Mapping[str, Any]) -> Token:
    lists = {name: tuple(row[name]) for name in ("tenants", "projects", "products", "record_kinds")}
    scope = Scope(**lists, actor_id=row["actor_id"])
    return Token(
        row["token_id"],
        row["name"],
        row["role"],
        scope,
        row["created_at"],
        row["created_by"],
        row["expires_at"],
        row["revoked_at"],
        row["used_at"],
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SinkError as error:
        raise TokenStoreUnavailable(f"the tokens cannot be reached: {error}") from error
