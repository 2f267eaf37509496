"""A reader of the real log that something happens to, for tests of exports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from query import Page, Question, Reader


@dataclass
class WatchedReader:
    """Asks a reader for every page, after telling how many pages were asked for before."""

    reader: Reader
    before_page: Callable[[int], None]
    limits: list[int] = field(default_factory=list)

    def page(
        self, question: Question, *, limit: int = 50, cursor: str | None = None, fields: Sequence[str] = ()
    ) -> Page:
        self.before_page(len(self.limits))
        self.limits.append(limit)
        return self.reader.page(question, limit=limit, cursor=cursor, fields=fields)
