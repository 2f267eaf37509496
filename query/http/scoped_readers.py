"""Readers within the rights of a token, lent one at a time from the readers of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from query.access.personal import PersonalData
from query.access.scoped_reader import ScopedReader
from query.access.token import Token
from query.http.readers import Readers
from schemas.catalogue import Catalogue


class ScopedReaders:
    """Lends readers within the rights of tokens. Thread-safe."""

    def __init__(self, readers: Readers, catalogue: Catalogue) -> None:
        """Prepare it.

        Args:
            readers: Readers of everything; closed by the caller.
            catalogue: Where titles and personal fields come from.
        """
        self._readers, self._catalogue = readers, catalogue
        self._personal = PersonalData.of(catalogue)

    @contextmanager
    def lent(self, token: Token) -> Iterator[ScopedReader]:
        """Lend a reader for one thread.

        Raises:
            QueryError: None could be opened.
        """
        with self._readers.lent() as reader:
            yield ScopedReader(reader, token, self._catalogue, self._personal)
