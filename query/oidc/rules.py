"""From the claims of a person to a role and a scope, by rules that are settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from query.access.errors import TokenInvalid
from query.access.scope import Scope
from query.oidc_settings import OidcRule

Claims = Mapping[str, Any]
_EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person may do.

    Attributes:
        role: A key of ``ROLES``.
        scope: Which records are within reach.
    """

    role: str
    scope: Scope


def grant_of(rules: Iterable[OidcRule], claims: Claims) -> Grant | None:
    """Return what the first rule that matches gives; None when none does.

    A rule matches when its claim has its value and the claims that it takes tenants or an actor from are there.
    """
    return next((grant for rule in rules if (grant := _grant(rule, claims)) is not None), None)


def texts_of(claims: Claims, name: str) -> tuple[str, ...]:
    """Return the values of a claim as texts; none when it is not there.

    Args:
        claims: Claims of an id token.
        name: Name of the claim; dots lead into objects unless a claim has the whole name.
    """
    found = claims.get(name)
    if found is None:
        found = _within(claims, name.split("."))
    return tuple(_text(value) for value in (found if isinstance(found, list) else [found]) if _is_plain(value))


def _grant(rule: OidcRule, claims: Claims) -> Grant | None:
    if not _matches(rule, claims):
        return None
    tenants = texts_of(claims, rule.tenants_claim) if rule.tenants_claim else rule.tenants
    actors = texts_of(claims, rule.actor_claim) if rule.actor_claim else ("",)
    if (not tenants and not rule.all_tenants) or len(actors) != 1 or (rule.actor_claim and not actors[0]):
        return None
    try:
        scope = Scope(tenants, rule.projects, rule.products, rule.kinds, actors[0])
    except TokenInvalid:
        # An actor of several tenants, or an empty tenant: the claims do not say who this is.
        return None
    return Grant(rule.role, scope)


def _matches(rule: OidcRule, claims: Claims) -> bool:
    # Without this mark the address is what a person typed into a form.
    if rule.claim == _EMAIL and claims.get("email_verified") is not True:
        return False
    return any(fnmatchcase(text, rule.value) for text in texts_of(claims, rule.claim))


def _within(value: object, path: Sequence[str]) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) and value != ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
