"""Signing in: the browser is sent to the provider with secrets of this one attempt, and what it brings is proved.

Authorization code flow of OpenID Connect Core 1.0, with PKCE (RFC 7636), ``state`` and ``nonce``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from query.access.identity import Identity, identity_id
from query.oidc.errors import NoRole, SignInRefused
from query.oidc.id_token import verified
from query.oidc.provider import Provider
from query.oidc.rules import Claims, Grant, grant_of, texts_of
from query.oidc_settings import OidcSettings

#: Seconds that somebody may take at the provider.
ATTEMPT_S = 600.0
_SECRET_BYTES = 32
_MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in under way, kept by the browser that began it, signed.

    Attributes:
        state: Ties the answer to this browser.
        nonce: Ties the id token to this attempt.
        verifier: Ties the code to this attempt (PKCE).
        started_at: When it began, seconds since 1970.
        back: Where to go on, a path of the page.
    """

    state: str
    nonce: str
    verifier: str
    started_at: float
    back: str

    def to_data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: object) -> Attempt | None:
        """Return the attempt of JSON data that was signed; None when there is none."""
        try:
            return cls(**data) if isinstance(data, dict) else None
        except TypeError:
            # Begun with another version of auditstream.
            return None


class OidcSignIn:
    """Signs people in at the provider of the settings. Thread-safe; every method may raise ``ProviderUnavailable``."""

    def __init__(
        self, settings: OidcSettings, provider: Provider | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Prepare it; nothing is asked yet.

        Args:
            settings: The provider, and the rules.
            provider: Asks it; one of its own by default.
            clock: Seconds since 1970.
        """
        self._settings, self._clock = settings, clock
        self._provider = provider or Provider(settings)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._provider.close()

    def begin(self, redirect_uri: str, back: str) -> tuple[str, Attempt]:
        """Return where to send the browser, and what it must bring back.

        Args:
            redirect_uri: Where the provider sends it afterwards.
            back: Where to go on then, a path of the page.
        """
        state, nonce, verifier = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(3))
        address: str = prepare_grant_uri(
            self._provider.description().authorization_endpoint,
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=" ".join(dict.fromkeys(["openid", *self._settings.scopes])),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return address, Attempt(state, nonce, verifier, self._clock(), back)

    def finish(self, attempt: Attempt | None, answer: Mapping[str, str], redirect_uri: str) -> Identity:
        """Return who signed in.

        Args:
            attempt: What the browser kept; None when it kept nothing.
            answer: Parameters that the provider sent it back with.
            redirect_uri: The same as at the beginning.

        Raises:
            SignInRefused: It proves nothing, or no rule gives a role.
        """
        attempt = self._same_attempt(attempt, answer)
        id_token, access_token = self._provider.tokens(answer["code"], attempt.verifier, redirect_uri)
        claims: Claims = verified(
            id_token,
            self._provider.keys,
            issuer=self._settings.issuer,
            client_id=self._settings.client_id,
            nonce=attempt.nonce,
            access_token=access_token,
            now=self._clock(),
            leeway_s=self._settings.clock_skew_s,
        )
        if self._settings.userinfo:
            claims = {**self._provider.userinfo(access_token, claims["sub"]), **claims}
        return self._identity(claims)

    def sign_out_address(self, back: str) -> str:
        """Return where the session at the provider is ended, ``""`` where it cannot be.

        Args:
            back: Address of the page that the provider sends the browser to afterwards.
        """
        address = self._provider.description().end_session_endpoint if self._settings.logout else ""
        if not address:
            return ""
        query = urlencode({"client_id": self._settings.client_id, "post_logout_redirect_uri": back})
        return f"{address}{'&' if '?' in address else '?'}{query}"

    def _same_attempt(self, attempt: Attempt | None, answer: Mapping[str, str]) -> Attempt:
        if attempt is None or not secrets.compare_digest(attempt.state.encode(), answer.get("state", "").encode()):
            raise SignInRefused("the answer of the provider belongs to no sign-in that this browser began")
        if self._clock() - attempt.started_at > ATTEMPT_S:
            raise SignInRefused("the sign-in took too long")
        if answer.get("iss", self._settings.issuer) != self._settings.issuer:
            raise SignInRefused("the answer comes from another provider")  # RFC 9207
        if "error" in answer:
            raise SignInRefused(f"the provider refused: {answer['error'][:_MOST_NAME]}")
        if not answer.get("code"):
            raise SignInRefused("the provider sent no code")
        return attempt

    def _identity(self, claims: Claims) -> Identity:
        settings, now = self._settings, self._clock()
        name = self._name(claims)
        grant: Grant | None = grant_of(settings.rules, claims)
        if grant is None:
            raise NoRole(name, tuple(dict.fromkeys((rule.claim, rule.value) for rule in settings.rules)))
        ends_at = now + settings.session_s
        if settings.end_with_id_token:
            ends_at = min(ends_at, float(claims["exp"]))
        return Identity(
            identity_id(settings.issuer, claims["sub"]),
            name,
            grant.role,
            grant.scope,
            datetime.fromtimestamp(now, UTC),
            created_by=settings.issuer,
            expires_at=datetime.fromtimestamp(ends_at, UTC),
            issuer=settings.issuer,
            subject=claims["sub"],
            email=next(iter(texts_of(claims, "email")), "")[:_MOST_NAME],
        )

    def _name(self, claims: Claims) -> str:
        found = (text.strip() for name in self._settings.name_claims for text in texts_of(claims, name))
        return next((text for text in found if text), claims["sub"])[:_MOST_NAME]
