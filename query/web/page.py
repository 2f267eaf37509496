"""What a page is: its place in the site, declared once, from which routes and navigation are both made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from starlette.responses import Response

from query.access.recording import SignInMethod
from query.access.rights import Right
from query.access.token import Token
from query.web.session import Session

if TYPE_CHECKING:
    from query.web.visit import Guest, Visit

Handler = Callable[["Visit"], Awaitable[Response]]
GuestHandler = Callable[["Guest"], Awaitable[Response]]

GET = ("GET",)
POST = ("POST",)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A page for those who are signed in.

    Attributes:
        path: Path with ``{name}`` for its parameters; also the resource in the record of its reads.
        handler: Answers a visit.
        methods: HTTP methods; GET includes HEAD. What POST asks for is checked against forgery by ``Visit.form``.
        name: Name of the page, for links: ``page_url("journal")``.
        section: Title in the navigation; None for a page that is not in it.
        right: Right without which the page is refused and not in the navigation; None for any token.
        group: Heading above it in the navigation.
        needs: Types of parts (see ``Visit.part``) without which the page does not exist.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...] = GET
    name: str = ""
    section: str | None = None
    right: Right | None = Right.EVENTS
    group: str = "Log"
    needs: tuple[type, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestRoute:
    """A page for those who are not signed in yet.

    Attributes:
        path: Path.
        handler: Answers a visit.
        methods: HTTP methods.
        name: Name of the page.
    """

    path: str
    handler: GuestHandler
    methods: tuple[str, ...] = GET
    name: str = ""


class SignInWay(Protocol):
    """One way to sign in. The sign-in page shows all of them."""

    @property
    def name(self) -> SignInMethod:
        """Name that sessions keep: ``Session.method``."""
        ...

    @property
    def template(self) -> str:
        """Template that is included into the sign-in page; it gets ``way``, ``csrf`` and ``next``."""
        ...

    def pages(self) -> Sequence[GuestRoute]:
        """Return the pages that it needs, such as the target of its form."""
        ...

    async def token(self, guest: Guest, session: Session) -> Token:
        """Return whose rights a session has, now: asked at every request.

        Raises:
            SignInFailed: It was revoked or is expired.
            TokenStoreUnavailable: The database gives no answer.
        """
        ...
