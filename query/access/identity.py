"""A person who signed in at an identity provider, as a reader with a role and a scope."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from query.access.token import Token

_ID_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Identity(Token):
    """A person instead of an API token: whatever reads for a token reads for a person in the same way.

    ``token_id`` is that of ``identity_id``, ``name`` the name that people know, ``expires_at`` the end of the session.

    Attributes:
        issuer: Provider that vouches for the person.
        subject: Id of the person there, which never changes.
        email: Address, ``""`` when the provider names none.
    """

    issuer: str = field(default="", kw_only=True)
    subject: str = field(default="", kw_only=True)
    email: str = field(default="", kw_only=True)


def identity_id(issuer: str, subject: str) -> str:
    """Return the id of a person: the same for each sign-in, and no name of anybody.

    Args:
        issuer: Provider.
        subject: Id of the person there.
    """
    digest = hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()
    return f"oidc_{digest[:_ID_CHARACTERS]}"
