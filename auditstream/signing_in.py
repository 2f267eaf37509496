"""Ways to sign in to the page besides pasting a token, put together from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from auditstream.settings import Settings
from query.oidc import OidcSignIn
from query.web import SignInWay
from query.web.oidc import OidcWay


@contextmanager
def opened_ways(settings: Settings) -> Iterator[list[SignInWay]]:
    """Open the provider of the settings, if there is one; it is not asked before somebody signs in.

    Args:
        settings: All settings.
    """
    if not settings.oidc.enabled:
        yield []
        return
    sign_in = OidcSignIn(settings.oidc)
    try:
        yield [OidcWay(sign_in, settings.oidc)]
    finally:
        sign_in.close()
