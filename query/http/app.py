"""The ASGI application: routes, what every answer carries, and answers to what no route takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from query.http import resend, run_log, tail
from query.http.encoding import to_json
from query.http.endpoint import Endpoint
from query.http.health import LIVE_PATH, READY_PATH, Readiness
from query.http.openapi import document
from query.http.problems import Problem, problem_of
from query.http.resend import Resends
from query.http.routes import ENDPOINTS
from query.http.service import ReadService, request_id_of
from query.http.serving import problem_response, responder

OPENAPI_PATH = "/api/openapi.json"
#: Smaller answers are not worth compressing.
_COMPRESSED_FROM_BYTES = 1000

Answers = Callable[[Request], Awaitable[Response]]

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def build_app(
    service: ReadService,
    version: str,
    *,
    resends: Resends | None = None,
    facts: Mapping[str, str] | None = None,
    more: Sequence[BaseRoute] = (),
) -> Starlette:
    """Return the application.

    Args:
        service: What answers reads; closed by the caller.
        version: Version of auditstream, for the OpenAPI document.
        resends: What sends webhooks again; None leaves the call out.
        facts: Further members of the answer of /health/ready.
        more: Further routes, for what is served beside the API.
    """
    openapi = to_json(document(ENDPOINTS, service.settings, version))
    routes = [
        *_routes(service),
        _route(tail.PATH, {"GET": partial(tail.tail, service)}, "tail"),
        _route(run_log.PATH, {"POST": partial(run_log.run_log, service)}, "run_log"),
        _route(OPENAPI_PATH, {"GET": _fixed(openapi)}, "openapi"),
        _route(LIVE_PATH, {"GET": _fixed(b'{"status":"live"}')}, "live"),
        _route(READY_PATH, {"GET": Readiness(service, facts).answer}, "ready"),
        *([_route(resend.ROUTE, {"POST": partial(resend.resend, service, resends)}, "resend")] if resends else []),
        *more,
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Envelope), Middleware(GZipMiddleware, minimum_size=_COMPRESSED_FROM_BYTES)],
        exception_handlers={HTTPException: _no_route, Exception: _crashed},
    )


def _routes(service: ReadService) -> Iterator[BaseRoute]:
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    for path, endpoints in by_path.items():
        answers: dict[str, Answers] = {e.method: responder(service, e) for e in endpoints}
        yield _route(path, answers, endpoints[0].name, head=all(e.head for e in endpoints))


def _route(path: str, answers: Mapping[str, Answers], name: str, *, head: bool = True) -> Route:
    by_method = dict(answers)
    if head and "GET" in answers:
        by_method["HEAD"] = answers["GET"]
    allowed = ", ".join(sorted({*by_method, "OPTIONS"}))

    async def answered(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        if request.method not in by_method:
            detail = f"{request.method} is not possible here; possible are {allowed}"
            problem = Problem("method-not-allowed", detail, headers={"Allow": allowed})
            return problem_response(problem, request.state.request_id)
        return await by_method[request.method](request)

    # Every method comes here, so that what is not possible is answered in one form.
    route = Route(path, answered, name=name)
    route.methods = None
    return route


def _fixed(body: bytes) -> Answers:
    async def respond(request: Request) -> Response:
        del request
        return Response(body, media_type="application/json")

    return respond


async def _no_route(request: Request, error: Exception) -> Response:
    # The router itself raises nothing but this; methods are looked at by the routes.
    del error
    return problem_response(Problem("not-found", f"there is nothing at {request.url.path}"), request.state.request_id)


async def _crashed(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error), request.state.request_id)


class Envelope:
    """Gives every request an id, and every answer the headers that it always has; HEAD gets no body."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(HTTPConnection(scope))
        scope.setdefault("state", {})["request_id"] = request_id
        always = [(b"x-request-id", request_id.encode()), *_HEADERS]

        async def enveloped(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", [])
                named = {name for name, _ in own}
                message["headers"] = [*own, *((name, value) for name, value in always if name not in named)]
            elif scope["method"] == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, enveloped)


__all__ = ["ENDPOINTS", "Endpoint", "Envelope", "build_app"]
