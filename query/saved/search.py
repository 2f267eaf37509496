"""A search as it is kept: the text of a question with a name, and how its answer is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import get_args

from query.condition import check
from query.errors import InvalidQuery
from query.period import Clock, parse_zone
from query.question import Question, SortName
from query.saved.errors import SearchInvalid
from query.syntax import parse

MOST_NAME = 120
MOST_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to keep.

    Attributes:
        name: Its name, one for each search of an owner.
        query: The question in text form; relative times stay relative.
        zone: IANA zone of times without offset.
        sort: Order; see ``query.Question``.
        descending: Direction.
        columns: Fields to show; empty for those of the page.
        shared: Whether others may use it.
    """

    name: str
    query: str = ""
    zone: str = "UTC"
    sort: SortName = "time"
    descending: bool = True
    columns: tuple[str, ...] = ()
    shared: bool = False

    def checked(self) -> Draft:
        """Return the draft with blanks around its name removed.

        Raises:
            SearchInvalid: Name or columns cannot be kept.
            InvalidQuery: The text or the zone is not understood.
        """
        name = " ".join(self.name.split())
        if not name or len(name) > MOST_NAME or not name.isprintable():
            raise SearchInvalid("name", "cannot be used", f"1 to {MOST_NAME} printable characters")
        if len(self.columns) > MOST_COLUMNS or not all(self.columns):
            raise SearchInvalid("columns", "cannot be used", f"at most {MOST_COLUMNS} names")
        if self.sort not in get_args(SortName):
            raise SearchInvalid("sort", "is unknown", "one of " + ", ".join(get_args(SortName)))
        check(parse(self.query), Clock(datetime.now(UTC), parse_zone(self.zone)))
        return Draft(name, self.query, self.zone, self.sort, self.descending, self.columns, self.shared)

    def values(self) -> Mapping[str, object]:
        """Return what can change, by name, for the record of a change."""
        order = f"{self.sort} {'desc' if self.descending else 'asc'}"
        shown = {"name": self.name, "query": self.query, "zone": self.zone, "order": order}
        return {**shown, "columns": ", ".join(self.columns), "shared": self.shared}


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search that is kept.

    Attributes:
        search_id: Its id, a UUID.
        owner: Who keeps it, see ``query.access.Token.owner``.
        owner_name: The owner's name for people.
        tenants: The tenants that its owner reaches; empty for all.
        draft: What is kept.
        created_at: When it was made.
        updated_at: When it was changed last.
        version: Rises with every change.
        deleted_at: When it was deleted; None while it is not.
    """

    search_id: str
    owner: str
    owner_name: str
    tenants: tuple[str, ...]
    draft: Draft
    created_at: datetime
    updated_at: datetime
    version: int = field(default=1)
    deleted_at: datetime | None = field(default=None)

    def question(self) -> Question:
        """Return the question, relative times read against now.

        Raises:
            InvalidQuery: The text was understood when it was saved, and is not any more.
        """
        draft = self.draft
        question = Question(parse(draft.query), draft.sort, draft.descending, parse_zone(draft.zone))
        check(question.expression, question.clock)
        return question

    @property
    def problem(self) -> InvalidQuery | None:
        """Why its text is not understood any more; None when it is."""
        try:
            self.question()
        except InvalidQuery as error:
            return error
        return None
