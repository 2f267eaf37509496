"""The page with exports and saved searches, for tests in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api_log import open_desk
from infrastructure.browser import Served, Serving
from query import open_reader
from query.exports import ExportDesk, ExportSettings
from query.http import Readers, ReadService
from query.http.scoped_readers import ScopedReaders
from query.saved import SearchDesk, SearchStore
from query_log import Log
from schemas.catalogue import Catalogue
from sinks.connection import Connections


@contextmanager
def exports_served(serving: Serving, log: Log, storage: Path) -> Iterator[Served]:
    """Serve the page over a log with everything that makes exports and keeps searches.

    Args:
        serving: Serves pages.
        log: What is stored.
        storage: Where files go.
    """
    settings = ExportSettings(storage=str(storage), interactive_rows=20, page_rows=15, heartbeat_s=0.2)
    readers, connections = Readers(lambda: open_reader(log.settings)), Connections(log.settings)
    desks: list[ExportDesk] = []

    def parts(service: ReadService) -> list[object]:
        desk = open_desk(settings, ScopedReaders(readers, Catalogue.load()), service.recorder)
        desks.append(desk)
        service.exports, service.searches = desk, SearchDesk(SearchStore(connections), service.recorder)
        return [desk, service.searches]

    try:
        yield serving.open(log, parts=parts)
    finally:
        for desk in desks:
            desk.close()
        readers.close()
        connections.close()
