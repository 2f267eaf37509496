"""From a request to the answer of its endpoint: one way for all of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

import anyio
import structlog
from starlette.requests import Request
from starlette.responses import Response

from query.access.errors import Forbidden
from query.access.recording import Caller, Read, filter_names, window
from query.access.token import Token
from query.http.body import read_json
from query.http.encoding import to_json
from query.http.endpoint import Answer, Call, Endpoint
from query.http.files import file_response
from query.http.parameters import Values, check_names
from query.http.problems import MEDIA_TYPE, Problem, problem_of
from query.http.service import ReadService, bearer, caller_of

log = structlog.get_logger(__name__)

Respond = Callable[[Request], Awaitable[Response]]


def responder(service: ReadService, endpoint: Endpoint) -> Respond:
    """Return what answers the requests of an endpoint."""

    async def respond(request: Request) -> Response:
        caller = caller_of(request, request.state.request_id)
        started = time.monotonic()
        try:
            with anyio.fail_after(service.settings.timeout_s):
                response = await _answered(service, endpoint, request, caller)
        except Exception as error:
            response = problem_response(problem_of(error), caller.request_id)
        log_answer(request, endpoint.name, response.status_code, started)
        return response

    return respond


async def _answered(service: ReadService, endpoint: Endpoint, request: Request, caller: Caller) -> Response:
    token = await service.sign_in(bearer(request), caller)
    try:
        call = await _call(service, endpoint, request, caller, token)
        answer = await service.read(token, lambda reader: endpoint.handler(call, reader))
    except Forbidden as error:
        service.record_denied(token, caller, endpoint.path, error)
        raise
    _record(service, endpoint, call, answer)
    return _response(endpoint, request, answer)


async def _call(service: ReadService, endpoint: Endpoint, request: Request, caller: Caller, token: Token) -> Call:
    given = values_of(request)
    check_names(given, endpoint.parameters, filters=endpoint.filters)
    body = await read_json(request, service.settings.body_bytes) if endpoint.body else {}
    return Call(Values(given), request.path_params, body, token, caller, service.catalogue, service.settings, service)


def values_of(request: Request) -> Mapping[str, list[str]]:
    """Return the values of the query part by name."""
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        given.setdefault(name, []).append(value)
    return given


def _record(service: ReadService, endpoint: Endpoint, call: Call, answer: Answer) -> None:
    if endpoint.code is None:
        return
    question = answer.question
    service.record(
        Read(
            endpoint.code,
            call.token,
            call.caller,
            endpoint.path,
            filter_fields=filter_names(question) if question else answer.filter_fields,
            window=window(question) if question else "",
            query_hash=question.fingerprint if question else "",
            rows=answer.rows,
            target_id=answer.target_id,
        )
    )


def _response(endpoint: Endpoint, request: Request, answer: Answer) -> Response:
    if answer.file is not None:
        return file_response(answer.file)
    body, headers = dict(answer.body), {}
    if endpoint.method == "GET" and "next_cursor" in body:
        following = _next(request, answer.next_cursor)
        body["links"] = {"self": _relative(request), **({"next": following} if following else {})}
        headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return Response(to_json(body), endpoint.status, media_type="application/json", headers=headers)


def _relative(request: Request) -> str:
    # Relative, so that it is right behind any proxy.
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _next(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f"{request.url.path}?{urlencode([*kept, ('cursor', cursor)])}"


def problem_response(problem: Problem, request_id: str) -> Response:
    """Return a problem as a response."""
    body = to_json(problem.body(request_id))
    return Response(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def log_answer(request: Request, name: str, status: int, started: float) -> None:
    """Log one answer; never what was asked, which may hold personal data.

    Args:
        request: The request.
        name: Name of the operation.
        status: HTTP status of the answer.
        started: Monotonic time at which it began, seconds.
    """
    took_ms = round((time.monotonic() - started) * 1000, 1)
    log.info("answered", operation=name, status=status, took_ms=took_ms, request_id=request.state.request_id)
