"""Every error of a read has an answer, and none tells what only operators should know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from query.access.errors import (
    AccessError,
    Forbidden,
    SignInFailed,
    TokenInvalid,
    TokenStoreUnavailable,
    TokenUnknown,
)
from query.access.rights import Right
from query.errors import (
    DatabaseNotReady,
    DatabaseUnreachable,
    InvalidCursor,
    InvalidFilter,
    InvalidQuery,
    QueryError,
    QueryFailed,
    QueryTooExpensive,
)
from query.http.problems import KINDS, Problem, invalid, problem_of

SECRET = "SELECT secret FROM db.internal"

EXAMPLES: dict[type[Exception], tuple[Exception, str]] = {
    InvalidQuery: (InvalidQuery("wrong"), "invalid-parameter"),
    InvalidFilter: (InvalidFilter("a:b", "wrong", "right", position=0), "invalid-filter"),
    InvalidCursor: (InvalidCursor("wrong"), "invalid-cursor"),
    QueryTooExpensive: (QueryTooExpensive("time", "add a period"), "too-expensive"),
    DatabaseNotReady: (DatabaseNotReady(SECRET), "unavailable"),
    DatabaseUnreachable: (DatabaseUnreachable(SECRET), "unavailable"),
    QueryFailed: (QueryFailed(SECRET), "failed"),
    SignInFailed: (SignInFailed("revoked"), "not-signed-in"),
    Forbidden: (Forbidden("bodies", Right.BODIES), "forbidden"),
    TokenInvalid: (TokenInvalid(SECRET), "failed"),
    TokenUnknown: (TokenUnknown(SECRET), "failed"),
    TokenStoreUnavailable: (TokenStoreUnavailable(SECRET), "unavailable"),
    TimeoutError: (TimeoutError(SECRET), "timeout"),
    ZeroDivisionError: (ZeroDivisionError(SECRET), "failed"),
}


def _subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for found in kind.__subclasses__():
        yield found
        yield from _subclasses(found)


def test_every_error_of_reads_and_of_rights_has_an_example_here() -> None:
    # Those of exports do not reach the API.
    own = {e for base in (QueryError, AccessError) for e in _subclasses(base) if ".exports" not in e.__module__}
    assert own <= set(EXAMPLES)


@pytest.mark.parametrize(("error", "kind"), EXAMPLES.values(), ids=lambda v: type(v).__name__)
def test_an_error_is_answered_by_what_the_caller_should_do(error: Exception, kind: str) -> None:
    problem = problem_of(error)
    assert problem.kind == kind
    assert SECRET not in str(problem.body("r"))
    assert problem.body("r")["status"] == KINDS[kind][0]


def test_a_position_of_zero_is_told_and_what_is_not_known_is_left_out() -> None:
    error = InvalidFilter("a:b", "wrong", "right", position=0)
    body = invalid(error, parameter="q").body("r-1")
    assert (body["position"], body["parameter"], body["request_id"]) == (0, "q", "r-1")
    assert "pointer" not in body
    assert "suggestion" not in body


def test_a_client_without_a_token_is_told_how_to_sign_in_and_one_that_has_to_wait_for_how_long() -> None:
    assert problem_of(SignInFailed("expired")).headers == {"WWW-Authenticate": 'Bearer realm="auditstream"'}
    assert problem_of(DatabaseUnreachable("x")).headers == {"Retry-After": "5"}
    assert problem_of(Problem("not-found", "x")).headers == {}


def test_serving_reads_loads_neither_the_decoder_nor_the_engine() -> None:
    code = (
        "import sys, auditstream.commands.serve, auditstream.commands.tokens; "
        "print([m for m in ('numba', 'chdb') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
