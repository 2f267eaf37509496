"""The metadata beside a committed offset."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.intents import Intent

TOPIC_ID = UUID("01020304-0506-0708-090a-0b0c0d0e0f10")


@given(st.uuids(), st.none() | st.integers(0, 2**63 - 1))
def test_an_intent_survives_the_round_trip_through_kafka(topic_id: UUID, last: int | None) -> None:
    text = Intent(topic_id, last).encode()
    assert Intent.decode(text) == Intent(topic_id, last)
    assert len(text.encode()) <= 4095


@pytest.mark.parametrize("metadata", [None, ""])
def test_an_offset_set_by_an_operator_carries_no_intent(metadata: str | None) -> None:
    assert Intent.decode(metadata) == Intent(None, None)


@pytest.mark.parametrize(
    "metadata", ["NO_METADATA", "auditstream/2 00 -", "auditstream/1 xyz 5", "auditstream/1 - -", "x y z"]
)
def test_metadata_of_something_else_is_refused(metadata: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Intent.decode(metadata)


def test_an_intent_needs_a_topic_id() -> None:
    with pytest.raises(ValueError, match="topic id"):
        Intent(None, 5).encode()
