"""From an event to its encoded fields: in one pass where nothing is unusual, the long way where something is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from producers.encoding import RecordEncoder, defaults_of, encode_long, encode_text
from producers.event import AuditEvent
from producers.identity import new_event_id
from producers.keys import KeyOf
from producers.masking import Masker
from producers.records import BLOCK_KINDS, ENVELOPE, GROUPS, SCHEMA, to_record
from producers.writers import UNUSUAL, Unusual, Write, Writers, usual_items

_NAMES = [f["name"] for f in SCHEMA["fields"]]
_KIND, _SEQ, _ID, _TIME = (_NAMES.index(n) for n in ("record_kind", "producer_seq", "event_id", "occurred_at"))
_CODE, _TENANT = _NAMES.index("event_code"), _NAMES.index("tenant_id")
#: Stands for the place of what is not one field of the schema or decides about others: groups and blocks.
_SPECIAL = -1
#: Length of an event id before its 36 characters.
_ID_LENGTH = encode_long(36)

Event = AuditEvent | Mapping[str, Any]


class Draft(NamedTuple):
    """An event that is checked, masked and encoded, but for its number.

    Attributes:
        event_id: Its identity.
        key: Kafka key; empty for none.
        chunks: The encoded fields in the order of the schema.
        numbered: It brings a ``producer_id``, and with it its number.
    """

    event_id: str
    key: bytes
    chunks: list[bytes]
    numbered: bool

    def body(self, seq: int) -> bytes:
        """Return the Avro body.

        Args:
            seq: Number of the event, used unless it is numbered.
        """
        if not self.numbered:
            self.chunks[_SEQ] = encode_long(seq)
        return b"".join(self.chunks)


class Drafter:
    """Makes drafts of events. Thread-safe."""

    def __init__(self, stamps: Mapping[str, str], key: KeyOf, masker: Masker | None) -> None:
        """Compile the one pass.

        Args:
            stamps: Texts of fields that the event does not have itself.
            key: Makes Kafka keys.
            masker: None to mask nothing.
        """
        self._long_way = _LongWay(stamps, key, masker)
        self._one_pass = _OnePass(stamps, key, Writers(masker.clean if masker else None))

    def draft(self, event: Event) -> Draft:
        """Check, complete, mask and encode an event.

        Raises:
            InvalidEvent: A field is unknown, has a wrong value, is missing, or contradicts another.
        """
        try:
            return self._one_pass.draft(event)
        except UNUSUAL:
            # Nothing is decided by the failure itself: the long way finds it again, masks it or says what is wrong.
            return self._long_way.draft(event)


class _LongWay:
    def __init__(self, stamps: Mapping[str, str], key: KeyOf, masker: Masker | None) -> None:
        self._stamps, self._key, self._masker = stamps, key, masker
        self._encoder = RecordEncoder(SCHEMA["fields"])

    def draft(self, event: Event) -> Draft:
        record = to_record(event)
        if self._masker:
            self._masker.apply(record)
        stamped = {**self._stamps, **record}
        chunks = self._encoder.chunks(stamped)
        return Draft(str(record["event_id"]), self._key(stamped), chunks, "producer_id" in record)


class _OnePass:
    def __init__(self, stamps: Mapping[str, str], key: KeyOf, writers: Writers) -> None:
        self._key, self._template = key, _template(stamps)
        kinds: Mapping[str, Any] = SCHEMA["fields"][_KIND]["type"]
        blocks = {kind: block for block, kind in BLOCK_KINDS.items()}
        write_kind = writers.of(kinds, "record_kind")
        self._kinds = {block: write_kind(kind) for block, kind in (*BLOCK_KINDS.items(), (None, "action"))}
        self._block_of = {write_kind(symbol): blocks.get(symbol) for symbol in kinds["symbols"]}
        self._places = {f["name"]: (i, writers.of(f["type"], f["name"])) for i, f in enumerate(SCHEMA["fields"])}
        self._groups = {g: {n: (flat, *self._places[flat]) for n, flat in names.items()} for g, names in GROUPS.items()}
        # A group and a flat field of it may contradict each other; few events have both.
        self._flat_names = {g: frozenset(names.values()) - {g} for g, names in GROUPS.items()}
        self._all_flat_names = frozenset[str]().union(*self._flat_names.values())
        special = dict.fromkeys((*BLOCK_KINDS, *GROUPS), (_SPECIAL, _never))
        #: ``origin`` is a field as well as a group.
        self._with_origin_field: dict[str, tuple[int, Write]] = {
            **self._places,
            **special,
            "origin": self._places["origin"],
        }
        self._with_groups: dict[str, tuple[int, Write]] = {**self._places, **special}

    def draft(self, event: Event) -> Draft:
        given = usual_items(event)
        chunks = self._template.copy()
        places = self._with_origin_field if isinstance(given.get("origin"), str) else self._with_groups
        specials = None
        for name, value in given.items():
            if value is not None:
                place, write = places[name]
                if place >= 0:
                    chunks[place] = write(value)
                else:
                    specials = specials or []
                    specials.append(name)
        keyed, block = self._fill(chunks, given, specials) if specials else (given, None)
        return Draft(self._complete(chunks, block), self._key(keyed), chunks, given.get("producer_id") is not None)

    def _fill(
        self, chunks: list[bytes], given: Mapping[str, Any], specials: list[str]
    ) -> tuple[Mapping[str, Any], str | None]:
        """Write groups and the block; return the event as one flat mapping, and the name of the block."""
        flat, block = dict(given), None
        mixed = not self._all_flat_names.isdisjoint(given)
        for name in specials:
            items = usual_items(given[name])
            if name in self._groups:
                if mixed and not self._flat_names[name].isdisjoint(given):
                    raise Unusual
                self._fill_group(chunks, self._groups[name], items, flat)
            elif block is None:
                place, write = self._places[name]
                block, flat[name], chunks[place] = name, items, write(items)
            else:
                raise Unusual
        return flat, block

    @staticmethod
    def _fill_group(
        chunks: list[bytes],
        fields: Mapping[str, tuple[str, int, Write]],
        items: Mapping[str, Any],
        flat: dict[str, Any],
    ) -> None:
        for name, item in items.items():
            if item is not None:
                flat_name, place, write = fields[name]
                flat[flat_name] = item
                chunks[place] = write(item)

    def _complete(self, chunks: list[bytes], block: str | None) -> str:
        # An encoded text of one byte is empty.
        if len(chunks[_CODE]) < 2 or len(chunks[_TENANT]) < 2:
            raise Unusual
        if not chunks[_KIND]:
            chunks[_KIND] = self._kinds[block]
        elif self._block_of[chunks[_KIND]] != block:
            raise Unusual
        if not chunks[_TIME]:
            chunks[_TIME] = encode_long(time.time_ns() // 1000)
        if chunks[_ID]:
            return chunks[_ID][1:].decode()
        event_id = new_event_id()
        chunks[_ID] = _ID_LENGTH + event_id.encode()
        return event_id


def _template(stamps: Mapping[str, str]) -> list[bytes]:
    chunks = defaults_of(SCHEMA["fields"])
    for name, text in {**ENVELOPE, **stamps}.items():
        chunks[_NAMES.index(name)] = encode_text(text)
    chunks[_KIND] = b""
    return chunks


def _never(value: object) -> bytes:
    raise Unusual(value)
