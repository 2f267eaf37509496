"""Signing in at an OpenID Connect provider: from a person's id token to a role and a scope."""

from query.oidc.errors import NoRole, OidcError, ProviderUnavailable, SignInRefused
from query.oidc.provider import Provider
from query.oidc.remembered import recall, remember, rules_digest
from query.oidc.rules import Grant, grant_of
from query.oidc.sign_in import ATTEMPT_S, Attempt, OidcSignIn

__all__ = [
    "ATTEMPT_S",
    "Attempt",
    "Grant",
    "NoRole",
    "OidcError",
    "OidcSignIn",
    "Provider",
    "ProviderUnavailable",
    "SignInRefused",
    "grant_of",
    "recall",
    "remember",
    "rules_digest",
]
