"""What a test needs from outside, and what happens when it is not there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


class Unavailable(Exception):
    """Something from outside cannot be had; the message says every way that was tried."""

    def __init__(self, tried: list[str]) -> None:
        super().__init__("; ".join(tried))
        self.tried = tried


def required() -> frozenset[str]:
    """Return the names in AUDITSTREAM_REQUIRE, for example ``kafka,registry,clickhouse``."""
    return frozenset(name.strip() for name in os.environ.get("AUDITSTREAM_REQUIRE", "").split(",") if name.strip())


def missing(name: str, reason: object) -> NoReturn:
    """Skip the test with its reason, or fail it when AUDITSTREAM_REQUIRE names what is missing.

    Args:
        name: ``kafka``, ``registry``, ``clickhouse``, ``java``, ``promtool``, ``browser`` …
        reason: Why it is not there.
    """
    if name in required():
        pytest.fail(f"AUDITSTREAM_REQUIRE names {name}, and it is not there: {reason}", pytrace=False)
    pytest.skip(f"{name} is not there: {reason}")
