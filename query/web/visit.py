"""One request for a page: who visits, what they may read, and how the answer is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from query.access.errors import Forbidden
from query.access.recording import AccessCode, Caller, Read, filter_names, window
from query.access.rights import Right
from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.http.asking import question_of_url
from query.http.parameters import Values
from query.http.problems import Problem
from query.http.service import ReadService, caller_of
from query.http.serving import values_of
from query.question import Question
from query.web import links
from query.web.frame import Frame
from query.web.page import PageRoute
from query.web.session import Session, same
from query.web.zones import ShownZone, zone_names, zone_of

_T = TypeVar("_T")

SESSION_COOKIE = "auditstream_session"
FORM_COOKIE = "auditstream_form"
NOTICE_COOKIE = "auditstream_notice"
FORM_FIELD = "csrf"
_MOST_FIELDS = 200
_NOTICE_S = 60


class Guest:
    """A request of somebody who need not be signed in.

    Attributes:
        frame: What all visits share.
        request: The request.
        caller: Who calls, for records.
    """

    def __init__(self, frame: Frame, request: Request, form_nonce: str) -> None:
        """Wrap a request.

        Args:
            frame: What all visits share.
            request: The request.
            form_nonce: Random text that only this browser has; forms are bound to it.
        """
        self.frame, self.request = frame, request
        self.caller: Caller = caller_of(request, request.state.request_id)
        self._form_nonce = form_nonce
        self._cookies: list[Callable[[Response], None]] = []

    @property
    def service(self) -> ReadService:
        """What answers reads."""
        return self.frame.service

    @property
    def csrf(self) -> str:
        """What every form sends in the field ``csrf``."""
        return self.frame.sessions.form_key(self._form_nonce)

    @property
    def values(self) -> Values:
        """Values of the query part of the address."""
        return Values(values_of(self.request))

    @property
    def zone(self) -> ShownZone:
        """The zone in which times are shown and read."""
        return zone_of(self.request, self.frame.settings, None)

    async def form(self) -> FormData:
        """Return the fields of a posted form.

        Raises:
            Problem: It was not made by a page that we gave to this browser, or it is too large.
        """
        if int(self.request.headers.get("content-length") or 0) > self.service.settings.body_bytes:
            raise Problem("too-large", f"the form has more than {self.service.settings.body_bytes} bytes")
        try:
            fields = await self.request.form(max_files=0, max_fields=_MOST_FIELDS)
        except HTTPException as error:
            raise Problem("invalid-body", f"the form is not understood: {error.detail}") from None
        if self.request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise _forged("it was sent from another site")
        if not same(str(fields.get(FORM_FIELD, "")), self.csrf):
            raise _forged("it is not from this session; load the page again and repeat it")
        return fields

    def page(
        self,
        name: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,  # noqa: ANN401 - what the template needs
    ) -> Response:
        """Return a template as the answer.

        Args:
            name: Name of the template.
            status: HTTP status.
            headers: Further headers.
            context: What the template needs beyond what every page gets, see ``query.web``.
        """
        html = self.frame.templates.render(name, {**self._context(), **context})
        response = HTMLResponse(html, status, headers=dict(headers or {}))
        if self.request.cookies.get(NOTICE_COOKIE):
            response.delete_cookie(NOTICE_COOKIE, path="/")
        return self.finished(response)

    def redirect(self, path: str, *, notice: str = "") -> Response:
        """Return an answer that sends the browser to another page of ours.

        Args:
            path: Where to; anything but an address on this host becomes ``/``.
            notice: A sentence that the next page shows once.
        """
        response = RedirectResponse(links.local_path(path), 303)
        if notice:
            self.set_cookie(NOTICE_COOKIE, self.frame.sessions.sign("notice", notice), seconds=_NOTICE_S)
        return self.finished(response)

    def finished(self, response: Response) -> Response:
        """Put the cookies of this visit on an answer that was made another way."""
        for put in self._cookies:
            put(response)
        self._cookies.clear()
        return response

    def set_cookie(
        self, name: str, value: str, *, seconds: float | None = None, same_site: Literal["lax", "strict"] = "lax"
    ) -> None:
        """Set a cookie with the answer of this visit; an empty value deletes it.

        Args:
            name: Its name.
            value: Its value.
            seconds: How long it lasts; None until the browser is closed.
            same_site: lax where people come from links of other sites, such as the session; strict elsewhere.
        """
        age = 0 if not value else None if seconds is None else round(seconds)
        secure = self.secure
        self._cookies.append(
            lambda response: response.set_cookie(
                name, value, max_age=age, path="/", secure=secure, httponly=True, samesite=same_site
            )
        )

    @property
    def secure(self) -> bool:
        """Whether cookies are for TLS only."""
        choice = self.frame.settings.cookie_secure
        public = self.frame.settings.public_url
        if choice == "auto":
            return public.startswith("https://") if public else self.request.url.scheme == "https"
        return choice == "always"

    def begin_session(self, session: Session) -> None:
        """Sign in: the answer of this visit carries the session."""
        self.set_cookie(SESSION_COOKIE, self.frame.sessions.to_cookie(session), seconds=self.frame.sessions.seconds)

    def here(self, **changes: Any) -> str:  # noqa: ANN401 - texts, numbers, lists of them, None
        """Return the address of this page with values of its query part changed; None takes one out."""
        return links.address(self.request.url.path, links.changed(self.request.query_params.multi_items(), changes))

    def link(self, path: str, **values: Any) -> str:  # noqa: ANN401 - texts, numbers, lists of them, None
        """Return the address of another page."""
        return links.address(path, links.added(values))

    def _context(self) -> dict[str, Any]:
        notice = self.frame.sessions.unsign("notice", self.request.cookies.get(NOTICE_COOKIE, "")) or ""
        return {
            "visit": self,
            "token": None,
            "csrf": self.csrf,
            "zone": self.zone,
            "zone_names": zone_names,
            "notice": notice,
            "here": self.here,
            "link": self.link,
            "page_url": self.frame.path,
            "navigation": (),
            "current": None,
            "request_id": self.caller.request_id,
        }


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

    def question(self) -> Question:
        """Return the question of the address, its times read in the zone of the visit.

        Raises:
            Problem: A part is not understood.
        """
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

    def _context(self) -> dict[str, Any]:
        return {
            **super()._context(),
            "token": self.token,
            "may": lambda right: self.token.may(Right(right)),
            "navigation": list(self.frame.sections(self.token)),
            "current": self.route,
        }


def _forged(reason: str) -> Problem:
    return Problem("forbidden", f"the form was not accepted: {reason}")
