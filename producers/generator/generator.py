"""The load generator: an endless, repeatable stream of messages with known fates."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from random import Random
from typing import Literal

from producers.encoding import RecordEncoder
from producers.errors import InvalidEvent
from producers.fields import micros
from producers.generator.spoil import BAD_KINDS, good
from producers.generator.stories import KINDS
from producers.generator.world import Record, World
from producers.keys import key_function
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.wire import frame

#: Life cycles that are under way at the same time at most.
_OPEN_STORIES = 200
_RAND_B = (1 << 62) - 1


@dataclass(frozen=True, slots=True)
class Generated:
    """One message, and what must become of it.

    Attributes:
        key: Kafka key.
        value: Kafka value.
        headers: Kafka headers.
        event_id: Identity of the event that the message is, or was made from.
        expected: Whether it is stored or dead-lettered under default settings.
        reason: Reason code of the dead letter or flag of the stored row; empty for a good event.
        kind: Name of the damage, empty for a good event.
    """

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    event_id: str
    expected: Literal["stored", "dead_letter"]
    reason: str
    kind: str


class EventGenerator:
    """Generates messages; the same arguments give the same bytes.

    Kinds of damage take turns, so that every kind comes up in a load of any size. Iterate once; not thread-safe.
    """

    def __init__(
        self,
        seed: int,
        *,
        schema_id: int,
        start: datetime,
        catalogue: Catalogue | None = None,
        step_us: int = 1000,
        bad_share: float = 0.0,
        tenants: int = 20,
        actors: int = 50,
        kinds: Sequence[str] = tuple(KINDS),
    ) -> None:
        """Build the world that the events are about.

        Args:
            seed: Any number.
            schema_id: Registry id of the AuditEvent schema.
            start: Time of the first event, with its offset.
            catalogue: Where codes come from; the one that ships by default.
            step_us: Microseconds from one event to the next.
            bad_share: Share of bad messages, 0 to 1.
            tenants: Number of tenants; their sizes follow Zipf's law.
            actors: Actors of each tenant.
            kinds: Record kinds to generate.

        Raises:
            InvalidEvent: ``start`` has no offset, or a kind, a share or a number is impossible.
        """
        _check(kinds, bad_share, tenants, actors)
        # Not for secrets: a load that can be repeated is the point.
        self._random = Random(seed)  # noqa: S311
        self._world = World(self._random, catalogue or Catalogue.load(), tenants=tenants, actors=actors)
        self._schema_id, self._bad_share, self._step_us = schema_id, bad_share, step_us
        self._start_us, self._producer_id = micros(start, "start"), f"generator-{seed}"
        self._stories = [KINDS[k][0] for k in kinds]
        self._weights = list(accumulate(KINDS[k][1] for k in kinds))
        self._open: list[Iterator[Record]] = []
        self._key = key_function("object")
        self._made = self._spoiled = 0

    def __iter__(self) -> Iterator[Generated]:
        """Return an endless iterator over the messages."""
        while True:
            yield self._next()

    def actors(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and Avro body (without wire header) of every actor's card, for the compacted topic of actors."""
        encode = RecordEncoder(avro_schema("actor", 1)["fields"]).encode
        for tenant, people in self._world.people.items():
            for person in people:
                card = person.card | {"updated_at": self._start_us}
                yield f"{tenant}/{card['actor_id']}".encode(), encode(card)

    def actor_messages(self, schema_id: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and message of every actor's card.

        Args:
            schema_id: Registry id of the Actor schema.
        """
        for key, body in self.actors():
            yield key, frame(schema_id, body)

    def _next(self) -> Generated:
        record = self._record()
        key = self._key(record)
        if self._bad_share and self._random.random() < self._bad_share:
            return self._bad(key, record)
        return Generated(key, good(record, self._schema_id), (), record["event_id"], "stored", "", "")

    def _bad(self, key: bytes, record: Record) -> Generated:
        kind = list(BAD_KINDS)[self._spoiled % len(BAD_KINDS)]
        self._spoiled += 1
        spoil, fate, reason = BAD_KINDS[kind]
        return Generated(key, spoil(record, self._schema_id), (), record["event_id"], fate, reason, kind)

    def _record(self) -> Record:
        record = self._step()
        at = self._start_us + self._made * self._step_us
        self._made += 1
        record["event_id"] = self._event_id(at // 1000)
        record["occurred_at"] = at
        record["producer_id"], record["producer_seq"] = self._producer_id, self._made
        return record

    def _step(self) -> Record:
        while True:
            # Going on with an open story as often as not keeps life cycles interleaved and their number bounded.
            full = len(self._open) >= _OPEN_STORIES
            if self._open and (full or self._random.random() < 0.5):
                story = self._open.pop(int(self._random.random() * len(self._open)))
            else:
                story = self._new_story()
            record = next(story, None)
            if record is not None:
                self._open.append(story)
                return record

    def _new_story(self) -> Iterator[Record]:
        chosen = bisect(self._weights, self._random.random() * self._weights[-1])
        return self._stories[chosen](self._world)

    def _event_id(self, ms: int) -> str:
        bits = self._random.getrandbits(74)
        text = f"{ms << 80 | 7 << 76 | bits >> 62 << 64 | 2 << 62 | bits & _RAND_B:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _check(kinds: Sequence[str], bad_share: float, tenants: int, actors: int) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise InvalidEvent("kinds", kind, f"one of {', '.join(KINDS)}")
    if not kinds:
        raise InvalidEvent("kinds", kinds, "one kind at least")
    if not 0 <= bad_share <= 1:
        raise InvalidEvent("bad_share", bad_share, "a share from 0 to 1")
    if tenants < 1 or actors < 1:
        raise InvalidEvent("tenants and actors", (tenants, actors), "numbers from 1")
