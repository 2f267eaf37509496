"""Batches of audit events for tests: events as dictionaries, the way they look in Kafka."""

from __future__ import annotations

import io
import struct
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fastavro
import numpy as np

from consumers.batch import Decoded, MessageBatch, Payloads, RawMessage
from consumers.decode import Decoder
from consumers.decode.framing import read_frames
from consumers.rows import DICTIONARY_COLUMNS
from schemas.columns import avro_schema
from sinks.sink import OffsetRange

SCHEMA_ID = 7
#: 2026-03-01T12:00:00Z
NOW_MS = 1_772_366_400_000
TOPIC_ID = uuid.UUID("018f2f6e-7c1a-7bbb-8ccc-000000000001")

_SCHEMA = fastavro.parse_schema(avro_schema("audit_event", 1))


def event(**fields: Any) -> dict[str, Any]:
    """Return a sound event; fields that are not named have their defaults."""
    plain = {"event_id": str(uuid.UUID(int=1)), "event_code": "campaign.activate", "tenant_id": "acme"}
    return {**plain, "record_kind": "action", "occurred_at": NOW_MS * 1000, **fields}


def encode(record: Mapping[str, Any], schema_id: int = SCHEMA_ID) -> bytes:
    """Return a message value: wire format, then Avro as fastavro writes it."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _SCHEMA, dict(record))
    return struct.pack(">bI", 0, schema_id) + body.getvalue()


def batch(
    values: Sequence[bytes | None], *, first: int = 100, gaps: Iterable[int] = (), **options: Any
) -> MessageBatch:
    """Return a batch of message values.

    Args:
        values: Values in offset order.
        first: First offset.
        gaps: Offsets without a message.
        options: ``timestamps_ms``, ``keys`` and ``headers`` by position; ``last`` to end the range later.
    """
    taken: list[int] = []
    offset, missing = first, set(gaps)
    while len(taken) < len(values):
        if offset not in missing:
            taken.append(offset)
        offset += 1
    times = options.get("timestamps_ms") or [NOW_MS] * len(values)
    keys, headers = options.get("keys", {}), options.get("headers", {})
    messages = [RawMessage(keys.get(i), value, headers.get(i, [])) for i, value in enumerate(values)]
    last = options.get("last", max([first, offset - 1, *missing]))
    range_ = OffsetRange("audit.events", TOPIC_ID, 3, first, last)
    offsets = np.array(taken, np.int64)
    return MessageBatch(range_, Payloads.of(values), offsets, np.array(times, np.int64), messages)


def new_decoder() -> Decoder:
    """Return a decoder that knows the newest event schema as ``SCHEMA_ID``."""
    decoder = Decoder(avro_schema("audit_event", 1), DICTIONARY_COLUMNS)
    decoder.add_writer(SCHEMA_ID, avro_schema("audit_event", 1))
    return decoder


def decode(events: Iterable[Mapping[str, Any]], decoder: Decoder | None = None) -> Decoded:
    """Encode events and decode them as a worker does."""
    payloads = Payloads.of([encode(e) for e in events])
    return (decoder or new_decoder()).decode(payloads, read_frames(payloads), 64 << 20)
