"""Sending a webhook again over HTTP: within the scope of the token, with the right for it, once for each key."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import anyio
import anyio.to_thread
import structlog
from anyio.lowlevel import RunVar
from starlette.requests import Request
from starlette.responses import Response

from query.access.errors import Forbidden
from query.access.recording import Caller, Read
from query.access.rights import Right
from query.access.token import Token
from query.http.asking import JsonBody
from query.http.body import read_json
from query.http.encoding import to_json
from query.http.parameters import check_names
from query.http.problems import Problem, problem_of
from query.http.service import ReadService, bearer, caller_of
from query.http.serving import log_answer, problem_response, values_of
from query.resend import (
    Ask,
    Asker,
    AskInvalid,
    LedgerUnavailable,
    NoRoute,
    NotPossible,
    NotRecorded,
    Resend,
    Resender,
    ResendError,
    Sendout,
    SendoutAmbiguous,
    SendoutUnknown,
    Underway,
    find_sendout,
)

log = structlog.get_logger(__name__)

PATH = "/api/v1/webhooks/{sendout_id}/resend"
#: The same as the router reads it: ids may hold slashes.
ROUTE = PATH.replace("{sendout_id}", "{sendout_id:path}")
KEY_HEADER = "Idempotency-Key"
BODY_KEYS = ("reason", "force", "tenant")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
#: Services asked at once; a limiter belongs to the event loop in which it is used.
_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("resends")
_SECONDS_UNDERWAY = "15"


class Resends:
    """Sends webhooks again for those who are signed in, beside the reads and never in their way."""

    def __init__(self, resender: Resender, service: ReadService, calls: int) -> None:
        """Put the parts together.

        Args:
            resender: Asks the services; closed by the caller.
            service: Reads sendouts within the scope of a token.
            calls: Services asked at the same time.
        """
        self._resender, self._service, self._calls = resender, service, calls

    async def sendout(self, token: Token, caller: Caller, sendout_id: str, tenant: str, resource: str) -> Sendout:
        """Return the latest state of a sendout that a token may ask for; the read is recorded.

        Raises:
            Forbidden: The token has not the right to ask.
            ResendError: There is no such sendout within its scope, or several.
            QueryError: The database could not answer.
        """
        if not token.may(Right.RESEND):
            raise Forbidden("to send a webhook again", Right.RESEND)
        found = await self._service.read(token, lambda reader: find_sendout(reader, sendout_id, tenant=tenant))
        names = ("tenant", "webhook") if tenant else ("webhook",)
        self._service.record(Read("access.search", token, caller, resource, filter_fields=names, rows=1))
        return found

    async def resend(self, sendout: Sendout, ask: Ask) -> Resend:
        """Ask the service of a sendout; see ``Resender.resend``."""
        return await self._in_thread(sendout, ask)

    async def obstacle(self, sendout: Sendout) -> str:
        """Return what is in the way of asking for a sendout without force, empty when nothing is."""

        def checked() -> str:
            try:
                self._resender.check(sendout)
            except ResendError as error:
                return resend_problem(error).detail
            return ""

        return await self._service.in_thread(checked)

    async def found(self, sendout: Sendout, key: str) -> Resend | None:
        """Return the outcome of an earlier request; see ``Resender.found``."""
        return await self._service.in_thread(lambda: self._resender.found(sendout, key))

    async def _in_thread(self, sendout: Sendout, ask: Ask) -> Resend:
        try:
            limiter = _LIMITER.get()
        except LookupError:
            limiter = anyio.CapacityLimiter(self._calls)
            _LIMITER.set(limiter)
        # Never abandoned: what was asked of a service has an outcome, and whoever asked is to learn it.
        return await anyio.to_thread.run_sync(lambda: self._resender.resend(sendout, ask), limiter=limiter)


async def resend(service: ReadService, resends: Resends, request: Request) -> Response:
    """Answer a request to send a webhook again."""
    caller = caller_of(request, request.state.request_id)
    started = time.monotonic()
    try:
        response = await _answered(service, resends, request, caller)
    except ResendError as error:
        response = problem_response(resend_problem(error), caller.request_id)
    except Exception as error:
        response = problem_response(problem_of(error), caller.request_id)
    log_answer(request, "resend", response.status_code, started)
    return response


async def _answered(service: ReadService, resends: Resends, request: Request, caller: Caller) -> Response:
    token = await service.sign_in(bearer(request), caller)
    check_names(values_of(request), (), filters=False)
    body = JsonBody(await read_json(request, service.settings.body_bytes), BODY_KEYS)
    ask = Ask(
        Asker.of(token, caller.ip, "api"),
        body.text("reason") or "",
        _key(request),
        body.flag("force"),
        caller.request_id,
        token.token_id,
    )
    sendout_id, tenant = request.path_params["sendout_id"], body.text("tenant") or ""
    try:
        sendout = await resends.sendout(token, caller, sendout_id, tenant, PATH)
    except Forbidden as error:
        service.record_denied(token, caller, PATH, error)
        raise
    done = await resends.resend(sendout, ask)
    if done.outcome.state != "accepted":
        raise _not_resent(done)
    return Response(to_json({"resend": as_row(done)}), media_type="application/json")


def _key(request: Request) -> str:
    given = request.headers.get(KEY_HEADER)
    if given is not None and not _KEY.fullmatch(given):
        expected = "1 to 200 printable ASCII characters without blanks"
        raise Problem(
            "invalid-parameter", f"{KEY_HEADER}: expected {expected}", parameter=KEY_HEADER, expected=expected
        )
    return given or str(uuid4())


def as_row(done: Resend) -> Mapping[str, Any]:
    """Return a request and its outcome as members of an answer."""
    outcome = done.outcome
    return {
        "resend_id": str(done.resend_id),
        "idempotency_key": done.key,
        "tenant_id": done.tenant_id,
        "sendout_id": done.sendout_id,
        "outcome": outcome.state,
        "detail": outcome.detail,
        "http_status": outcome.http_status,
        "attempts": outcome.attempts,
        "route": done.route,
        "asked_at": done.asked_at,
        "asked_by": {"type": done.by.type, "id": done.by.id, "name": done.by.name},
        "reason": done.reason,
        "forced": done.forced,
        "repeated": done.repeated,
    }


def resend_problem(error: ResendError) -> Problem:
    """Return the answer to a request that asked nothing."""
    match error:
        case SendoutUnknown():
            return Problem("not-found", str(error))
        case AskInvalid():
            return Problem("invalid-body", str(error), pointer=f"/{error.field}", expected=error.expected)
        case NotRecorded() | LedgerUnavailable():
            log.error("resend_unavailable", reason=str(error), kind=type(error).__name__)
            detail = "the request could not be kept or audited now, so nothing was asked; repeat it with the same key"
            return Problem("unavailable", detail, headers={"Retry-After": _SECONDS_UNDERWAY})
    return _conflict(error)


def _conflict(error: ResendError) -> Problem:
    fields: dict[str, Any] = {}
    match error:
        case SendoutAmbiguous():
            fields = {"pointer": "/tenant", "expected": ", ".join(error.tenants)}
        case NotPossible():
            fields = {"hint": "force"}
        case NoRoute():
            fields = {"hint": "resend.routes"}
        case Underway():
            fields = {"headers": {"Retry-After": _SECONDS_UNDERWAY}}
    return Problem("conflict", str(error), **fields)


def _not_resent(done: Resend) -> Problem:
    outcome = done.outcome
    hint = "correct what the service names, then ask with a new key"
    if outcome.state == "unanswered":
        hint = "it may have been carried out: look at the attempts of the sendout before you ask with a new key"
    return Problem("not-resent", outcome.detail, outcome=outcome.state, resend_id=str(done.resend_id), hint=hint)
