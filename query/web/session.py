"""Sessions: who is signed in, kept in a signed cookie that holds no secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from query.access.recording import SignInMethod

_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in, as the cookie keeps it.

    Attributes:
        method: Name of the way to sign in.
        subject: Whom that way recognises: the id of a token.
        expires_at: When it ends, seconds since 1970.
        nonce: Random, tells this session from others.
        more: What the way to sign in needs besides; small, no secrets.
    """

    method: SignInMethod
    subject: str
    expires_at: float
    nonce: str
    more: Mapping[str, Any] = field(default_factory=dict)


class Sessions:
    """Makes and reads signed texts. Thread-safe.

    A session that was signed out is forgotten by this process until it would have ended; another process that shares
    the key still knows it so long. Revoking the token ends all its sessions everywhere.
    """

    def __init__(self, key: str, hours: float) -> None:
        """Prepare it.

        Args:
            key: Signs; random when empty.
            hours: How long a session lasts.
        """
        self._key = key or secrets.token_urlsafe(32)
        self.seconds = hours * 3600
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(
        self,
        method: SignInMethod,
        subject: str,
        *,
        expires_at: float | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Session:
        """Return a new session.

        Args:
            method: Name of the way to sign in.
            subject: Whom it recognises.
            expires_at: It ends then at the latest, seconds since 1970.
            more: What the way to sign in needs besides.
        """
        ends_at = min(time.time() + self.seconds, expires_at or float("inf"))
        return Session(method, subject, ends_at, secrets.token_urlsafe(_NONCE_BYTES), more or {})

    def to_cookie(self, session: Session) -> str:
        """Return a session as a signed text."""
        kept = [session.method, session.subject, session.expires_at, session.nonce, dict(session.more)]
        return self.sign("session", kept)

    def of_cookie(self, text: str) -> Session | None:
        """Return the session of a signed text; None when it is not ours, is over or was ended."""
        kept = self.unsign("session", text)
        if kept is None:
            return None
        session = Session(*kept)
        with self._lock:
            ended = session.nonce in self._ended
        return None if ended or session.expires_at <= time.time() else session

    def end(self, session: Session) -> None:
        """Forget a session."""
        now = time.time()
        with self._lock:
            self._ended = {nonce: at for nonce, at in self._ended.items() if at > now}
            self._ended[session.nonce] = session.expires_at

    def sign(self, purpose: str, value: object) -> str:
        """Return a value as a signed text that is good for one purpose only."""
        return str(URLSafeSerializer(self._key, salt=f"auditstream.{purpose}").dumps(value))

    def unsign(self, purpose: str, text: str) -> Any | None:  # noqa: ANN401 - whatever was signed
        """Return the value of a signed text, None when it was not signed by us for this purpose."""
        try:
            return URLSafeSerializer(self._key, salt=f"auditstream.{purpose}").loads(text)
        except BadSignature:
            return None

    def form_key(self, nonce: str) -> str:
        """Return what a form must hold to be believed: made of the key and of something that only its reader has."""
        return hmac.new(self._key.encode(), b"form:" + nonce.encode(), hashlib.sha256).hexdigest()


def same(given: str, expected: str) -> bool:
    """Compare two texts in a time that tells nothing about them."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
