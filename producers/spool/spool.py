"""The bounded spool on disk: what best-effort mode accepts is here before anything else happens to it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from producers.errors import SpoolFull, SpoolLocked, SpoolUnusable
from producers.spool.segment import DONE, READY, REJECTED, SENT, START, Segment, SpooledEvent, record_bytes

Report = Callable[[str, Path, int], None]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Place of an event in the spool; tickets order as events were accepted."""

    segment: int
    position: int


class Spool:
    """Events on disk in the order in which they were accepted, until they are acknowledged.

    Owned by one process, which holds a lock on the directory as long as it lives. Not thread-safe: its owner
    serialises calls.
    """

    def __init__(
        self,
        directory: Path,
        *,
        limit_bytes: int,
        segment_bytes: int,
        fsync: Literal["never", "interval", "always"],
        report: Report,
    ) -> None:
        """Open the spool, take over what an earlier process left, and cut what it left half-written.

        Args:
            directory: Directory of the spool; made if need be.
            limit_bytes: Bytes that all files may take.
            segment_bytes: Bytes of one file.
            fsync: ``always`` forces each event to disk before append returns; ``interval`` leaves that to ``flush``.
            report: Called with ``cut`` or ``unreadable``, the file and the bytes concerned.

        Raises:
            SpoolLocked: Another process owns the directory.
            SpoolUnusable: It cannot be written or read.
        """
        self._directory, self._limit, self._segment_bytes = directory, limit_bytes, segment_bytes
        self._always, self._report = fsync == "always", report
        self._segments: dict[int, Segment] = {}
        self._newest = 0
        #: Bytes of files kept for a person to look at: rejected and cut events. They count against the limit.
        self._kept_bytes = 0
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = (directory / "lock").open("wb")
        except OSError as error:
            raise SpoolUnusable(f"directory {directory}: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._take_over()
        except BlockingIOError:
            self._lock.close()
            raise SpoolLocked(directory) from None
        except OSError as error:
            self._lock.close()
            raise SpoolUnusable(f"directory {directory}: {error}") from error

    @property
    def pending(self) -> int:
        """Events that are not acknowledged yet."""
        return sum(s.open_events for s in self._segments.values())

    @property
    def size_bytes(self) -> int:
        """Bytes that the spool takes on disk."""
        return self._kept_bytes + sum(s.size for s in self._segments.values())

    def append(self, version: int, key: bytes, body: bytes) -> Ticket:
        """Accept an event.

        Raises:
            SpoolFull: There is no room for it; nothing was written.
        """
        newest = self._segments.get(self._newest)
        position = newest.append(version, key, body) if newest else None
        if newest is None or position is None:
            newest = self._grow(record_bytes(key, body))
            position = newest.append(version, key, body)
            if position is None:
                raise SpoolUnusable(f"{newest.path} is too small for the event it was made for")
        if self._always:
            newest.flush()
        return Ticket(self._newest, position)

    def first(self) -> Ticket:
        """Return the place from which a scan sees every event."""
        return Ticket(min(self._segments, default=self._newest + 1), START)

    def next_ready(self, start: Ticket) -> tuple[Ticket, SpooledEvent] | None:
        """Find the first event in state READY at or behind a place, None when there is none."""
        for number in sorted(n for n in self._segments if n >= start.segment):
            segment = self._segments[number]
            position = start.position if number == start.segment else START
            event = segment.read(position)
            while event:
                if event.state == READY:
                    return Ticket(number, event.position), event
                event = segment.read(event.end)
        return None

    def sent(self, ticket: Ticket) -> None:
        """Note that an event is with the Kafka client; a restart takes it as not sent."""
        self._segments[ticket.segment].mark(ticket.position, SENT)

    def returned(self, ticket: Ticket) -> None:
        """Note that the Kafka client gave an event back; it is to be sent again."""
        self._segments[ticket.segment].mark(ticket.position, READY)

    def acknowledged(self, ticket: Ticket) -> None:
        """Forget an event; its file goes when all of its events are closed and a newer file exists."""
        self._close_event(ticket, DONE)

    def rejected(self, ticket: Ticket) -> None:
        """Set an event aside that Kafka will never take; its file is kept as ``….rejected``."""
        self._close_event(ticket, REJECTED)

    def flush(self) -> None:
        """Force everything accepted so far to disk."""
        for segment in self._segments.values():
            segment.flush()

    def unflushed(self) -> list[int]:
        """Return descriptors to pass to fsync and close, so that the caller can do it without holding up the owner."""
        return [fd for s in self._segments.values() if (fd := s.unflushed()) is not None]

    def close(self) -> None:
        """Force everything to disk and give the directory free. Idempotent."""
        if self._lock.closed:
            return
        self.flush()
        for number in sorted(self._segments):
            self._retire(number)
        for segment in self._segments.values():
            segment.close()
        self._lock.close()

    def _take_over(self) -> None:
        for path in sorted(self._directory.glob("*.spool")):
            number = int(path.stem)
            self._newest = max(self._newest, number)
            self._open(number, path)
        self._kept_bytes = sum(
            p.stat().st_size
            for pattern in ("*.rejected", "*.cut", "*.unreadable")
            for p in self._directory.glob(pattern)
        )
        for number in list(self._segments):
            self._retire(number)

    def _open(self, number: int, path: Path) -> None:
        try:
            segment = Segment(path)
        except ValueError:  # empty, or another kind of file
            self._report("unreadable", path, path.stat().st_size)
            path.rename(path.with_suffix(".unreadable"))
            return
        cut = segment.recover()
        if cut:
            self._report("cut", path, cut)
        self._segments[number] = segment

    def _grow(self, needed_bytes: int) -> Segment:
        size = max(self._segment_bytes, needed_bytes + START)
        if self.size_bytes + size > self._limit:
            raise SpoolFull(self._limit, f"{self.size_bytes} bytes are in use, {self.pending} events wait")
        path = self._directory / f"{self._newest + 1:016d}.spool"
        try:
            segment = Segment(path, create_bytes=size)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise SpoolFull(self._limit, f"the file system gives no room: {error}") from error
        before, self._newest = self._newest, self._newest + 1
        self._segments[self._newest] = segment
        if before in self._segments:
            self._segments[before].flush()
            self._retire_if_closed(before)
        return segment

    def _close_event(self, ticket: Ticket, state: int) -> None:
        self._segments[ticket.segment].mark(ticket.position, state)
        if ticket.segment != self._newest:
            self._retire_if_closed(ticket.segment)

    def _retire_if_closed(self, number: int) -> None:
        if self._segments[number].open_events == 0:
            self._retire(number)

    def _retire(self, number: int) -> None:
        segment = self._segments[number]
        if segment.open_events:
            return
        del self._segments[number]
        segment.close()
        if segment.rejected:
            self._kept_bytes += segment.size
            segment.path.rename(segment.path.with_suffix(".rejected"))
        else:
            segment.path.unlink()
