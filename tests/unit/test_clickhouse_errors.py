"""Every error code has one verdict, and every verdict is the error that tells the caller what to do."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    StreamFailureError,
)

from sinks.clickhouse_errors import BAD_ROW, RETRY, STOP, RowsRefused, UnknownRefusal, sink_error, verdict
from sinks.connection import translate
from sinks.errors import SinkError, SinkStopped, SinkUnavailable

LISTED = [*((c, "retry") for c in RETRY), *((c, "stop") for c in STOP), *((c, "bad_row") for c in BAD_ROW)]
EXPECTED = {"retry": SinkUnavailable, "stop": SinkStopped, "bad_row": RowsRefused, "unknown": UnknownRefusal}


def test_no_code_has_two_verdicts() -> None:
    codes = [code for code, _ in LISTED]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(("code", "expected"), LISTED)
def test_a_listed_code_gets_its_verdict_and_keeps_its_number(code: int, expected: str) -> None:
    error = sink_error(code, f"Code: {code}.")
    assert verdict(code) == expected
    assert type(error) is EXPECTED[expected]
    assert getattr(error, "code", None) == code


def test_a_code_that_nobody_listed_is_tried_again_and_counted() -> None:
    assert verdict(31_337) == "unknown"
    assert isinstance(sink_error(31_337, "new in this release"), UnknownRefusal)


def test_too_many_parts_waits_longer_than_a_lost_connection() -> None:
    parts, network = sink_error(252, ""), sink_error(210, "")
    assert isinstance(parts, SinkUnavailable)
    assert isinstance(network, SinkUnavailable)
    assert parts.retry_after_s > network.retry_after_s


def test_no_answer_is_a_matter_of_the_network() -> None:
    error = translate(OperationalError("connection refused"))
    assert isinstance(error, SinkUnavailable)
    assert (error.reason, error.code) == ("network", 0)


@pytest.mark.parametrize(
    "kind", [DatabaseError, InterfaceError, NotSupportedError, OperationalError, ProgrammingError, StreamFailureError]
)
def test_every_error_of_the_client_library_becomes_one_of_ours(kind: type[Exception]) -> None:
    assert isinstance(translate(kind("what went wrong")), SinkError)  # type: ignore[arg-type]


def test_a_coded_error_keeps_its_meaning_whatever_class_the_library_chose() -> None:
    assert isinstance(translate(OperationalError("no such table", code=60)), SinkStopped)
    assert isinstance(translate(DatabaseError("memory", code=241)), SinkUnavailable)


def test_an_answer_without_a_code_is_not_taken_for_a_refusal() -> None:
    assert isinstance(translate(DatabaseError("502 Bad Gateway")), SinkUnavailable)
