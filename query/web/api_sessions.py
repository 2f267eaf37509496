"""Sessions of the page as the API knows them: for the few reads that scripts of the page make."""

from __future__ import annotations

from starlette.requests import Request

from query.access.errors import SignInFailed
from query.access.token import Token
from query.web.frame import Frame
from query.web.guest import SESSION_COOKIE, Guest


class ApiSessions:
    """Tells the API who is signed in on the page; see ``query.http.service.PageSessions``."""

    def __init__(self, frame: Frame) -> None:
        """Know the sessions of a page.

        Args:
            frame: What its visits share.
        """
        self._frame = frame

    async def token_of(self, request: Request) -> Token | None:
        """Return whose rights the session of a request has now; None when it has none that is good."""
        session = self._frame.sessions.of_cookie(request.cookies.get(SESSION_COOKIE, ""))
        way = self._frame.way(session.method) if session else None
        if session is None or way is None:
            return None
        try:
            return await way.token(Guest(self._frame, request, session.nonce), session)
        except SignInFailed:
            return None
