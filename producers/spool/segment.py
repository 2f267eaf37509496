r"""One file of the spool: events in the order in which they came, each with its state.

File: 8 bytes ``ASPOOL\0\1``, then records one after the other in a space allocated beforehand.
Record: state (1 byte), schema version (1 byte), 2 bytes unused, then little-endian lengths of key and body and a CRC-32 of
version, lengths, key and body (4 bytes each), then key and body, padded to a multiple of 8.

The file is mapped into memory and the state byte is written last. A killed process loses nothing whose append has
returned, because the mapped pages belong to the kernel; only a power cut can lose what was not flushed, and the CRC
shows it.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"ASPOOL\0\1"
_HEADER = struct.Struct("<BBxxIII")
_LENGTHS = struct.Struct("<BII")
START = len(_MAGIC)

EMPTY, READY, SENT, DONE, REJECTED = range(5)


@dataclass(frozen=True, slots=True)
class SpooledEvent:
    """One event in a segment.

    Attributes:
        position: Byte position of its record.
        end: Byte position behind it.
        state: READY, SENT, DONE or REJECTED.
        version: Version of the AuditEvent schema that encoded the body.
        key: Kafka key; empty for none.
        body: Avro body without wire header.
    """

    position: int
    end: int
    state: int
    version: int
    key: bytes
    body: bytes


def record_bytes(key: bytes, body: bytes) -> int:
    """Return how much room an event takes in a segment, bytes."""
    return _HEADER.size + (len(key) + len(body) + 7) // 8 * 8


class Segment:
    """A mapped segment file. Not thread-safe; the spool's owner serialises calls.

    Attributes:
        path: The file.
        size: Its size, bytes.
        end: Position behind the last record.
        open_events: Records that are neither DONE nor REJECTED.
        rejected: Records in state REJECTED.
    """

    def __init__(self, path: Path, *, create_bytes: int = 0) -> None:
        """Map a segment.

        Args:
            path: The file.
            create_bytes: Size of a new file; 0 to open an existing one.

        Raises:
            OSError: No room on the device (the space is allocated here, never on append), or no access.
            ValueError: The file is not a segment.
        """
        self.path = path
        self._file = path.open("x+b" if create_bytes else "r+b")
        try:
            self._map = _mapped(self._file.fileno(), create_bytes)
        except (OSError, ValueError):
            self._file.close()
            raise
        self.size = len(self._map)
        self.end, self.open_events, self.rejected = START, 0, 0
        self._flushed = 0

    def recover(self) -> int:
        """Find the end of the records, take SENT ones as READY, and cut what cannot be read.

        Returns:
            Bytes cut, 0 when the segment ended in order. The cut bytes are kept in a file ``….cut`` beside it.
        """
        for event in self._readable():
            self.end = event.end
            if event.state == SENT:
                self._map[event.position] = READY
            self.open_events += event.state in (READY, SENT)
            self.rejected += event.state == REJECTED
        return self._cut()

    def append(self, version: int, key: bytes, body: bytes) -> int | None:
        """Add an event in state READY.

        Returns:
            Its position, None when it does not fit.
        """
        position, head = self.end, self.end + _HEADER.size
        end = position + record_bytes(key, body)
        if end > self.size:
            return None
        payload = key + body
        self._map[head : head + len(payload)] = payload
        header = _HEADER.pack(EMPTY, version, len(key), len(body), _crc(version, len(key), len(body), payload))
        self._map[position:head] = header
        self._map[position] = READY
        self.end = end
        self.open_events += 1
        return position

    def read(self, position: int) -> SpooledEvent | None:
        """Return the event at a position, None behind the last one."""
        return self._parse(position) if position < self.end else None

    def mark(self, position: int, state: int) -> None:
        """Set the state of an event; DONE and REJECTED close it."""
        was = self._map[position]
        self._map[position] = state
        self.open_events += (state in (READY, SENT)) - (was in (READY, SENT))
        self.rejected += (state == REJECTED) - (was == REJECTED)

    def flush(self) -> None:
        """Force everything appended so far to disk."""
        if self.end > self._flushed:
            os.fsync(self._file.fileno())
            self._flushed = self.end

    def unflushed(self) -> int | None:
        """Return a duplicate of the file's descriptor if there is something to force to disk, to be closed by the caller.

        On Linux fsync writes the pages of a mapping too, and unlike ``mmap.flush`` it lets other threads run.
        """
        if self.end == self._flushed:
            return None
        self._flushed = self.end
        return os.dup(self._file.fileno())

    def close(self) -> None:
        """Unmap and close the file."""
        self._map.close()
        self._file.close()

    def _readable(self) -> Iterator[SpooledEvent]:
        event = self._parse(START)
        while event:
            yield event
            event = self._parse(event.end)

    def _parse(self, position: int) -> SpooledEvent | None:
        head = position + _HEADER.size
        if head > self.size:
            return None
        state, version, key_bytes, body_bytes, crc = _HEADER.unpack_from(self._map, position)
        end = position + _HEADER.size + (key_bytes + body_bytes + 7) // 8 * 8
        if not EMPTY < state <= REJECTED or end > self.size:
            return None
        payload = self._map[head : head + key_bytes + body_bytes]
        if crc != _crc(version, key_bytes, body_bytes, payload):
            return None
        return SpooledEvent(position, end, state, version, payload[:key_bytes], payload[key_bytes:])

    def _cut(self) -> int:
        rest = self._map[self.end :].rstrip(b"\0")
        if rest:
            self.path.with_suffix(".cut").write_bytes(rest)
            self._map[self.end : self.end + len(rest)] = bytes(len(rest))
            self._map.flush()
        return len(rest)


def _mapped(descriptor: int, create_bytes: int) -> mmap.mmap:
    if create_bytes:
        os.posix_fallocate(descriptor, 0, create_bytes)
        os.pwrite(descriptor, _MAGIC, 0)
    mapped = mmap.mmap(descriptor, 0)
    if mapped[:START] != _MAGIC:
        mapped.close()
        raise ValueError("it does not begin like a spool segment")
    return mapped


def _crc(version: int, key_bytes: int, body_bytes: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_LENGTHS.pack(version, key_bytes, body_bytes)))
