"""Saved searches for callers with tokens: who sees which, who changes which, and the record of each change."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from query.access.errors import Forbidden
from query.access.recording import BeforeAfter, Caller, Change, Recorder
from query.access.rights import Right
from query.access.token import Token
from query.saved.errors import NameTaken, SearchInvalid, SearchUnknown
from query.saved.search import Draft, SavedSearch
from query.saved.store import SearchStore

#: Searches that one owner may keep.
MOST_SEARCHES = 500
_TARGET = "saved_search"


class SearchDesk:
    """Shows and keeps searches within the rights of tokens. Thread-safe.

    A reader sees its own searches, and shared ones of owners who reach no tenant that it does not reach itself. A text
    may name persons, so shared ones are for readers who see personal data and whole tenants. Every method may raise
    ``SearchStoreUnavailable``, and ``Forbidden`` for a token that reads no events.
    """

    def __init__(self, store: SearchStore, recorder: Recorder) -> None:
        """Prepare it.

        Args:
            store: Where searches are kept.
            recorder: Told of every change.
        """
        self._store, self._recorder = store, recorder
        # A name is looked for and then taken; within one process nobody comes in between.
        self._lock = threading.Lock()

    def searches(self, token: Token) -> Sequence[SavedSearch]:
        """Return the searches that a reader sees, by name."""
        _check_right(token)
        return [search for search in self._store.searches(token.owner) if _is_visible(search, token)]

    def search(self, token: Token, search_id: str) -> SavedSearch:
        """Return one search.

        Raises:
            SearchUnknown: There is none of this id, or the reader does not see it.
        """
        _check_right(token)
        found = self._store.find(search_id)
        if found is None or not _is_visible(found, token):
            raise SearchUnknown(search_id)
        return found

    def save(self, token: Token, caller: Caller, draft: Draft) -> SavedSearch:
        """Keep a new search.

        Raises:
            SearchInvalid: A part of it cannot be kept, or the owner keeps too many.
            InvalidQuery: Its text is not understood.
            NameTaken: The reader has one of this name.
        """
        _check_right(token)
        checked, now = draft.checked(), _now()
        with self._lock:
            if len(self._own(token)) >= MOST_SEARCHES:
                raise SearchInvalid("search", "is one too many", f"at most {MOST_SEARCHES} for each reader")
            self._check_name(token, checked.name)
            search = SavedSearch(str(uuid4()), token.owner, token.name, token.scope.tenants, checked, now, now)
            self._store.write(search)
        self._record("access.search_save", token, caller, search, {n: (None, v) for n, v in checked.values().items()})
        return search

    def change(self, token: Token, caller: Caller, search_id: str, draft: Draft) -> SavedSearch:
        """Replace a search of one's own.

        Raises:
            SearchUnknown: There is no such search for this reader.
            Forbidden: It belongs to somebody else.
            SearchInvalid: A part of it cannot be kept.
            InvalidQuery: Its text is not understood.
            NameTaken: The reader has another one of this name.
        """
        with self._lock:
            before = self.search(token, search_id)
            if before.owner != token.owner:
                raise Forbidden("to change a search of somebody else")
            checked = draft.checked()
            self._check_name(token, checked.name, but=search_id)
            after = replace(
                before, draft=checked, tenants=token.scope.tenants, updated_at=_now(), version=before.version + 1
            )
            self._store.write(after)
        self._record("access.search_change", token, caller, after, _differences(before.draft, checked))
        return after

    def delete(self, token: Token, caller: Caller, search_id: str) -> SavedSearch:
        """Delete a search of one's own; administrators also what others share.

        Raises:
            SearchUnknown: There is no such search for this reader.
            Forbidden: It belongs to somebody else.
        """
        with self._lock:
            before = self.search(token, search_id)
            if before.owner != token.owner and not token.may(Right.TOKENS):
                raise Forbidden("to delete a search of somebody else", Right.TOKENS)
            now = _now()
            self._store.write(replace(before, updated_at=now, deleted_at=now, version=before.version + 1))
        gone = {name: (value, None) for name, value in before.draft.values().items()}
        self._record("access.search_delete", token, caller, before, gone)
        return before

    def _own(self, token: Token) -> Sequence[SavedSearch]:
        return [search for search in self._store.searches(token.owner) if search.owner == token.owner]

    def _check_name(self, token: Token, name: str, *, but: str = "") -> None:
        for search in self._own(token):
            if search.draft.name.casefold() == name.casefold() and search.search_id != but:
                raise NameTaken(search.draft.name, search.search_id)

    def _record(
        self, code: str, token: Token, caller: Caller, search: SavedSearch, values: Mapping[str, BeforeAfter]
    ) -> None:
        name = search.draft.name
        self._recorder.changed(Change(code, caller, _TARGET, search.search_id, name, by=token, values=values))


def _check_right(token: Token) -> None:
    if not token.may(Right.EVENTS):
        raise Forbidden("saved searches", Right.EVENTS)


def _is_visible(search: SavedSearch, token: Token) -> bool:
    if search.owner == token.owner:
        return True
    reached = set(token.scope.tenants)
    reaches = not reached or (bool(search.tenants) and set(search.tenants) <= reached)
    return search.draft.shared and reaches and token.may(Right.PERSONAL) and not token.scope.narrower


def _differences(before: Draft, after: Draft) -> dict[str, BeforeAfter]:
    old, new = before.values(), after.values()
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
