"""The provider over HTTP: its description, its keys, tokens for a code, and claims of a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from query.oidc.errors import ProviderUnavailable, SignInRefused
from query.oidc_settings import OidcSettings, safe_address

log = structlog.get_logger(__name__)

_WELL_KNOWN = "/.well-known/openid-configuration"
_JSON = {"Accept": "application/json"}
_MOST_BYTES = 1 << 20
#: Seconds for which a provider that did not answer is not asked again: those who wait learn it at once.
_AWAY_S = 2.0


@dataclass(frozen=True, slots=True)
class Description:
    """What a provider says about itself (OpenID Connect Discovery 1.0).

    Attributes:
        authorization_endpoint: Where people sign in.
        token_endpoint: Where a code becomes tokens.
        jwks_uri: Where its keys are.
        userinfo_endpoint: Where more claims are, ``""`` for nowhere.
        end_session_endpoint: Where people sign out, ``""`` for nowhere.
        secret_in_form: Whether the secret of a client has to stand in the form instead of a header.
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    secret_in_form: bool = False


class Provider:
    """Asks one provider. Thread-safe; every method may raise ``ProviderUnavailable``.

    The description is asked for again after ``discovery_s``; while the provider is away the old one goes on. Keys are
    asked for again when an id token names one that is not known.
    """

    def __init__(self, settings: OidcSettings, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare it; nothing is asked yet.

        Args:
            settings: Where it is and who we are there.
            clock: Monotonic time, seconds.
        """
        self._settings, self._clock, self._lock = settings, clock, threading.Lock()
        self._client = httpx.Client(timeout=settings.timeout_s, follow_redirects=False, headers=_JSON)
        self._description: tuple[float, Description] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._away: tuple[float, ProviderUnavailable] | None = None

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._client.close()

    def description(self) -> Description:
        """Return what the provider says about itself."""
        with self._lock:
            known = self._description
            if known and self._clock() - known[0] < self._settings.discovery_s:
                return known[1]
            try:
                found = self._described()
            except ProviderUnavailable as error:
                if known is None:
                    raise
                log.warning("oidc_description_kept", reason=str(error))
                found = known[1]
            self._description = self._clock(), found
            return found

    def _described(self) -> Description:
        if self._away and self._clock() - self._away[0] < _AWAY_S:
            raise self._away[1]
        try:
            found = self._json(self._settings.issuer.rstrip("/") + _WELL_KNOWN)
            return _description(found, self._settings.issuer)
        except ProviderUnavailable as error:
            self._away = self._clock(), error
            raise

    def keys(self, *, anew: bool = False) -> KeySet:
        """Return the keys of the provider.

        Args:
            anew: Ask again, unless that was done a moment ago.
        """
        address = self.description().jwks_uri
        with self._lock:
            known = self._keys
            if known and (not anew or self._clock() - known[0] < self._settings.key_refresh_s):
                return known[1]
            self._keys = self._clock(), _keys(self._json(address))
            return self._keys[1]

    def tokens(self, code: str, verifier: str, redirect_uri: str) -> tuple[str, str]:
        """Return the id token and the access token of a code.

        Args:
            code: What the browser brought.
            verifier: Secret whose hash was sent when the sign-in began (PKCE, RFC 7636).
            redirect_uri: The address that the browser was sent back to.

        Raises:
            SignInRefused: The provider does not take the code.
        """
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        answer = self._post(self.description(), {**form, "redirect_uri": redirect_uri})
        id_token, access_token = answer.get("id_token"), answer.get("access_token", "")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise SignInRefused("the provider gave no id token; is openid among oidc.scopes?")
        return id_token, access_token

    def userinfo(self, access_token: str, subject: str) -> Mapping[str, Any]:
        """Return further claims of the person; none where the provider has no place for them.

        Raises:
            SignInRefused: They are those of somebody else.
        """
        address = self.description().userinfo_endpoint
        if not address:
            return {}
        claims = self._json(address, {"Authorization": f"Bearer {access_token}"})
        if claims.get("sub") != subject:
            raise SignInRefused("the userinfo endpoint told of another person")
        return claims

    def _post(self, description: Description, form: dict[str, str]) -> Mapping[str, Any]:
        settings = self._settings
        secret = settings.client_secret.get_secret_value()
        auth: httpx.BasicAuth | None = None
        if not secret or description.secret_in_form:
            form = {**form, "client_id": settings.client_id, **({"client_secret": secret} if secret else {})}
        else:
            # Both are encoded as in a form before they are joined: RFC 6749, section 2.3.1.
            auth = httpx.BasicAuth(quote_plus(settings.client_id), quote_plus(secret))
        response = self._asked("POST", description.token_endpoint, data=form, auth=auth)
        answer = _object(response)
        if response.status_code != httpx.codes.OK:
            raise SignInRefused(f"the provider does not take the code: {_word(answer.get('error'))}")
        return answer

    def _json(self, address: str, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        response = self._asked("GET", address, headers=headers)
        if response.status_code != httpx.codes.OK:
            raise ProviderUnavailable(f"{address} answers {response.status_code}")
        return _object(response)

    def _asked(self, method: str, address: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - those of httpx
        try:
            response = self._client.request(method, address, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnavailable(f"{address} does not answer: {type(error).__name__}") from error
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or len(response.content) > _MOST_BYTES:
            raise ProviderUnavailable(f"{address} answers {response.status_code}, {len(response.content)} bytes")
        return response


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"{response.url.copy_with(query=None)} answers no JSON object")
    return found


def _description(found: Mapping[str, Any], issuer: str) -> Description:
    if found.get("issuer") != issuer:
        raise ProviderUnavailable(f"it calls itself {_word(found.get('issuer'))}, and oidc.issuer is {issuer}")
    ways = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Description(
        _address(found, "authorization_endpoint"),
        _address(found, "token_endpoint"),
        _address(found, "jwks_uri"),
        _address(found, "userinfo_endpoint", needed=False),
        _address(found, "end_session_endpoint", needed=False),
        secret_in_form="client_secret_basic" not in ways and "client_secret_post" in ways,
    )


def _address(found: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    address = found.get(name, "")
    if isinstance(address, str) and (safe_address(address) or (not needed and not address)):
        return address
    raise ProviderUnavailable(f"its {name} is {_word(address)}; expected an https:// address")


def _keys(found: Mapping[str, Any]) -> KeySet:
    keys = found.get("keys")
    try:
        return KeySet.import_key_set({"keys": keys if isinstance(keys, list) else []})
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ProviderUnavailable(f"its keys cannot be read: {error}") from error


def _word(value: object) -> str:
    return str(value)[:200] if value else "nothing"
