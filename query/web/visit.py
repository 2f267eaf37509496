"""One request of somebody who is signed in: what they may read, and the record of what they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.requests import Request

from query.access.errors import Forbidden
from query.access.recording import AccessCode, Read, filter_names, window
from query.access.rights import Right
from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.filters import by_name
from query.http.asking import question_of_url
from query.http.parameters import Values
from query.http.serving import values_of
from query.question import Question
from query.web.frame import Frame
from query.web.guest import SESSION_COOKIE, Guest
from query.web.narrowing import ADDRESS
from query.web.page import PageRoute
from query.web.session import Session
from query.web.zones import ShownZone, zone_of

__all__ = ["SESSION_COOKIE", "Guest", "Visit"]

_T = TypeVar("_T")
#: Names that any address may have: its zone, and where it leads back to.
_OF_EVERY_PAGE = ("tz", "project", "next")


class Visit(Guest):
    """A request of somebody who is signed in.

    Attributes:
        session: The session.
        token: Whose rights count.
        route: The page that is visited.
    """

    def __init__(self, frame: Frame, request: Request, session: Session, token: Token, route: PageRoute) -> None:
        """Wrap a request."""
        super().__init__(frame, request, session.nonce)
        self.session, self.token, self.route = session, token, route

    @property
    def zone(self) -> ShownZone:
        """The zone in which times are shown and read."""
        return zone_of(self.request, self.frame.settings, self.token)

    @property
    def path(self) -> Mapping[str, str]:
        """Parameters of the path."""
        return self.request.path_params

    def part(self, kind: type[_T]) -> _T:
        """Return a further object that the page needs and names in ``PageRoute.needs``."""
        return self.frame.part(kind)

    def may(self, right: Right) -> bool:
        """Tell whether the visitor has a right."""
        return self.token.may(right)

    def need(self, right: Right, what: str) -> None:
        """Refuse the visit without a right.

        Raises:
            Forbidden: The visitor lacks it.
        """
        if not self.may(right):
            raise Forbidden(what, right)

    def takes_question(self) -> None:
        """Say that the address holds a question, so that its names are understood."""
        self.values.asked.update(ADDRESS, by_name())

    def question(self) -> Question:
        """Return the question of the address, its times read in the zone of the visit.

        Raises:
            Problem: A part is not understood.
        """
        self.takes_question()
        return question_of_url(Values({"tz": [self.zone.name], **values_of(self.request)}))

    async def read(self, run: Callable[[ScopedReader], _T]) -> _T:
        """Run a read within the scope of the visitor, on a thread.

        Raises:
            QueryError: The read failed.
            AccessError: The token does not allow it.
        """
        return await self.service.read(self.token, run)

    def record(
        self,
        question: Question | None = None,
        *,
        rows: int | None = None,
        code: AccessCode = "access.search",
        target_id: str = "",
        filter_fields: tuple[str, ...] = (),
    ) -> None:
        """Record a read of the log, as the API does: once for what the page shows.

        Args:
            question: What was asked; None when it was no question about events.
            rows: Rows shown.
            code: Event code.
            target_id: Event that was looked at.
            filter_fields: Names of what it was filtered by, when there is no question.
        """
        self.service.record(
            Read(
                code,
                self.token,
                self.caller,
                self.route.path,
                filter_fields=filter_names(question) if question else filter_fields,
                window=window(question) if question else "",
                query_hash=question.fingerprint if question else "",
                rows=rows,
                target_id=target_id,
            )
        )

    def _ignored(self) -> list[str]:
        return [n for n in self.values.unasked() if n not in _OF_EVERY_PAGE] if self.request.method == "GET" else []

    def _context(self) -> dict[str, Any]:
        return {
            **super()._context(),
            "token": self.token,
            "may": lambda right: self.token.may(Right(right)),
            "navigation": list(self.frame.sections(self.token)),
            "current": self.route,
        }

    def _reachable(self, path: str) -> bool:
        """Tell whether a page exists at a path and the visitor may see it."""
        page = self.frame.page_at(path)
        return page is not None and (page.right is None or self.may(page.right))
