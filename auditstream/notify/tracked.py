"""Which notices are in this process."""

from __future__ import annotations

import threading
from collections.abc import Collection

from auditstream.notify.notices import Message, Notice


class Tracked:
    """Which notices wait here or are under way, by channel. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: dict[tuple[str, str], tuple[int, set[str]]] = {}

    def add(self, notice: Notice) -> None:
        """Note that a notice waits here, for its channels."""
        with self._lock:
            _, channels = self._channels.setdefault((notice.rule, notice.event_id), (notice.partition, set()))
            channels.update(notice.channels)

    def channels(self, notice: Notice) -> set[str]:
        """Return the channels for which a notice is here."""
        with self._lock:
            return set(self._channels.get((notice.rule, notice.event_id), (0, set()))[1])

    def discard(self, message: Message) -> None:
        """Forget the notices of a message that has its end."""
        with self._lock:
            for notice in message.notices:
                key = (notice.rule, notice.event_id)
                _, channels = self._channels.get(key, (0, set()))
                channels.discard(message.channel)
                if not channels:
                    self._channels.pop(key, None)

    def forget(self, partitions: Collection[int]) -> None:
        """Forget the notices of partitions."""
        with self._lock:
            self._channels = {key: kept for key, kept in self._channels.items() if kept[0] not in partitions}
