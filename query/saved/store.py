"""Saved searches in ClickHouse: every change is a further row with a higher version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pyarrow as pa

from query.saved.errors import SearchStoreUnavailable
from query.saved.search import Draft, SavedSearch
from sinks.connection import Connections
from sinks.errors import SinkError

_TIME = pa.timestamp("ms", tz="UTC")
_TEXTS = pa.list_(pa.string())
_SCHEMA = pa.schema(
    [
        ("search_id", pa.string()),
        ("owner", pa.string()),
        ("owner_name", pa.string()),
        ("tenants", _TEXTS),
        ("name", pa.string()),
        ("query", pa.string()),
        ("zone", pa.string()),
        ("sort", pa.string()),
        ("descending", pa.bool_()),
        ("columns", _TEXTS),
        ("shared", pa.bool_()),
        ("created_at", _TIME),
        ("updated_at", _TIME),
        ("deleted_at", _TIME),
        ("version", pa.uint64()),
    ]
)


class SearchStore:
    """The searches of one database. Any thread may ask.

    Every method may raise ``SearchStoreUnavailable``.
    """

    def __init__(self, connections: Connections) -> None:
        """Use open connections.

        Args:
            connections: Connections to the database; closed by the caller.
        """
        self._connections = connections
        self._table = f"`{connections.settings.database}`.saved_searches"

    def write(self, search: SavedSearch) -> None:
        """Write a search as it is now: a new one, a changed one, or a deleted one."""
        draft = search.draft
        own = {name: getattr(draft, name) for name in ("name", "query", "zone", "sort", "descending", "shared")}
        row = {
            **own,
            "search_id": search.search_id,
            "owner": search.owner,
            "owner_name": search.owner_name,
            "tenants": list(search.tenants),
            "columns": list(draft.columns),
            "created_at": search.created_at,
            "updated_at": search.updated_at,
            "deleted_at": search.deleted_at,
            "version": search.version,
        }
        with _translated():
            rows = pa.Table.from_pylist([row], schema=_SCHEMA)
            self._connections.insert(self._table, rows, "", query_id=f"auditstream:saved_searches:{uuid4()}")

    def find(self, search_id: str) -> SavedSearch | None:
        """Return one search, None when there is none of this id or it was deleted."""
        found = self._read("AND search_id = {id:String}", {"id": search_id})
        return found[0] if found else None

    def searches(self, owner: str) -> Sequence[SavedSearch]:
        """Return the searches of an owner and those that anybody shares, by name."""
        return self._read("AND (owner = {owner:String} OR shared)", {"owner": owner})

    def _read(self, condition: str, parameters: Mapping[str, str]) -> Sequence[SavedSearch]:
        # `condition` is written in this class; values are bound.
        statement = (
            f"SELECT {', '.join(_SCHEMA.names)} FROM {self._table} FINAL "  # noqa: S608
            f"WHERE deleted_at IS NULL {condition} ORDER BY lowerUTF8(name), name, search_id"
        )
        with _translated():
            return [_search(row) for row in self._connections.rows(statement, parameters)]


def _search(row: Mapping[str, Any]) -> SavedSearch:
    own = {name: row[name] for name in ("name", "query", "zone", "sort", "descending", "shared")}
    draft = Draft(**own, columns=tuple(row["columns"]))
    plain = {name: row[name] for name in ("search_id", "owner", "owner_name", "created_at", "updated_at", "version")}
    return SavedSearch(**plain, tenants=tuple(row["tenants"]), draft=draft)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SinkError as error:
        raise SearchStoreUnavailable(f"the saved searches cannot be reached: {error}") from error
