"""The live tail: arrivals without a gap, as server-sent events or by long-poll, continued by position."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from query.access.errors import AccessError, Forbidden
from query.access.recording import AccessCode, Caller, Read, filter_names, window
from query.access.token import Token
from query.arrivals import START, Arrivals, Position
from query.errors import DatabaseUnreachable, InvalidCursor, InvalidFilter, QueryError
from query.fields import Row
from query.http.asking import question_of_url
from query.http.encoding import to_json
from query.http.parameters import QUESTION, Parameter, Values, check_names
from query.http.problems import Problem, invalid, problem_of
from query.http.service import ReadService, caller_of
from query.http.serving import log_answer, problem_response, values_of
from query.question import Question

log = structlog.get_logger(__name__)

PATH = "/api/v1/tail"
EVENT_STREAM = "text/event-stream"
#: Seconds that a long-poll may wait, and that a stream is silent at most.
MOST_WAIT_S = 30
_SILENCE_S = 15.0
_OWN_RECORD: AccessCode = "access.tail"

PARAMETERS = (
    *QUESTION,
    Parameter("position", "Where an earlier step ended; without it the tail begins as `start` says."),
    Parameter("start", "Begin with the next event or with the oldest; default newest.", {"enum": ["newest", "oldest"]}),
    Parameter(
        "wait_s",
        "Seconds that a long-poll waits for something to arrive; default 20.",
        {"type": "integer", "minimum": 0, "maximum": MOST_WAIT_S},
    ),
    Parameter("limit", "Rows of one partition in one step.", {"type": "integer", "minimum": 1}),
    Parameter("fields", "Names of fields with commas between; all by default."),
)


@dataclass(slots=True)
class _Tail:
    """One tail: what is asked, and how far it has come."""

    service: ReadService
    request: Request
    token: Token
    caller: Caller
    question: Question
    shown: Sequence[str]
    limit: int
    position: Position
    continued: bool

    @property
    def fields(self) -> Sequence[str]:
        """What is read: what is shown, and the code, which tells records of tails from others."""
        return (*self.shown, "event_code") if self.shown else ()

    async def step(self) -> Arrivals:
        found = await self.service.read(
            self.token,
            lambda r: r.arrivals(self.question, self.position, limit=self.limit, fields=self.fields),
        )
        self.position = found.position
        return found

    def record(self, rows: int | None) -> None:
        question = self.question
        names, period = filter_names(question), window(question)
        self.service.record(Read(_OWN_RECORD, self.token, self.caller, PATH, names, period, question.fingerprint, rows))


async def tail(service: ReadService, request: Request) -> Response:
    """Answer a tail: a stream when the caller accepts server-sent events, else one step."""
    caller = caller_of(request, request.state.request_id)
    started = time.monotonic()
    try:
        with anyio.fail_after(service.settings.timeout_s + MOST_WAIT_S):
            response = await _begun(service, request, caller)
    except Exception as error:
        response = problem_response(problem_of(error), caller.request_id)
    log_answer(request, "tail", response.status_code, started)
    return response


async def _begun(service: ReadService, request: Request, caller: Caller) -> Response:
    token = await service.identify(request, caller)
    try:
        one, wait_s = await _tail(service, request, caller, token)
        if EVENT_STREAM in request.headers.get("accept", ""):
            return _stream(one)
        return await _polled(one, wait_s)
    except Forbidden as error:
        service.record_denied(token, caller, PATH, error)
        raise


async def _tail(service: ReadService, request: Request, caller: Caller, token: Token) -> tuple[_Tail, int]:
    given = values_of(request)
    check_names(given, PARAMETERS, filters=True)
    values = Values(given)
    question = question_of_url(values)
    limit = values.number("limit", service.settings.max_rows, 1, service.settings.max_rows)
    text = request.headers.get("last-event-id") or values.text("position")
    start = values.chosen("start", ("newest", "oldest"), "newest")
    wait_s = values.number("wait_s", 20, 0, MOST_WAIT_S)
    position = _position(text) if text else START
    one = _Tail(service, request, token, caller, question, values.names("fields"), limit, position, bool(text))
    if not text and start == "newest":
        one.position = await service.read(token, lambda r: r.newest_position())
    await _check(one)
    return one, wait_s


async def _check(one: _Tail) -> None:
    """Ask once behind everything, so that a field or filter that is wrong is told before a stream begins."""
    try:
        nowhere = await one.service.read(one.token, lambda r: r.newest_position())
        await one.service.read(one.token, lambda r: r.arrivals(one.question, nowhere, limit=1, fields=one.fields))
    except InvalidFilter as error:
        raise invalid(error, parameter="fields") from None


def _position(text: str) -> Position:
    try:
        return Position.decode(text)
    except InvalidCursor as error:
        raise invalid(error, parameter="position") from None


async def _polled(one: _Tail, wait_s: int) -> Response:
    deadline = time.monotonic() + wait_s
    found = await one.step()
    while not found.rows and not one.service.stopping:
        left = deadline - time.monotonic()
        if left <= 0 and found.caught_up:
            break
        if found.caught_up:
            await anyio.sleep(min(one.service.settings.tail_interval_s, max(left, 0)))
        found = await one.step()
    _record_poll(one, found.rows)
    body = {"data": _shown(one, found.rows), "position": one.position.encode(), "caught_up": found.caught_up}
    return Response(to_json(body), media_type="application/json")


def _shown(one: _Tail, rows: Sequence[Row]) -> Sequence[Row]:
    return [{name: row[name] for name in one.shown} for row in rows] if one.shown else rows


def _record_poll(one: _Tail, rows: Sequence[Row]) -> None:
    # Polls that show nothing but records of tails are not recorded again: two auditors who follow the reads of the
    # log would wake each other for ever.
    codes = {row["event_code"] for row in rows}
    if not one.continued or (rows and codes != {_OWN_RECORD}):
        one.record(len(rows))


def _stream(one: _Tail) -> Response:
    if not one.service.room_for_tail:
        most = one.service.settings.tails
        raise Problem("busy", f"there are {most} live tails already", headers={"Retry-After": "30"})
    one.record(None)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_events(one), media_type=EVENT_STREAM, headers=headers)


async def _events(one: _Tail) -> AsyncIterator[bytes]:
    settings, rows = one.service.settings, 0
    ends_at = time.monotonic() + settings.tail_s
    spoken_at = time.monotonic()
    caught_up = False
    one.service.tails += 1
    try:
        yield _event("position", one.position, {"caught_up": False})
        while time.monotonic() < ends_at and not one.service.stopping:
            found = await _step_or_problem(one)
            if isinstance(found, bytes):
                yield found
                return
            if found is not None and found.rows:
                rows, spoken_at = rows + len(found.rows), time.monotonic()
                caught_up = found.caught_up
                yield _event("events", one.position, {"data": _shown(one, found.rows), "caught_up": caught_up})
            elif caught_up != _caught_up(found) or time.monotonic() - spoken_at > _SILENCE_S:
                caught_up, spoken_at = _caught_up(found), time.monotonic()
                # The position moves over events that do not match, too.
                yield _event("position", one.position, {"caught_up": caught_up})
            if found is None or found.caught_up:
                await anyio.sleep(settings.tail_interval_s)
    finally:
        one.service.tails -= 1
        log.info("tail_ended", request_id=one.caller.request_id, rows=rows)


def _caught_up(found: Arrivals | None) -> bool:
    # While the database is away nobody knows.
    return found is not None and found.caught_up


async def _step_or_problem(one: _Tail) -> Arrivals | bytes | None:
    """Take one step; None when the database is away, a last message when the tail must end."""
    try:
        # A token that is revoked, or a session that is signed out meanwhile, ends its tails.
        one.token = await one.service.identify(one.request, one.caller)
        return await one.step()
    except DatabaseUnreachable as error:
        log.warning("waiting", stage="tail", reason=str(error))
        return None
    except (QueryError, AccessError, Problem) as error:
        return b"event: problem\ndata: " + to_json(problem_of(error).body(one.caller.request_id)) + b"\n\n"


def _event(name: str, position: Position, data: dict[str, object]) -> bytes:
    head = f"id: {position.encode()}\nevent: {name}\ndata: "
    return head.encode() + to_json(data) + b"\n\n"
