"""API tokens: what one is, how its secret is made and recognised."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from query.access.errors import SignInFailed, TokenInvalid
from query.access.rights import OWN_EVENTS, ROLES, Right
from query.access.scope import Scope

#: Random bytes of a secret.
SECRET_BYTES = 32
#: Characters of a secret that a caller brings along, at least.
MIN_SECRET_CHARACTERS = 24
_ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
TokenState = Literal["valid", "revoked", "expired"]
_RECOGNISABLE = re.compile(r"(tok_[a-z2-9]{10})_")


@dataclass(frozen=True, slots=True)
class Token:
    """One API token, without its secret.

    Attributes:
        token_id: By which people recognise it; the beginning of the secrets that we make.
        name: What it is for.
        role: A key of ``ROLES``.
        scope: Which records it reaches.
        created_at: When it was made.
        created_by: Who made it.
        expires_at: From when on it opens nothing; None for never.
        revoked_at: When it was revoked; None while it is not.
        last_used_at: Last use, to the minute or so; None for never.
    """

    token_id: str
    name: str
    role: str
    scope: Scope
    created_at: datetime
    created_by: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Check the token.

        Raises:
            TokenInvalid: It has no name, an unknown role, or the role of one actor without the actor.
        """
        if not self.name.strip():
            raise TokenInvalid("a token needs a name that says what it is for")
        if self.role not in ROLES:
            raise TokenInvalid(f"there is no role {self.role!r}; expected one of {', '.join(ROLES)}")
        if self.role == OWN_EVENTS and not self.scope.actor_id:
            raise TokenInvalid(f"the role {OWN_EVENTS} needs the id of the actor whose events it reads")

    @property
    def rights(self) -> frozenset[Right]:
        """What its role allows."""
        return ROLES[self.role]

    @property
    def owner(self) -> str:
        """Under which name exports and saved searches are kept: the same for all tokens of one actor."""
        return f"{self.scope.tenants[0]}/{self.scope.actor_id}" if self.scope.actor_id else self.token_id

    def may(self, right: Right) -> bool:
        """Tell whether its role allows something."""
        return right in self.rights

    def state(self, now: datetime) -> TokenState:
        """Tell whether it opens something at a moment."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def check_usable(self, now: datetime) -> None:
        """Prove that it opens something.

        Raises:
            SignInFailed: It was revoked, or is expired.
        """
        state = self.state(now)
        if state != "valid":
            raise SignInFailed(state, self.token_id)


def new_token_id() -> str:
    """Return a new id of a token."""
    return "tok_" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(10))


def new_secret(token_id: str) -> str:
    """Return a new secret of 256 random bits that begins with the id of its token."""
    return f"{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"


def check_secret(secret: str) -> None:
    """Prove that a secret that a caller brings along is long enough not to be guessed at once.

    Raises:
        TokenInvalid: It is too short, or holds blanks or characters that are not printable ASCII.
    """
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise TokenInvalid(f"the secret has {len(secret)} characters; expected at least {MIN_SECRET_CHARACTERS}")
    if not re.fullmatch(r"[\x21-\x7e]+", secret):
        raise TokenInvalid("the secret holds blanks or characters that are not printable ASCII")


def secret_digest(secret: str) -> bytes:
    """Return the SHA-256 of a secret: with 256 random bits in it, a slow hash would add nothing."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def recognised(secret: str) -> str:
    """Return the id at the beginning of a secret, ``""`` when it is not of our making."""
    found = _RECOGNISABLE.match(secret)
    return found[1] if found else ""
