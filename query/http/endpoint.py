"""What an endpoint is, what it gets and what it gives: routes and the OpenAPI document come from the same list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.responses import Response

from query.access.recording import AccessCode, Caller
from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.http.files import OpenFile
from query.http.parameters import Parameter, Values
from query.http.service import ReadService
from query.question import Question
from query.settings import HttpSettings
from schemas.catalogue import Catalogue

JsonSchema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, signed in and understood as far as its endpoint declares.

    Attributes:
        values: Parameters of the query part.
        path: Parameters of the path.
        body: Members of the JSON body; empty without one.
        token: Whose rights count.
        caller: Who calls.
        catalogue: The event codes.
        settings: Limits.
        service: What answers reads, and what the process has besides.
    """

    values: Values
    path: Mapping[str, str]
    body: Mapping[str, Any]
    token: Token
    caller: Caller
    catalogue: Catalogue
    settings: HttpSettings
    service: ReadService


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint found.

    Attributes:
        body: Members of the answer.
        question: What was asked, without the scope; None when it was no question about events.
        filter_fields: Names of what it was filtered by, when there is no question.
        rows: Rows of it, for the record of the read.
        next_cursor: Continues a page; None when there is no further one.
        target_id: Event that was looked at, for the record.
        file: Sent in place of the body; None for JSON.
    """

    body: Mapping[str, Any]
    question: Question | None = None
    filter_fields: tuple[str, ...] = ()
    rows: int | None = None
    next_cursor: str | None = None
    target_id: str = ""
    file: OpenFile | None = None


Handler = Callable[[Call, ScopedReader], Answer]
#: Takes the request apart itself; gets the ASGI request and returns the response.
AsyncHandler = Callable[[Any], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: HTTP method.
        path: Path with ``{name}`` for its parameters.
        name: Name of the operation.
        summary: What it does, in a line.
        handler: Answers, on a thread that may wait.
        answer: JSON Schema of the answer, or a reference to one.
        parameters: What it takes in the URL.
        filters: Whether every filter is a parameter too.
        body: JSON Schema of the body; None without one.
        code: Event code under which the read is recorded; None for what is no read of the log.
        tag: Group in the document.
        problems: Kinds of problems that it may answer with, beside those of every endpoint.
        status: HTTP status of its answer.
        head: Whether HEAD is answered too, as GET without the body.
        media_types: Of the file that it answers with; empty for JSON.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    name: str
    summary: str
    handler: Handler
    answer: JsonSchema
    parameters: tuple[Parameter, ...] = ()
    filters: bool = False
    body: JsonSchema | None = None
    code: AccessCode | None = "access.search"
    tag: str = "events"
    problems: tuple[str, ...] = ()
    status: int = 200
    head: bool = True
    media_types: tuple[str, ...] = ()
