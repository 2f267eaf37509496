"""Id tokens: proved against the keys of the provider, or refused with the reason."""

from __future__ import annotations

from typing import Any, Protocol

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import KeySet

from query.oidc.errors import SignInRefused

#: Signatures that only the owner of a private key can make. Never ``none``, never a shared secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
#: Claim -> what is wrong when it is not as it has to be.
_WRONG = {
    "iss": "it was issued by another provider",
    "aud": "it was made for another application",
    "azp": "it was given to another application",
    "nonce": "it belongs to another sign-in",
    "iat": "it was issued in the future; the clocks of the provider and of this machine differ",
    "nbf": "it is not valid yet; the clocks of the provider and of this machine differ",
    "at_hash": "it does not belong to the access token beside it",
}


class Keys(Protocol):
    """Returns the keys of a provider; ``anew`` asks for them again."""

    def __call__(self, *, anew: bool = False) -> KeySet:
        """Return the keys."""
        ...


def verified(
    token: str,
    keys: Keys,
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str,
    now: float,
    leeway_s: float,
) -> dict[str, Any]:
    """Return the claims of an id token.

    Args:
        token: The token, in compact form.
        keys: The keys of the provider.
        issuer: Who must have issued it.
        client_id: For whom it must have been made.
        nonce: What it must hold from the request.
        access_token: What came beside it, ``""`` for nothing.
        now: Seconds since 1970.
        leeway_s: Seconds that clocks may differ.

    Raises:
        SignInRefused: It proves nothing.
        ProviderUnavailable: The keys cannot be had.
    """
    signed = _signed(token, keys)
    options: dict[str, Any] = {"iss": {"essential": True, "value": issuer}, "aud": {"value": client_id}}
    given = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
    claims = CodeIDToken(signed.claims, signed.header, options, given)
    try:
        claims.validate(now=int(now), leeway=int(leeway_s))
    except ExpiredTokenError:
        raise SignInRefused("the id token is expired; the clocks may differ") from None
    except ClaimError as error:
        raise SignInRefused(f"the id token is refused: {_wrong(error)}") from None
    if not claims["sub"]:
        raise SignInRefused("the id token names nobody")
    return dict(claims)


def _signed(token: str, keys: Keys) -> jwt.Token:
    try:
        return _decoded(token, keys())
    except (InvalidKeyIdError, BadSignatureError):
        # Keys are rotated, and some providers keep the id.
        pass
    except (JoseError, ValueError) as error:
        raise SignInRefused(_unsigned(error)) from None
    try:
        return _decoded(token, keys(anew=True))
    except (JoseError, ValueError) as error:
        raise SignInRefused(_unsigned(error)) from None


def _decoded(token: str, keys: KeySet) -> jwt.Token:
    return jwt.decode(token, keys, algorithms=list(ALGORITHMS))


def _unsigned(error: Exception) -> str:
    match error:
        case InvalidKeyIdError():
            return "the id token is signed by a key that the provider does not publish"
        case BadSignatureError():
            return "the signature of the id token is wrong"
        case UnsupportedAlgorithmError():
            return f"the id token is not signed by one of {', '.join(ALGORITHMS)}"
    return "the id token cannot be read"


def _wrong(error: ClaimError) -> str:
    if isinstance(error, MissingClaimError):
        return f"it has no {error.claim}"
    return _WRONG.get(error.claim, f"its {error.claim} is wrong")
