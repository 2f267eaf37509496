"""What all requests share: who asks, a reader within its scope, time limits, the record of the read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, TypeVar
from uuid import uuid4

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from starlette.requests import HTTPConnection, Request

from query.access.administration import TokenAdministration
from query.access.errors import Forbidden, SignInFailed
from query.access.recording import AccessCode, Caller, Read, Recorder
from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.access.verifier import TokenVerifier
from query.exports import ExportDesk
from query.http.problems import not_signed_in
from query.http.readers import Readers
from query.http.scoped_readers import ScopedReaders
from query.saved import SearchDesk
from query.settings import HttpSettings
from schemas.catalogue import Catalogue

_T = TypeVar("_T")

#: What a request id may look like that a caller brings along.
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MOST_TEXT = 200
#: Reads at once; a limiter belongs to the event loop in which it is used.
_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("readers")


class PageSessions(Protocol):
    """Knows who is signed in on the page that is served beside the API."""

    async def token_of(self, request: Request) -> Token | None:
        """Return whose rights the session of a request has now; None when it has none that is good.

        Raises:
            TokenStoreUnavailable: The database gives no answer.
        """
        ...


class ReadService:
    """Everything that answers reads over HTTP.

    Attributes:
        catalogue: The event codes.
        settings: Limits.
        exports: What makes exports; None in a process that makes none.
        searches: What keeps searches; None in a process that keeps none.
        tokens: Administers tokens.
        tails: Live tails now.
        stopping: Set when the server is about to stop, so that tails end.
        sessions: Those of the page; None while no page is served.
    """

    def __init__(
        self,
        readers: Readers,
        verifier: TokenVerifier,
        catalogue: Catalogue,
        settings: HttpSettings,
        recorder: Recorder,
        *,
        exports: ExportDesk | None = None,
        searches: SearchDesk | None = None,
    ) -> None:
        """Put the parts together; all of them are closed by the caller."""
        self.catalogue, self.settings = catalogue, settings
        self._verifier, self._recorder, self.exports = verifier, recorder, exports
        self.searches = searches
        self.tokens = TokenAdministration(verifier.store, recorder)
        self._readers = ScopedReaders(readers, catalogue)
        self.tails = 0
        self.stopping = False
        self.sessions: PageSessions | None = None

    async def sign_in(self, secret: str, caller: Caller) -> Token:
        """Return the token of a secret; a failure is recorded.

        Raises:
            Problem: There is no secret.
            SignInFailed: It opens nothing.
            TokenStoreUnavailable: The database gives no answer.
        """
        if not secret:
            raise not_signed_in("send a token: Authorization: Bearer …")
        try:
            return await self.in_thread(lambda: self._verifier.verify(secret))
        except SignInFailed as error:
            self._recorder.sign_in_failed(caller, error.reason, error.token_id)
            raise

    async def identify(self, request: Request, caller: Caller) -> Token:
        """Return whose rights a read has: those of its token, without one those of a session of our own page.

        A cookie comes with every request of a browser, whoever made it ask. So it counts for reads only, and not when
        the browser says that another site asks.

        Raises:
            Problem: There is neither.
            SignInFailed: The token opens nothing.
            TokenStoreUnavailable: The database gives no answer.
        """
        secret = bearer(request)
        ours = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if not secret and self.sessions and ours and request.method in ("GET", "HEAD"):
            token = await self.sessions.token_of(request)
            if token is not None:
                return token
        return await self.sign_in(secret, caller)

    async def resume(self, token_id: str) -> Token:
        """Return the token of an id, for somebody who has shown its secret before.

        Raises:
            SignInFailed: It was revoked, is expired, or does not exist.
            TokenStoreUnavailable: The database gives no answer.
        """
        return await self.in_thread(lambda: self._verifier.verify_id(token_id))

    async def read(self, token: Token, run: Callable[[ScopedReader], _T]) -> _T:
        """Run a read within the scope of a token, on a thread.

        Raises:
            QueryError: The read failed.
            AccessError: The token does not allow it.
        """

        def scoped() -> _T:
            with self._readers.lent(token) as reader:
                return run(reader)

        return await self.in_thread(scoped)

    async def in_thread(self, run: Callable[[], _T]) -> _T:
        """Run something that waits; only so many at once."""
        try:
            limiter = _LIMITER.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self.settings.readers)
            _LIMITER.set(limiter)
        # A request that is given up does not wait for its statement, which the database ends by its own limit.
        return await anyio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=limiter)

    @property
    def recorder(self) -> Recorder:
        """Keeps what is read, changed, and who signs in."""
        return self._recorder

    @property
    def room_for_tail(self) -> bool:
        """Whether one more live tail may begin."""
        return self.tails < self.settings.tails

    def record(self, read: Read) -> None:
        """Record a read."""
        self._recorder.read(read)

    def record_denied(self, token: Token, caller: Caller, resource: str, error: Forbidden) -> None:
        """Record a read that was refused."""
        code: AccessCode = "access.denied"
        self._recorder.read(Read(code, token, caller, resource, reason=str(error)))


def caller_of(connection: HTTPConnection, request_id: str) -> Caller:
    """Return who calls, as far as the connection and its headers tell."""
    headers = connection.headers
    return Caller(
        request_id,
        ip=connection.client.host if connection.client else "",
        user_agent=headers.get("user-agent", "")[:_MOST_TEXT],
        purpose=headers.get("x-audit-purpose", "")[:_MOST_TEXT],
        ticket=headers.get("x-audit-ticket", "")[:_MOST_TEXT],
    )


def request_id_of(connection: HTTPConnection) -> str:
    """Return the id that the caller gave the request, a new one when it gave none of a usable form."""
    given = connection.headers.get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else str(uuid4())


def bearer(connection: HTTPConnection) -> str:
    """Return the secret of the Authorization header, ``""`` without one."""
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
