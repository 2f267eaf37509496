"""Readers for many requests at once: each read has a connection of its own, and connections are used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue

from query.errors import DatabaseUnreachable
from query.reader import Reader


class Readers:
    """Lends readers. Thread-safe; how many are lent at once is the business of the caller."""

    def __init__(self, opened: Callable[[], Reader]) -> None:
        """Prepare it; nothing is opened yet.

        Args:
            opened: Opens a reader; may raise ``query.errors.QueryError``.
        """
        self._opened = opened
        self._idle: LifoQueue[Reader] = LifoQueue()
        self._closed = False

    @contextmanager
    def lent(self) -> Iterator[Reader]:
        """Lend a reader for one thread.

        Raises:
            QueryError: None could be opened.
        """
        reader = self._pop() or self._opened()
        try:
            yield reader
        except DatabaseUnreachable:
            # A late answer on this connection must not be taken for that of the next read.
            reader.close()
            raise
        except BaseException:
            self._give_back(reader)
            raise
        self._give_back(reader)

    def close(self) -> None:
        """Close the idle readers; those in use are closed when they come back."""
        self._closed = True
        while (reader := self._pop()) is not None:
            reader.close()

    def _pop(self) -> Reader | None:
        try:
            return self._idle.get_nowait()
        except Empty:
            return None

    def _give_back(self, reader: Reader) -> None:
        if self._closed:
            reader.close()
        else:
            self._idle.put(reader)
