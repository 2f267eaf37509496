"""A person as the session cookie keeps it: a role, a scope and a name, good only for the rules that gave them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from query.access.errors import TokenInvalid
from query.access.identity import Identity, identity_id
from query.access.scope import Scope
from query.oidc.errors import SignInRefused
from query.oidc_settings import OidcSettings

#: Browsers keep cookies of 4096 bytes; the signature and the rest of the session need some.
_MOST_BYTES = 2500


def remember(identity: Identity, settings: OidcSettings) -> dict[str, Any]:
    """Return what a session has to keep of a person.

    Raises:
        SignInRefused: It is too much for a cookie.
    """
    scope = {name: value for name, value in asdict(identity.scope).items() if value}
    kept = {
        "rules": rules_digest(settings),
        "name": identity.name,
        "email": identity.email,
        "role": identity.role,
        "scope": scope,
        "since": identity.created_at.timestamp(),
    }
    if (size := len(json.dumps(kept))) > _MOST_BYTES:
        raise SignInRefused(f"the scope takes {size} bytes and a session holds {_MOST_BYTES}: too many tenants")
    return kept


def recall(subject: str, kept: Mapping[str, Any], expires_at: float, settings: OidcSettings) -> Identity | None:
    """Return the person of a session; None when the rules were changed since, so that they are asked anew.

    Args:
        subject: Id of the person at the provider.
        kept: What ``remember`` returned.
        expires_at: End of the session, seconds since 1970.
        settings: The rules now.
    """
    if not settings.enabled or kept.get("rules") != rules_digest(settings):
        return None
    try:
        scope = _scope(kept["scope"])
        return Identity(
            identity_id(settings.issuer, subject),
            kept["name"],
            kept["role"],
            scope,
            datetime.fromtimestamp(kept["since"], UTC),
            created_by=settings.issuer,
            expires_at=datetime.fromtimestamp(expires_at, UTC),
            issuer=settings.issuer,
            subject=subject,
            email=kept["email"],
        )
    except TokenInvalid:
        # A role or kind that this version does not have any more.
        return None


def _scope(kept: Mapping[str, Any]) -> Scope:
    lists = {name: tuple(kept.get(name, ())) for name in ("tenants", "projects", "products", "record_kinds")}
    return Scope(**lists, actor_id=str(kept.get("actor_id", "")))


def rules_digest(settings: OidcSettings) -> str:
    """Return what changes when other rules, another provider or another client are set."""
    rules = [rule.model_dump() for rule in settings.rules]
    text = json.dumps([settings.issuer, settings.client_id, rules], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
