"""Messages by confluent_kafka's own objects into arrays: the way that works wherever confluent_kafka does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Message

from consumers.records import Records, Texts


@dataclass(frozen=True, slots=True)
class ClientHeaders:
    """Headers as confluent_kafka hands them out."""

    message: Message

    def pairs(self) -> list[tuple[str, bytes | None]]:
        """Return name and value of each, in order."""
        # The client's stub allows a dictionary as well, which only producers may give.
        pairs: list[tuple[str, str | bytes | None]] = list(self.message.headers() or ())  # type: ignore[arg-type]
        return [(name, _raw(value)) for name, value in pairs]


def records_of(messages: Iterable[Message]) -> list[Records]:
    """Turn messages into arrays, a piece per partition, each in the order in which its messages came."""
    found: dict[int, list[Message]] = {}
    for message in messages:
        found.setdefault(message.partition() or 0, []).append(message)
    return [_piece(partition, mine) for partition, mine in found.items()]


def _piece(partition: int, messages: list[Message]) -> Records:
    count = len(messages)
    offsets = np.fromiter((m.offset() or 0 for m in messages), np.int64, count)
    return Records(
        partition,
        offsets,
        np.fromiter((max(0, m.timestamp()[1]) for m in messages), np.int64, count),
        Texts.of([_raw(m.value()) for m in messages]),
        Texts.of([_raw(m.key()) for m in messages]),
        {offset: ClientHeaders(m) for offset, m in zip(offsets.tolist(), messages, strict=True) if m.headers()},
    )


def _raw(text: str | bytes | None) -> bytes | None:
    return text.encode() if isinstance(text, str) else text
