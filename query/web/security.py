"""Headers that every page carries: what browsers may load, run and tell others."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

#: Nothing but our own files, nothing inline: a text that a template failed to escape could still not run.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    # Addresses hold what was looked for.
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def fresh_nonce() -> str:
    """Return a random text that tells one browser from others."""
    return secrets.token_urlsafe(16)
