"""Errors as answers: problem details (RFC 9457), one way for every endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from query.access.errors import AccessError, Forbidden, SignInFailed, TokenStoreUnavailable
from query.errors import (
    DatabaseNotReady,
    DatabaseUnreachable,
    InvalidCursor,
    InvalidFilter,
    InvalidQuery,
    QueryError,
    QueryTooExpensive,
)
from query.exports.errors import (
    ExportError,
    FileDamaged,
    JobCancelled,
    JobExpired,
    JobNotReady,
    JobUnknown,
    StorageUnusable,
    TooManyJobs,
)
from query.saved.errors import NameTaken, SavedSearchError, SearchInvalid, SearchUnknown

log = structlog.get_logger(__name__)

#: Kind of a problem -> its status and title. The type of a problem is ``urn:auditstream:problem:<kind>``.
KINDS: Mapping[str, tuple[int, str]] = {
    "invalid-filter": (400, "A filter is not understood"),
    "invalid-parameter": (400, "A parameter is not understood"),
    "invalid-body": (400, "The body is not understood"),
    "invalid-cursor": (400, "The cursor does not fit"),
    "not-signed-in": (401, "A valid token is needed"),
    "forbidden": (403, "The token does not allow this"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This method is not possible here"),
    "not-acceptable": (406, "The answer has no such form"),
    "conflict": (409, "This is not possible in the present state"),
    "gone": (410, "It is no longer kept"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The form of the body is not understood"),
    "too-expensive": (422, "The question passes a limit"),
    "not-resent": (502, "The service did not take the request"),
    "failed": (500, "The read failed"),
    "unavailable": (503, "The log cannot be read now"),
    "busy": (503, "Too many requests at once"),
    "timeout": (504, "The answer took too long"),
}
MEDIA_TYPE = "application/problem+json"
_AGAIN = {"Retry-After": "5"}


class Problem(Exception):
    """An answer that is an error.

    Attributes:
        kind: A key of ``KINDS``.
        detail: What is wrong, in a sentence.
        fields: Further members: ``term``, ``position``, ``parameter``, ``pointer`` …
        headers: Headers of the answer.
    """

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **fields: object) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.fields, self.headers = kind, detail, fields, dict(headers or {})

    @property
    def status(self) -> int:
        """HTTP status."""
        return KINDS[self.kind][0]

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the members of the answer.

        Args:
            request_id: Id of the request.
        """
        status, title = KINDS[self.kind]
        told = {name: value for name, value in self.fields.items() if value not in (None, "")}
        base = {"type": f"urn:auditstream:problem:{self.kind}", "title": title, "status": status}
        return {**base, "detail": self.detail, "request_id": request_id, **told}


def invalid(error: InvalidQuery, *, parameter: str = "", pointer: str = "") -> Problem:
    """Return the answer to a question that is wrong.

    Args:
        error: What is wrong.
        parameter: Name of the URL parameter that holds it.
        pointer: JSON pointer (RFC 6901) to it in the body.
    """
    place: dict[str, Any] = {"parameter": parameter, "pointer": pointer}
    if isinstance(error, InvalidCursor):
        return Problem("invalid-cursor", str(error), **place)
    if not isinstance(error, InvalidFilter):
        return Problem("invalid-parameter", str(error), **place)
    place |= {"term": error.term, "position": error.position}
    return Problem("invalid-filter", str(error), expected=error.expected, suggestion=error.suggestion, **place)


def problem_of(error: Exception) -> Problem:
    """Return the answer to an error of a read; what only operators should know is logged instead."""
    match error:
        case Problem():
            return error
        case InvalidQuery():
            return invalid(error)
        case QueryTooExpensive():
            return Problem("too-expensive", str(error), limit=error.limit, hint=error.hint)
        case SignInFailed():
            return not_signed_in(str(error))
        case Forbidden():
            return Problem("forbidden", str(error), right=error.right.value if error.right else "")
    return _operators_problem(error)


def not_signed_in(detail: str) -> Problem:
    """Return the answer to a request without a token that opens something."""
    return Problem("not-signed-in", detail, headers={"WWW-Authenticate": 'Bearer realm="auditstream"'})


def _export_problem(error: ExportError) -> Problem:
    match error:
        case JobUnknown():
            return Problem("not-found", f"{error}, or it is out of your reach")
        case JobExpired() | FileDamaged():
            hint = f"POST /api/v1/export-jobs/{error.job_id}/again makes it again with the same parameters"
            return Problem("gone", str(error), hint=hint)
        case JobNotReady() | JobCancelled():
            return Problem("conflict", str(error))
        case TooManyJobs():
            return Problem("busy", str(error), headers={"Retry-After": "30"})
        case StorageUnusable():
            log.error("exports_unavailable", reason=str(error))
            return Problem("unavailable", "the place where exports are kept gives no answer", headers=_AGAIN)
    log.error("export_failed", reason=str(error), kind=type(error).__name__)
    return Problem("failed", str(error))


def _search_problem(error: SavedSearchError) -> Problem:
    match error:
        case SearchUnknown():
            return Problem("not-found", f"{error}, or it is out of your reach")
        case NameTaken():
            return Problem("conflict", str(error), pointer="/name")
        case SearchInvalid():
            return Problem("invalid-body", str(error), pointer=f"/{error.member}", expected=error.expected)
    log.error("searches_unavailable", reason=str(error))
    return Problem("unavailable", "the database gives no answer, or is not set up", headers=_AGAIN)


def _operators_problem(error: Exception) -> Problem:
    match error:
        case ExportError():
            return _export_problem(error)
        case SavedSearchError():
            return _search_problem(error)
        case DatabaseUnreachable() | TokenStoreUnavailable() | DatabaseNotReady():
            log.error("read_unavailable", reason=str(error), kind=type(error).__name__)
            return Problem("unavailable", "the database gives no answer, or is not set up", headers=_AGAIN)
        case TimeoutError():
            return Problem("timeout", "there was no answer in time; ask for less, or again later", headers=_AGAIN)
        case QueryError() | AccessError():
            log.error("read_failed", reason=str(error), kind=type(error).__name__)
        case _:
            log.error("read_crashed", kind=type(error).__name__, exc_info=error)
    return Problem("failed", "the read failed; its cause is in the log of the server, under the request id")
