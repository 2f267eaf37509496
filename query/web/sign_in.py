"""Signing in with an API token, signing out, and the choice of a time zone."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from query.access.errors import SignInFailed
from query.access.recording import SignInMethod
from query.access.token import Token
from query.period import parse_zone
from query.web import links
from query.web.page import GET, POST, GuestRoute, PageRoute
from query.web.session import Session
from query.web.visit import SESSION_COOKIE, Guest, Visit
from query.web.zones import BROWSER, CHOICE_COOKIE, PROJECT, zone_names

SIGN_IN_PATH = "/sign-in"
_YEAR_S = 365 * 86_400
_FAILURES = {
    "unknown": "This token opens nothing. Look whether it was copied whole.",
    "revoked": "This token was revoked. Ask an administrator of the log for another one.",
    "expired": "This token is past its end. Ask an administrator of the log for another one.",
}


class TokenSignIn:
    """Sign-in by pasting an API token. The session keeps its id, never its secret."""

    name: SignInMethod = "token"
    template = "sign_in_token.html"

    def pages(self) -> Sequence[GuestRoute]:
        """Return the target of its form."""
        return (GuestRoute("/sign-in/token", _sign_in, POST, "sign_in_token"),)

    async def token(self, guest: Guest, session: Session) -> Token:
        """Return the token of a session as it is now."""
        return await guest.service.resume(session.subject)


def sign_in_page(guest: Guest, *, problem: str = "", status: int = 200, wait_s: int = 0) -> Response:
    """Return the sign-in page with all ways to sign in.

    Args:
        guest: Who visits.
        problem: Why an attempt failed.
        status: HTTP status.
        wait_s: Seconds to wait before the next attempt.
    """
    headers = {"Retry-After": str(wait_s)} if wait_s else {}
    onward = links.local_path(guest.request.query_params.get("next", "/"))
    return guest.page(
        "sign_in.html", status=status, headers=headers, problem=problem, ways=guest.frame.ways, next=onward
    )


async def _show(guest: Guest) -> Response:
    return sign_in_page(guest)


async def _sign_in(guest: Guest) -> Response:
    fields = await guest.form()
    throttle, address = guest.frame.throttle, guest.caller.ip
    if wait_s := throttle.wait_s(address):
        problem = f"Too many attempts failed from this address. Try again in {wait_s} seconds."
        return sign_in_page(guest, problem=problem, status=429, wait_s=wait_s)
    secret = str(fields.get("token", "")).strip()
    if not secret:
        return sign_in_page(guest, problem="Paste a token.", status=400)
    try:
        token = await guest.service.sign_in(secret, guest.caller)
    except SignInFailed as error:
        throttle.failed(address)
        return sign_in_page(guest, problem=_FAILURES[error.reason], status=401)
    ends_at = token.expires_at.timestamp() if token.expires_at else None
    guest.begin_session(guest.frame.sessions.begin("token", token.token_id, expires_at=ends_at))
    guest.service.recorder.signed_in(guest.caller, token, "token")
    return guest.redirect(guest.request.query_params.get("next", "/"))


async def _sign_out(visit: Visit) -> Response:
    await visit.form()
    visit.frame.sessions.end(visit.session)
    visit.service.recorder.signed_out(visit.caller, visit.token, visit.session.method)
    visit.set_cookie(SESSION_COOKIE, "")
    return visit.redirect(SIGN_IN_PATH, notice="You are signed out.")


async def _zones(visit: Visit) -> Response:
    onward = links.local_path(visit.request.query_params.get("next", "/"))
    return visit.page("zone.html", next=onward, names=zone_names())


async def _choose_zone(visit: Visit) -> Response:
    fields = await visit.form()
    choice = str(fields.get("zone", ""))
    if choice not in (PROJECT, BROWSER):
        choice = parse_zone(choice).key
    visit.set_cookie(CHOICE_COOKIE, choice, seconds=_YEAR_S)
    # A zone in the address would win over the choice.
    return visit.redirect(links.without(links.local_path(str(fields.get("next", "/"))), "tz"))


GUEST_PAGES = (GuestRoute(SIGN_IN_PATH, _show, GET, "sign_in"),)
PAGES = (
    PageRoute("/sign-out", _sign_out, POST, "sign_out", right=None),
    PageRoute("/zone", _zones, GET, "zone", right=None),
    PageRoute("/zone", _choose_zone, POST, "choose_zone", right=None),
)
