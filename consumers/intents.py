"""What a worker writes beside a committed offset: which range it is about to store."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

_FORMAT = "auditstream/1"


@dataclass(frozen=True, slots=True)
class Intent:
    """The metadata of a committed offset.

    Before a range is stored, its first offset is committed with its last one as intent; whoever owns the partition
    next then knows which range may be stored in part, and replays exactly that one.

    Attributes:
        topic_id: Id of the topic that the offset belongs to; None when the offset was not committed by a worker.
        last: Last offset of the range being stored; None when nothing is under way.
    """

    topic_id: UUID | None = None
    last: int | None = None

    def encode(self) -> str:
        """Return the metadata text, at most 60 characters (Kafka allows 4,095 bytes)."""
        if self.topic_id is None:
            raise ValueError("an intent is written only for a known topic id")
        return f"{_FORMAT} {self.topic_id.hex} {'-' if self.last is None else self.last}"

    @classmethod
    def decode(cls, metadata: str | None) -> Intent:
        """Read the metadata of a committed offset.

        Args:
            metadata: Text as committed; None or empty when an operator or another tool set the offset.

        Raises:
            ValueError: The text is not empty and was not written by ``encode``.
        """
        if not metadata:
            return cls()
        parts = metadata.split(" ")
        if len(parts) != 3 or parts[0] != _FORMAT:
            raise ValueError(f"not an intent of a worker: {metadata!r}")
        return cls(UUID(hex=parts[1]), None if parts[2] == "-" else int(parts[2]))
