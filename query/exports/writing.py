"""What writes the rows of an export, and the file that it writes to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Protocol

from query.fields import Row


class RowWriter(Protocol):
    """Writes rows in one format. ``write`` any number of times, ``finish`` once; ``close`` always, also after errors.

    Memory is bounded by the rows of one call, whatever was written before.
    """

    @property
    def cells_changed(self) -> int:
        """How many values the format could not take whole; each says so itself."""
        ...

    def write(self, rows: Sequence[Row]) -> None:
        """Write rows in their order."""
        ...

    def finish(self, facts: Mapping[str, str]) -> None:
        """Complete the file.

        Args:
            facts: What a reader has to know about the rows; written where the format has a place for it.
        """
        ...

    def close(self) -> None:
        """Release what the writer holds besides the file. Idempotent."""
        ...


class DigestedFile:
    """A file open for writing that knows the SHA-256 and the size of what was written to it.

    It cannot be sought in: what is digested is what stays.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest, self.bytes = file, hashlib.sha256(), 0
        self.closed = False

    @property
    def sha256(self) -> str:
        """Digest of everything written so far, hexadecimal."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        """Write bytes."""
        self._digest.update(data)
        self.bytes += memoryview(data).nbytes
        self._file.write(data)
        return memoryview(data).nbytes

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.bytes

    def flush(self) -> None:
        """Hand on what is buffered."""
        self._file.flush()

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return False."""
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        """Refuse, by which writers learn that they have to write from front to back.

        Raises:
            OSError: Always.
        """
        raise OSError(f"an export is written from front to back, not at {offset} from {whence}")

    def close(self) -> None:
        """Flush; the file itself is closed by who opened it."""
        self.flush()
