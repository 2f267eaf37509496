"""Searches that readers keep: saved, shared, changed, deleted, each change a matter of the log."""

from query.saved.desk import SearchDesk
from query.saved.errors import NameTaken, SavedSearchError, SearchInvalid, SearchStoreUnavailable, SearchUnknown
from query.saved.search import Draft, SavedSearch
from query.saved.store import SearchStore

__all__ = [
    "Draft",
    "NameTaken",
    "SavedSearch",
    "SavedSearchError",
    "SearchDesk",
    "SearchInvalid",
    "SearchStore",
    "SearchStoreUnavailable",
    "SearchUnknown",
]
