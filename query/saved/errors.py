"""What can go wrong with a saved search, by what the caller should do about it.

SavedSearchError
├── SearchInvalid           correct ``member``
├── NameTaken               choose another name, or change the search that has it
├── SearchUnknown           there is no such search for this reader
└── SearchStoreUnavailable  the database gives no answer: wait
"""

from __future__ import annotations


class SavedSearchError(Exception):
    """Base of everything that query.saved raises."""


class SearchInvalid(SavedSearchError):
    """A search cannot be saved as it is.

    Attributes:
        member: Which part of it is wrong.
        expected: What would have been right.
    """

    def __init__(self, member: str, problem: str, expected: str) -> None:
        super().__init__(f"the {member} {problem}; expected {expected}")
        self.member, self.expected = member, expected


class NameTaken(SavedSearchError):
    """The reader has a search of this name already.

    Attributes:
        name: The name.
        search_id: The search that has it.
    """

    def __init__(self, name: str, search_id: str) -> None:
        super().__init__(f'you have a search "{name}" already; choose another name, or change that search')
        self.name, self.search_id = name, search_id


class SearchUnknown(SavedSearchError):
    """There is no such search, or the reader does not see it; that is not told apart.

    Attributes:
        search_id: The id.
    """

    def __init__(self, search_id: str) -> None:
        super().__init__(f"there is no saved search {search_id[:80]!r}")
        self.search_id = search_id


class SearchStoreUnavailable(SavedSearchError):
    """The database with the searches gives no answer, or refuses."""
