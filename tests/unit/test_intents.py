"""The metadata beside a committed offset."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.intents import Intent

TOPIC_ID = UUID("01020304-0506-0708-090a-0b0c0d0e0f10")


@given(st.uuids(), st.none() | st.integers(0, 2**63 - 1), st.just("") | st.uuids().map(lambda group: group.hex))
def test_an_intent_survives_the_round_trip_through_kafka(topic_id: UUID, last: int | None, group: str) -> None:
    text = Intent(topic_id, last, group).encode()
    assert Intent.decode(text) == Intent(topic_id, last, group if last is not None else "")
    assert len(text) <= 99


def test_an_intent_without_group_reads_as_it_always_did() -> None:
    assert Intent(TOPIC_ID, 7).encode() == f"auditstream/1 {TOPIC_ID.hex} 7"
    assert Intent.decode(f"auditstream/1 {TOPIC_ID.hex} 7") == Intent(TOPIC_ID, 7)


@pytest.mark.parametrize("metadata", [None, ""])
def test_an_offset_set_by_an_operator_carries_no_intent(metadata: str | None) -> None:
    assert Intent.decode(metadata) == Intent(None, None)


@pytest.mark.parametrize(
    "metadata",
    [
        "NO_METADATA",
        "auditstream/2 00 -",
        "auditstream/1 xyz 5",
        "auditstream/1 - -",
        "x y z",
        f"auditstream/2 {TOPIC_ID.hex} 5",
        f"auditstream/2 {TOPIC_ID.hex} - {TOPIC_ID.hex}",
        f"auditstream/2 {TOPIC_ID.hex} 5 xyz",
        f"auditstream/1 {TOPIC_ID.hex} 5 {TOPIC_ID.hex}",
    ],
)
def test_metadata_of_something_else_is_refused(metadata: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Intent.decode(metadata)


def test_an_intent_needs_a_topic_id() -> None:
    with pytest.raises(ValueError, match="topic id"):
        Intent(None, 5).encode()
