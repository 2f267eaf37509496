"""Administering tokens over HTTP: nobody gives what they have not, and every change is recorded."""

from __future__ import annotations

from dataclasses import asdict

from query.access.errors import Forbidden, TokenUnknown
from query.access.recording import BeforeAfter, Caller, Change, Recorder
from query.access.rights import ROLES, Right
from query.access.store import TokenStore
from query.access.token import Token
from query.access.token_request import TokenRequest

TOKEN_CREATE, TOKEN_REVOKE = "access.token_create", "access.token_revoke"
_TYPE = "api_token"


class TokenAdministration:
    """Lists, makes and revokes tokens on behalf of a token. Any thread may ask.

    Whoever administers sees and changes tokens whose scope lies within the own one, and gives roles whose rights are
    among the own ones; the command line, which has the database itself, is not bound by that. Every method may raise
    ``Forbidden`` and ``TokenStoreUnavailable``. Refused changes are recorded by whoever answers the caller.
    """

    def __init__(self, store: TokenStore, recorder: Recorder) -> None:
        """Put the parts together.

        Args:
            store: The tokens.
            recorder: Told of every change.
        """
        self._store, self._recorder = store, recorder

    def check(self) -> None:
        """Prove that the tokens can be read.

        Raises:
            TokenStoreUnavailable: They cannot.
        """
        self._store.check()

    def tokens(self, by: Token) -> list[Token]:
        """Return the tokens within reach, those made last first."""
        _need(by)
        return [token for token in self._store.tokens() if token.scope.within(by.scope)]

    def roles(self, by: Token) -> tuple[str, ...]:
        """Return the roles that a token may give."""
        return tuple(role for role, rights in ROLES.items() if rights <= by.rights)

    def create(self, by: Token, caller: Caller, asked: TokenRequest) -> tuple[Token, str]:
        """Make a token.

        Args:
            by: Who makes it.
            caller: From where.
            asked: What it shall be.

        Returns:
            The token and its secret, which is not kept anywhere.

        Raises:
            TokenInvalid: The token contradicts itself.
        """
        _need(by)
        scope, ends_at = asked.scope(), asked.expires_at()
        if missing := sorted(right.value for right in ROLES.get(asked.role, frozenset()) - by.rights):
            raise Forbidden(f"the role {asked.role}, which has rights that yours has not: {', '.join(missing)}")
        if not scope.within(by.scope):
            raise Forbidden("a token that reaches more than your own")
        token, secret = self._store.create(asked.name, asked.role, scope, expires_at=ends_at, created_by=by.token_id)
        self._recorder.changed(
            Change(TOKEN_CREATE, caller, _TYPE, token.token_id, token.name, by=by, values=created_values(token))
        )
        return token, secret

    def revoke(self, by: Token, caller: Caller, token_id: str) -> Token:
        """Revoke a token; repeating it changes nothing and is not recorded again.

        Raises:
            TokenUnknown: There is none of this id within reach.
        """
        _need(by)
        found = self._store.find_id(token_id)
        if found is None or not found.scope.within(by.scope):
            raise TokenUnknown(token_id)
        token = self._store.revoke(token_id)
        if found.revoked_at is None:
            self._recorder.changed(
                Change(TOKEN_REVOKE, caller, _TYPE, token.token_id, token.name, by=by, values=revoked_values(token))
            )
        return token


def created_values(token: Token) -> dict[str, BeforeAfter]:
    """Return what a new token is, for the record; never its secret."""
    scope = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(token.scope).items()}
    told = {"role": token.role, **scope, "expires_at": token.expires_at.isoformat() if token.expires_at else None}
    return {name: (None, value) for name, value in told.items() if value}


def revoked_values(token: Token) -> dict[str, BeforeAfter]:
    """Return what a revocation changed, for the record."""
    return {"revoked_at": (None, token.revoked_at.isoformat() if token.revoked_at else None)}


def _need(by: Token) -> None:
    if not by.may(Right.TOKENS):
        raise Forbidden("tokens", Right.TOKENS)
