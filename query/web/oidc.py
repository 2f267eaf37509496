"""Signing in at an identity provider: there and back, and what is said when it does not work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio
import anyio.to_thread
import structlog
from anyio.lowlevel import RunVar
from starlette.responses import RedirectResponse, Response

from query.access.errors import SignInFailed
from query.access.identity import Identity
from query.access.recording import SignInMethod
from query.access.token import Token
from query.oidc import ATTEMPT_S, Attempt, NoRole, OidcSignIn, ProviderUnavailable, SignInRefused, recall, remember
from query.oidc_settings import OidcSettings
from query.web import links
from query.web.guest import Guest
from query.web.page import GuestRoute
from query.web.session import Session
from query.web.sign_in import SIGN_IN_PATH, sign_in_page

log = structlog.get_logger(__name__)

BEGIN_PATH = "/sign-in/oidc"
CALLBACK_PATH = "/sign-in/oidc/callback"
END_PATH = "/sign-in/oidc/out"
ATTEMPT_COOKIE = "auditstream_oidc"
_PURPOSE = "oidc"
#: People who wait for the provider at once. Apart from the reads, which a slow provider must not hold up.
_MOST_WAITING = 8
_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("oidc")
_T = TypeVar("_T")


class OidcWay:
    """Sign-in at the provider of the settings.

    The session keeps who somebody is, and the role and scope that a rule gave; it ends when the rules are changed. A
    sign-in under way is kept by the browser that began it, in a cookie of its own that is good for one answer.
    """

    name: SignInMethod = "oidc"
    template = "sign_in_oidc.html"

    def __init__(self, sign_in: OidcSignIn, settings: OidcSettings) -> None:
        """Put the parts together.

        Args:
            sign_in: Asks the provider; closed by the caller.
            settings: The provider and the rules.
        """
        self._sign_in, self._settings = sign_in, settings

    @property
    def label(self) -> str:
        """What people sign in with."""
        return self._settings.label

    @property
    def logout(self) -> bool:
        """Whether the session at the provider may be ended from here."""
        return self._settings.logout

    def pages(self) -> Sequence[GuestRoute]:
        """Return where it begins, where the provider sends browsers back to, and where the session there ends."""
        return (
            GuestRoute(BEGIN_PATH, self._begin, name="oidc_begin"),
            GuestRoute(CALLBACK_PATH, self._callback, name="oidc_callback"),
            GuestRoute(END_PATH, self._end, name="oidc_end"),
        )

    async def token(self, guest: Guest, session: Session) -> Token:
        """Return the person of a session.

        Raises:
            SignInFailed: The rules were changed since.
        """
        del guest
        person = recall(session.subject, session.more, session.expires_at, self._settings)
        if person is None:
            raise SignInFailed("expired")
        return person

    async def _begin(self, guest: Guest) -> Response:
        back = links.local_path(guest.request.query_params.get("next", "/"))
        callback = _own_address(guest, CALLBACK_PATH)
        try:
            address, attempt = await _in_thread(lambda: self._sign_in.begin(callback, back))
        except ProviderUnavailable as error:
            return self._away(guest, error)
        kept = guest.frame.sessions.sign(_PURPOSE, attempt.to_data())
        guest.set_cookie(ATTEMPT_COOKIE, kept, seconds=ATTEMPT_S)
        return guest.finished(RedirectResponse(address, 303))

    async def _callback(self, guest: Guest) -> Response:
        throttle, address = guest.frame.throttle, guest.caller.ip
        if wait_s := throttle.wait_s(address):
            problem = f"Too many attempts failed from this address. Try again in {wait_s} seconds."
            return sign_in_page(guest, problem=problem, status=429, wait_s=wait_s)
        attempt = self._attempt(guest)
        try:
            return await self._finished(guest, attempt)
        except ProviderUnavailable as error:
            return self._away(guest, error)
        except SignInRefused as error:
            throttle.failed(address)
            guest.service.recorder.sign_in_failed(guest.caller, error.reason, error.login, "oidc")
            return self._refused(guest, error)

    async def _finished(self, guest: Guest, attempt: Attempt | None) -> Response:
        callback, answer = _own_address(guest, CALLBACK_PATH), dict(guest.request.query_params)
        person: Identity = await _in_thread(lambda: self._sign_in.finish(attempt, answer, callback))
        ends_at = person.expires_at.timestamp() if person.expires_at else None
        kept = remember(person, self._settings)
        guest.begin_session(guest.frame.sessions.begin("oidc", person.subject, expires_at=ends_at, more=kept))
        guest.service.recorder.signed_in(guest.caller, person, "oidc")
        return guest.redirect(attempt.back if attempt else "/")

    async def _end(self, guest: Guest) -> Response:
        back = _own_address(guest, SIGN_IN_PATH)
        try:
            address = await _in_thread(lambda: self._sign_in.sign_out_address(back))
        except ProviderUnavailable as error:
            return self._away(guest, error)
        return guest.finished(RedirectResponse(address or SIGN_IN_PATH, 303))

    def _attempt(self, guest: Guest) -> Attempt | None:
        kept = guest.frame.sessions.unsign(_PURPOSE, guest.request.cookies.get(ATTEMPT_COOKIE, ""))
        # Good for one answer, whatever it is.
        guest.set_cookie(ATTEMPT_COOKIE, "")
        return Attempt.of_data(kept)

    def _refused(self, guest: Guest, error: SignInRefused) -> Response:
        if isinstance(error, NoRole):
            told = {"login": error.login, "wanted": error.wanted, "help": self._settings.refusal_help}
            return guest.page("oidc_refused.html", status=403, way=self, refusal=told)
        return sign_in_page(guest, problem=f"You are not signed in: {error.reason}. Begin again.", status=401)

    def _away(self, guest: Guest, error: ProviderUnavailable) -> Response:
        log.error("oidc_provider_unavailable", reason=str(error), request_id=guest.caller.request_id)
        problem = f"Signing in with {self.label} is not possible now. Try again later, or use an API token."
        return sign_in_page(guest, problem=problem, status=503)


def _own_address(guest: Guest, path: str) -> str:
    base = guest.frame.settings.public_url or str(guest.request.base_url).rstrip("/")
    return base + path


async def _in_thread(run: Callable[[], _T]) -> _T:
    try:
        limiter = _LIMITER.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MOST_WAITING)
        _LIMITER.set(limiter)
    return await anyio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=limiter)
