"""What can go wrong in a read, by what the caller should do about it.

QueryError
├── InvalidQuery            correct the question
│   ├── InvalidFilter       a term of it: ``term``, ``position``, ``expected``, ``suggestion``
│   └── InvalidCursor       the cursor is damaged or belongs to another question: start again from the first page
├── QueryTooExpensive       narrow the question; ``hint`` says with which filter
├── DatabaseNotReady        run ``auditstream migrate``
├── DatabaseUnreachable     the database gives no answer: look at its address, or wait
└── QueryFailed             the database refuses (code in ``code``)
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class QueryError(Exception):
    """Base of everything that query raises."""


class InvalidQuery(QueryError):
    """The question itself is wrong."""


class InvalidFilter(InvalidQuery):
    """A term of a filter cannot be understood.

    Attributes:
        term: The term as given.
        expected: What would have been understood.
        suggestion: The nearest valid name or value, ``""`` when nothing is near.
        position: Where the term starts in the text form, characters from 0; None when it came another way.
    """

    def __init__(
        self, term: str, problem: str, expected: str, *, suggestion: str = "", position: int | None = None
    ) -> None:
        place = "" if position is None else f"at character {position + 1}: "
        near = f'; did you mean "{suggestion}"?' if suggestion else ""
        super().__init__(f'{place}"{term}": {problem}; expected {expected}{near}')
        self.term, self.expected, self.suggestion, self.position = term, expected, suggestion, position


class InvalidCursor(InvalidQuery):
    """A cursor is damaged, or was made for another question."""


class QueryTooExpensive(QueryError):
    """A read passed its limit of time, memory or rows.

    Attributes:
        hint: What would make it cheaper.
    """

    def __init__(self, limit: str, hint: str) -> None:
        super().__init__(f"the read passed its limit of {limit}: {hint}")
        self.limit, self.hint = limit, hint


class DatabaseUnreachable(QueryError):
    """The database gives no answer."""


class DatabaseNotReady(QueryError):
    """The database lacks our tables."""


class QueryFailed(QueryError):
    """The database refused a read.

    Attributes:
        code: ClickHouse error code, 0 when it named none.
    """

    def __init__(self, detail: str, *, code: int = 0) -> None:
        super().__init__(f"the database refused the read: {detail}")
        self.code = code


def nearest(word: str, valid: Iterable[str]) -> str:
    """Return the valid name that looks most like a word, ``""`` when none does."""
    return next(iter(get_close_matches(word.lower(), list(valid), n=1, cutoff=0.6)), "")
