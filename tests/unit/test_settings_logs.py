"""Logs: one line per event on standard error, without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from auditstream.logs import LogSettings, configure_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_line_of_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings())
    structlog.get_logger("consumers.worker").info("batch stored", rows=3, reason="age\nand rows")
    (line,) = _lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "batch stored", "level": "info", "rows": 3, "reason": "age\nand rows"}


def test_an_exception_stays_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings())
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("consumers").exception("stopped")
    (line,) = _lines(capsys)
    assert "ValueError: invalid literal" in line["exception"]


def test_secrets_are_stars(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings())
    structlog.get_logger("schemas").info(
        "asked", password="pa55", config={"sasl.password": "pa55"}, url="http://u:pa55@h"
    )
    assert "pa55" not in capsys.readouterr().err


def test_a_level_below_the_one_asked_for_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="warning"))
    log = structlog.get_logger("consumers")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in _lines(capsys)] == ["loud"]


def test_key_value_lines_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="keyvalue"))
    structlog.get_logger("consumers").info("batch stored", rows=3, reason="a\nb")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert 'level=info event="batch stored" rows=3' in lines[0]


def test_libraries_log_in_the_same_form_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings())
    logging.getLogger("urllib3").info("not told")
    logging.getLogger("urllib3").warning("retry %d", 2)
    (line,) = _lines(capsys)
    assert (line["event"], line["level"]) == ("retry 2", "warning")


def test_our_modules_may_use_the_standard_library_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings())
    logging.getLogger("sinks.served").info("up")
    assert [line["event"] for line in _lines(capsys)] == ["up"]
