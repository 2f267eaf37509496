"""The page as routes beside the API: every request comes through here, whoever asks and whatever goes wrong."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import quote

import anyio
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from query.access.errors import Forbidden, SignInFailed
from query.http.problems import Problem, problem_of
from query.http.service import ReadService
from query.http.serving import log_answer
from query.web.api_sessions import ApiSessions
from query.web.frame import Frame
from query.web.guest import FORM_COOKIE, SESSION_COOKIE, Guest
from query.web.page import GuestRoute, PageRoute, SignInWay
from query.web.pages import MODULES
from query.web.rendering import Templates
from query.web.security import HEADERS, fresh_nonce
from query.web.session import Session, Sessions
from query.web.sign_in import GUEST_PAGES, SIGN_IN_PATH, TokenSignIn
from query.web.static_files import StaticFiles
from query.web.throttle import Throttle
from query.web.visit import Visit
from query.web_settings import PageSettings

log = structlog.get_logger(__name__)

_Respond = Callable[[Request], Awaitable[Response]]
#: Paths that are not the page's: what is not found there is answered as the API does.
_OTHERS = ("/api/", "/health", "/metrics")


def site_routes(
    service: ReadService,
    settings: PageSettings,
    *,
    ways: Sequence[SignInWay] = (),
    parts: Sequence[object] = (),
) -> Sequence[BaseRoute]:
    """Return the routes of the page, for ``build_app(…, more=…)``; the last of them takes every path that is left.

    Args:
        service: Answers reads.
        settings: Settings of the page.
        ways: Ways to sign in besides pasting a token; shown first.
        parts: Further objects that pages need, found by their type; pages whose parts are not there do not exist.
    """
    static, by_type = StaticFiles(), {type(part): part for part in parts}
    key = settings.session_key.get_secret_value()
    if not key:
        log.warning("page_session_key_random", hint="set page.session_key so that sessions outlive this process")
    frame = Frame(
        service,
        settings,
        [page for page in _pages() if all(kind in by_type for kind in page.needs)],
        (*ways, TokenSignIn()),
        by_type,
        static,
        Templates(static),
        Sessions(key, settings.session_hours),
        Throttle(settings.sign_in_failures_per_minute),
    )
    service.sessions = ApiSessions(frame)
    return [static.route(), *_routes(frame), _any_method("/{path:path}", _nowhere(frame))]


def _pages() -> Iterator[PageRoute]:
    for module in MODULES:
        yield from module.PAGES


def _routes(frame: Frame) -> Iterator[BaseRoute]:
    guests = [*GUEST_PAGES, *(page for way in frame.ways for page in way.pages())]
    for guest in guests:
        yield _route(guest.path, {m: _guest_responder(frame, guest) for m in guest.methods}, frame)
    # Paths without parameters first, so that /exports/new is not taken for an export called "new".
    pages = sorted(frame.pages, key=lambda page: ("{" in page.path, page.path))
    for path, same_path in groupby(pages, key=lambda page: page.path):
        yield _route(path, {m: _responder(frame, page) for page in same_path for m in page.methods}, frame)


def _route(path: str, by_method: dict[str, _Respond], frame: Frame) -> Route:
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]
    allowed = ", ".join(sorted(by_method))

    async def answered(request: Request) -> Response:
        respond = by_method.get(request.method)
        if respond is None:
            problem = Problem("method-not-allowed", f"possible are {allowed}", headers={"Allow": allowed})
            return _secured(_problem_page(Guest(frame, request, ""), problem))
        return _secured(await respond(request))

    return _any_method(path, answered)


def _any_method(path: str, respond: _Respond) -> Route:
    # Every method comes here, so that what is not possible is answered by a page too.
    route = Route(path, respond)
    route.methods = None
    return route


def _responder(frame: Frame, page: PageRoute) -> _Respond:
    async def respond(request: Request) -> Response:
        async def answer() -> Response:
            session = frame.sessions.of_cookie(request.cookies.get(SESSION_COOKIE, ""))
            return await _visited(frame, request, session, page) if session else _to_sign_in(request)

        return await _timed(frame, request, page.name or page.path, answer)

    return respond


def _guest_responder(frame: Frame, page: GuestRoute) -> _Respond:
    async def respond(request: Request) -> Response:
        async def answer() -> Response:
            guest = _guest(frame, request)
            try:
                return await page.handler(guest)
            except Exception as error:
                return _problem_page(guest, problem_of(error))

        return await _timed(frame, request, page.name or page.path, answer)

    return respond


def _guest(frame: Frame, request: Request) -> Guest:
    known = request.cookies.get(FORM_COOKIE)
    nonce = known or fresh_nonce()
    guest = Guest(frame, request, nonce)
    if not known:
        guest.set_cookie(FORM_COOKIE, nonce)
    return guest


async def _timed(frame: Frame, request: Request, name: str, answer: Callable[[], Awaitable[Response]]) -> Response:
    started = time.monotonic()
    try:
        with anyio.fail_after(frame.service.settings.timeout_s):
            response = await answer()
    except Exception as error:
        response = _problem_page(Guest(frame, request, ""), problem_of(error))
    log_answer(request, f"page:{name}", response.status_code, started)
    return response


async def _visited(frame: Frame, request: Request, session: Session, page: PageRoute) -> Response:
    way = frame.way(session.method)
    if way is None:
        return _to_sign_in(request)
    guest = Guest(frame, request, session.nonce)
    try:
        token = await way.token(guest, session)
    except SignInFailed:
        guest.set_cookie(SESSION_COOKIE, "")
        return guest.finished(_to_sign_in(request))
    visit = Visit(frame, request, session, token, page)
    try:
        if page.right is not None:
            visit.need(page.right, f"the page {page.section or page.path}")
        return await page.handler(visit)
    except Forbidden as error:
        frame.service.record_denied(token, visit.caller, page.path, error)
        return _problem_page(visit, problem_of(error))
    except Exception as error:
        return _problem_page(visit, problem_of(error))


def _to_sign_in(request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    onward = f"?next={quote(request.url.path + query, safe='')}" if request.method in ("GET", "HEAD") else ""
    return RedirectResponse(SIGN_IN_PATH + onward, 303)


def _problem_page(guest: Guest, problem: Problem) -> Response:
    told: dict[str, Any] = problem.body(guest.caller.request_id)
    headers = {name: value for name, value in problem.headers.items() if name != "WWW-Authenticate"}
    return guest.page("error.html", status=problem.status, headers=headers, problem=told)


def _nowhere(frame: Frame) -> _Respond:
    missing = _responder(frame, PageRoute("/{path:path}", _missing, name="nowhere", right=None))

    async def answered(request: Request) -> Response:
        if request.url.path.startswith(_OTHERS):
            raise HTTPException(404)
        if frame.sessions.of_cookie(request.cookies.get(SESSION_COOKIE, "")):
            return _secured(await missing(request))
        return _secured(_problem_page(Guest(frame, request, ""), _no_page(request)))

    return answered


async def _missing(visit: Visit) -> Response:
    raise _no_page(visit.request)


def _no_page(request: Request) -> Problem:
    return Problem("not-found", f"there is no page at {request.url.path}")


def _secured(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
