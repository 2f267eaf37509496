"""Who asks: from a secret to its token, many times a second and at little cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from query.access.errors import SignInFailed, TokenStoreUnavailable
from query.access.store import TokenStore
from query.access.token import Token, recognised, secret_digest

log = structlog.get_logger(__name__)

#: Tokens kept in memory at most.
_MOST_CACHED = 10_000


class TokenVerifier:
    """Turns secrets into tokens. Thread-safe.

    A token is asked for again after ``cache_s``: so long a revocation may take to be seen. Uses are noted in memory
    and written once in ``last_use_s``, all tokens together.
    """

    def __init__(
        self, store: TokenStore, *, cache_s: float, last_use_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare it; nothing is asked yet.

        Args:
            store: Where tokens are.
            cache_s: Seconds for which a token is not asked for again.
            last_use_s: Seconds between writes of last uses.
            clock: Monotonic time, seconds.
        """
        self._store, self._cache_s, self._last_use_s, self._clock = store, cache_s, last_use_s, clock
        self._lock = threading.Lock()
        self._cached: dict[bytes | str, tuple[float, Token]] = {}
        self._uses: dict[str, datetime] = {}
        self._written_at = clock()

    @property
    def store(self) -> TokenStore:
        """Where tokens are."""
        return self._store

    def verify(self, secret: str) -> Token:
        """Return the token of a secret and note its use.

        Raises:
            SignInFailed: The secret belongs to no token, or to one that was revoked or is expired.
            TokenStoreUnavailable: The database gives no answer.
        """
        digest = secret_digest(secret)
        return self._usable(self._token(digest, lambda: self._store.find(secret), recognised(secret)))

    def verify_id(self, token_id: str) -> Token:
        """Return the token of an id and note its use; for somebody who has shown its secret before.

        Raises:
            SignInFailed: There is no such token, or it was revoked or is expired.
            TokenStoreUnavailable: The database gives no answer.
        """
        return self._usable(self._token(token_id, lambda: self._store.find_id(token_id), token_id))

    def _usable(self, token: Token) -> Token:
        now = datetime.now(UTC)
        token.check_usable(now)
        with self._lock:
            self._uses[token.token_id] = now
            due = self._clock() - self._written_at >= self._last_use_s
        if due:
            self.write_uses()
        return token

    def write_uses(self) -> None:
        """Write the last uses; a failure is logged, since no read is refused for it."""
        with self._lock:
            uses, self._uses, self._written_at = self._uses, {}, self._clock()
        if not uses:
            return
        try:
            self._store.note_uses(uses)
        except TokenStoreUnavailable as error:
            log.warning("token_uses_not_written", tokens=len(uses), reason=str(error))

    def _token(self, key: bytes | str, find: Callable[[], Token | None], shown: str) -> Token:
        with self._lock:
            found = self._cached.get(key)
        if found and self._clock() - found[0] < self._cache_s:
            return found[1]
        asked_at = self._clock()
        token = find()
        if token is None:
            raise SignInFailed("unknown", shown)
        with self._lock:
            if len(self._cached) >= _MOST_CACHED:
                self._cached.clear()
            self._cached[key] = (asked_at, token)
        return token
