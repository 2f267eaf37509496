"""The decoder reads what fastavro reads: random schemas, values, evolution and mutated bytes.

Every decoder here compares each access to memory with its bounds. Where the decoder is stricter than fastavro, on
purpose, the errors are listed in STRICTER; docs/decoder.md explains them.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fuzz_decoder
from avro_reference import Reference, compare, compare_in_bulk, mutate, reference, write
from avro_schemas import ADDED, event, evolved, records, supported, values, without_logical_types
from consumers.batch import Payloads
from consumers.decode import Decoder, SchemaIncompatible, read_frames
from schemas.columns import avro_schema

EXAMPLES = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def string_paths(schema: Any) -> frozenset[str]:
    decoder = Decoder(schema)
    empty = Payloads.of([])
    columns = decoder.decode(empty, read_frames(empty), 1).columns
    return frozenset(p for p, a in columns.items() if pa.types.is_string(a.type) and p)


def decoder_of(writer: Any, reader: Any) -> Decoder:
    decoder = Decoder(reader, string_paths(reader), checked=True)
    decoder.add_writer(7, writer)
    return decoder


@EXAMPLES
@given(st.data(), st.randoms(use_true_random=False))
def test_random_messages_of_random_schemas_are_read_alike_also_when_mutated(
    data: st.DataObject, chance: random.Random
) -> None:
    schema = data.draw(records())
    bodies = [write(schema, v) for v in data.draw(st.lists(values(schema), min_size=1, max_size=5))]
    decoder = decoder_of(schema, schema)
    assert compare(decoder, schema, schema, bodies) == len(bodies)
    mutated = [mutate(chance, b) for b in bodies * 8]
    accepted = compare(decoder, schema, schema, mutated)
    assert compare_in_bulk(decoder, Reference(schema, schema), mutated)["accepted"] == accepted


@EXAMPLES
@given(st.data(), st.randoms(use_true_random=False))
def test_random_messages_are_resolved_to_random_reader_schemas_alike(
    data: st.DataObject, chance: random.Random
) -> None:
    writer = data.draw(records(any_union=True))
    reader = data.draw(evolved(writer).filter(supported))
    added = data.draw(st.lists(st.sampled_from(ADDED), max_size=4, unique_by=str))
    reader["fields"] += [
        {"name": f"added{i}", "type": t, "default": d} for i, (t, d) in enumerate(copy.deepcopy(added))
    ]
    bodies = [write(writer, v) for v in data.draw(st.lists(values(writer), min_size=1, max_size=5))]
    try:
        decoder = decoder_of(writer, reader)
    except SchemaIncompatible:
        # Refused as a whole: then fastavro must fail on every message that has a value at that place.
        assert any(reference(b, writer, reader) is None for b in bodies) or not any(map(has_items, bodies))
        return
    compare(decoder, writer, reader, bodies)
    compare(decoder, writer, reader, [mutate(chance, b) for b in bodies * 4])


def has_items(body: bytes) -> bool:
    return bool(body.strip(b"\0"))


EVENT = without_logical_types(avro_schema("audit_event", 1))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_audit_events_with_odd_values_are_read_alike_also_when_mutated(seed: int) -> None:
    chance = random.Random(seed)
    bodies = [write(EVENT, event(chance, EVENT)) for _ in range(4)]
    decoder = Decoder(
        avro_schema("audit_event", 1), frozenset({"tenant_id", "event_code", "message", "targets.type"}), checked=True
    )
    decoder.add_writer(7, avro_schema("audit_event", 1))
    assert compare(decoder, EVENT, EVENT, bodies) == len(bodies)
    compare(decoder, EVENT, EVENT, [mutate(chance, b) for b in bodies * 5])


@pytest.mark.parametrize("seed", [17, 19], ids=["read as written", "read with an evolved schema"])
def test_twenty_thousand_mutated_audit_events_are_read_alike(seed: int) -> None:
    counts = fuzz_decoder.run_round(seed, 10_000)
    assert counts["inputs"] == 10_000
    assert counts["accepted"] > 1000
    assert counts["refused"] > 1000
