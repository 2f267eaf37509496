"""The run-log call of another platform, kept as its clients know it: ``POST /api/v1.1/NAME/log_v2``.

Which type of object NAME stands for is a setting (``http.run_logs``); ``campaigns`` reads the runs of campaigns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response

from query.access.errors import Forbidden, SignInFailed
from query.access.recording import Caller, Read, filter_names, window
from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.errors import InvalidFilter
from query.expression import Term, conjunction
from query.fields import Row
from query.http.body import read_body
from query.http.problems import Problem, problem_of
from query.http.run_log_forms import BodyNotUnderstood, RunLogAnswer, read_request
from query.http.service import ReadService, caller_of
from query.http.serving import log_answer
from query.period import Clock, parse_moment
from query.question import UTC_ZONE, Question

PATH = "/api/v1.1/{name}/log_v2"
DEFAULT_LIMIT, MOST_ENTRIES = 1000, 10_000
_MEMBERS = ("token", "format", "from_time", "id", "limit")
_FIELDS = ("severity", "message", "occurred_at", "run_state", "run_value", "title")
#: States that the call knows; others are an ordinary entry to it.
_STATES = frozenset({"start", "end"})
_MEDIA_TYPES = {"json": "application/json", "xml": "application/xml"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that is understood."""

    question: Question
    limit: int


class _Refused(Exception):
    """The request is wrong; the message says what."""


async def run_log(service: ReadService, request: Request) -> Response:
    """Answer the call, in whatever form it asks for; ``error`` is 0 or the HTTP status."""
    started = time.monotonic()
    form = "xml" if "xml" in request.headers.get("accept", "") else "json"
    members: Mapping[str, Any] = {}
    try:
        with anyio.fail_after(service.settings.timeout_s):
            members = read_request(await read_body(request, service.settings.body_bytes))
            answer = await _answered(service, request, members)
    except Exception as error:
        answer = _failure(error)
    form = _form(members) or form
    status = answer.error or 200
    log_answer(request, "run_log", status, started)
    body = answer.as_xml() if form == "xml" else answer.as_json()
    return Response(body, status, media_type=_MEDIA_TYPES[form])


def _form(members: Mapping[str, Any]) -> str | None:
    asked = members.get("format")
    return asked if isinstance(asked, str) and asked in _MEDIA_TYPES else None


def _failure(error: Exception) -> RunLogAnswer:
    match error:
        case _Refused() | BodyNotUnderstood():
            return RunLogAnswer(error=400, error_text=str(error))
        case SignInFailed():
            return RunLogAnswer(error=401, error_text="Invalid token")
    problem = problem_of(error)
    return RunLogAnswer(error=problem.status, error_text=problem.detail)


async def _answered(service: ReadService, request: Request, members: Mapping[str, Any]) -> RunLogAnswer:
    caller = caller_of(request, request.state.request_id)
    secret = members.get("token", "")
    if not isinstance(secret, str) or not secret:
        raise Problem("not-signed-in", "token is missing")
    token = await service.sign_in(secret, caller)
    object_type = service.settings.run_logs.get(request.path_params["name"])
    if object_type is None:
        raise Problem("not-found", "there is no such log")
    asked = _asked(members, object_type)
    try:
        answer = await service.read(token, lambda reader: _read(reader, asked))
    except Forbidden as error:
        service.record_denied(token, caller, PATH, error)
        raise
    _record(service, token, caller, asked, answer)
    return answer


def _asked(members: Mapping[str, Any], object_type: str) -> _Asked:
    if unknown := [name for name in members if name not in _MEMBERS]:
        raise _Refused(f"unknown parameter {unknown[0]}; expected {', '.join(_MEMBERS)}")
    if "format" in members and _form(members) is None:
        raise _Refused("format must be json or xml")
    now = datetime.now(UTC)
    terms = [
        Term("kind", "run_log"),
        Term("run_object_type", object_type),
        Term("run_object", _object_id(members)),
        *_from_time(members, Clock(now, UTC_ZONE)),
    ]
    return _Asked(Question(conjunction(*terms), now=now), _limit(members))


def _object_id(members: Mapping[str, Any]) -> str:
    value = members.get("id")
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise _Refused("id is missing" if value in (None, "") else "id must be a number or a text")
    return str(value).strip()


def _limit(members: Mapping[str, Any]) -> int:
    value = members.get("limit", DEFAULT_LIMIT)
    text = value.strip() if isinstance(value, str) else value
    number = int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 10 else text
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST_ENTRIES:
        raise _Refused(f"limit must be a whole number from 1 to {MOST_ENTRIES}")
    return number


def _from_time(members: Mapping[str, Any], clock: Clock) -> list[Term]:
    value = members.get("from_time")
    if value in (None, ""):
        return []
    try:
        parse_moment(str(value), clock)
    except (InvalidFilter, ValueError):
        raise _Refused("from_time must be a time such as 2018-08-10T00:00:00.000Z") from None
    return [Term("since", str(value))]


def _read(reader: ScopedReader, asked: _Asked) -> RunLogAnswer:
    # The newest, shown from old to new.
    rows = reader.page(asked.question, limit=asked.limit, fields=_FIELDS).rows
    return RunLogAnswer([_entry(row) for row in reversed(rows)], reader.count(asked.question))


def _entry(row: Row) -> dict[str, str]:
    moment: datetime = row["occurred_at"]
    state = row["run_state"]
    return {
        "level": row["severity"],
        "message": row["message"] or row["title"],
        "time": moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "state": state if state in _STATES else "",
        "value": row["run_value"],
    }


def _record(service: ReadService, token: Token, caller: Caller, asked: _Asked, answer: RunLogAnswer) -> None:
    question = asked.question
    names, period = filter_names(question), window(question)
    rows = len(answer.entries)
    service.record(Read("access.search", token, caller, PATH, names, period, question.fingerprint, rows))
