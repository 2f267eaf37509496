"""One request for a page, whoever sends it: its forms, its cookies, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from query.access.recording import Caller
from query.http.parameters import Values
from query.http.problems import Problem
from query.http.service import ReadService, caller_of
from query.http.serving import values_of
from query.web import links
from query.web.frame import Frame
from query.web.session import Session, same
from query.web.zones import ShownZone, zone_names, zone_of

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

    @cached_property
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
        ignored = self._ignored() if status < 400 else []
        html = self.frame.templates.render(name, {**self._context(), "ignored": ignored, **context})
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

    def _ignored(self) -> list[str]:
        """Return the names in the address that the page does not understand."""
        return []

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
            "reachable": self._reachable,
            "navigation": (),
            "current": None,
            "request_id": self.caller.request_id,
        }

    def _reachable(self, path: str) -> bool:
        """Tell whether a page exists at a path and the visitor may see it."""
        del path
        return False


def _forged(reason: str) -> Problem:
    return Problem("forbidden", f"the form was not accepted: {reason}")
