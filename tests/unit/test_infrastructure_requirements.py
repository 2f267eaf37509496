"""A test that misses something says so, or fails where it was promised to be there."""

from __future__ import annotations

import pytest

from infrastructure.requirements import missing


def test_a_test_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITSTREAM_REQUIRE", "registry")
    with pytest.raises(pytest.skip.Exception, match="kafka is not there: no java"):
        missing("kafka", "no java")


def test_a_test_fails_when_what_is_missing_was_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITSTREAM_REQUIRE", "registry, kafka")
    with pytest.raises(pytest.fail.Exception, match="AUDITSTREAM_REQUIRE names kafka, and it is not there: no java"):
        missing("kafka", "no java")
