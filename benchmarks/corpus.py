"""The events that everything is measured with: the same bytes for every subject."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from producers.generator import EventGenerator
from schemas.columns import avro_schema
from schemas.wire import HEADER_BYTES

_SYNC = bytes(range(16))
_BLOCK_EVENTS = 1000


class Corpus:
    """Events of every record kind, in the generator's mix, repeated when more are asked for than there are.

    Attributes:
        values: Framed messages.
        cards: Key and framed message of each actor's card.
    """

    def __init__(self, count: int, *, events_schema_id: int, actors_schema_id: int, seed: int = 1) -> None:
        """Generate them.

        Args:
            count: Distinct events.
            events_schema_id: Registry id of AuditEvent.
            actors_schema_id: Registry id of Actor.
            seed: The same seed gives the same events, their times apart.
        """
        start = datetime.now(UTC) - timedelta(milliseconds=count)
        generator = EventGenerator(seed, schema_id=events_schema_id, start=start)
        self.values: Sequence[bytes] = [event.value for event in islice(generator, count)]
        self.cards = list(generator.actor_messages(actors_schema_id))

    @property
    def mean_bytes(self) -> float:
        """Mean length of a message, frame included."""
        return sum(map(len, self.values)) / len(self.values)

    def take(self, count: int) -> Iterator[bytes]:
        """Yield ``count`` messages, beginning again when they run out."""
        whole, rest = divmod(count, len(self.values))
        for _ in range(whole):
            yield from self.values
        yield from self.values[:rest]

    def write_avro(self, path: Path, count: int) -> Path:
        """Write ``count`` of the events as an Avro object container file without compression."""
        events = self.take(count)
        with path.open("wb") as file:
            _write_header(file)
            while block := [value[HEADER_BYTES:] for value in islice(events, _BLOCK_EVENTS)]:
                body = b"".join(block)
                file.write(_long(len(block)) + _long(len(body)) + body + _SYNC)
        return path


def _write_header(file: BinaryIO) -> None:
    """Write magic, metadata and sync marker. Source: Avro specification 1.12, "Object Container Files"."""
    schema = json.dumps(avro_schema("audit_event", 1)).encode()
    pairs = {b"avro.schema": schema, b"avro.codec": b"null"}
    metadata = _long(len(pairs)) + b"".join(_bytes(k) + _bytes(v) for k, v in pairs.items()) + _long(0)
    file.write(b"Obj\x01" + metadata + _SYNC)


def _bytes(value: bytes) -> bytes:
    return _long(len(value)) + value


def _long(value: int) -> bytes:
    """Encode a number that is not negative as Avro's zigzag varint."""
    left, out = value << 1, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)
