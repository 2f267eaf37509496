"""What a worker writes beside a committed offset: which range it is about to store."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

_ALONE, _GROUPED = "auditstream/1", "auditstream/2"


@dataclass(frozen=True, slots=True)
class Intent:
    """The metadata of a committed offset.

    Before a range is stored, its first offset is committed with its last one as intent; whoever owns the partition
    next then knows which range may be stored in part, and replays exactly that one.

    Attributes:
        topic_id: Id of the topic that the offset belongs to; None when the offset was not committed by a worker.
        last: Last offset of the range being stored; None when nothing is under way.
        group: Id of the group with which it is stored (``sinks.sink.WriteGroup``), 32 hexadecimal digits; empty for a
            range that is stored alone.
    """

    topic_id: UUID | None = None
    last: int | None = None
    group: str = ""

    def encode(self) -> str:
        """Return the metadata text, at most 99 characters (Kafka allows 4,095 bytes)."""
        if self.topic_id is None:
            raise ValueError("an intent is written only for a known topic id")
        if self.last is None:
            return f"{_ALONE} {self.topic_id.hex} -"
        if not self.group:
            return f"{_ALONE} {self.topic_id.hex} {self.last}"
        return f"{_GROUPED} {self.topic_id.hex} {self.last} {self.group}"

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
        match metadata.split(" "):
            case [str(form), topic_id, last] if form == _ALONE:
                return cls(UUID(hex=topic_id), None if last == "-" else int(last))
            case [str(form), topic_id, last, group] if form == _GROUPED:
                return cls(UUID(hex=topic_id), int(last), UUID(hex=group).hex)
        raise ValueError(f"not an intent of a worker: {metadata!r}")
