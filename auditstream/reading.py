"""What answers readers over HTTP, put together from the settings: for ``auditstream serve`` and for the demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from starlette.applications import Starlette

from auditstream import __version__
from auditstream.access_events import AccessEvents, open_access_producer
from auditstream.commands.query import load_catalogue
from auditstream.exporting import opened_desk
from auditstream.resending import opened_resender
from auditstream.settings import Settings
from auditstream.signing_in import opened_ways
from query import open_reader
from query.access import NoRecorder, Recorder, TokenStore, TokenVerifier
from query.http import Readers, ReadService, Resends, build_app
from query.saved import SearchDesk, SearchStore
from query.web import site_routes
from schemas.catalogue import Catalogue
from sinks.connection import Connections


@contextmanager
def opened_service(settings: Settings) -> Iterator[ReadService]:
    """Put together what answers reads, and take it apart at the end.

    Args:
        settings: All settings.

    Raises:
        CatalogueError: A catalogue file is wrong.
        ProducerError: Reads are to be recorded, and cannot be.
        SchemaError: The registry's address is wrong.
    """
    catalogue = load_catalogue(settings)
    access = settings.access
    with ExitStack() as stack:
        connections = Connections(settings.clickhouse)
        stack.callback(connections.close)
        readers = Readers(lambda: open_reader(settings.clickhouse))
        stack.callback(readers.close)
        verifier = TokenVerifier(TokenStore(connections), cache_s=access.cache_s, last_use_s=access.last_use_s)
        stack.callback(verifier.write_uses)
        recorder = _recorder(settings, catalogue, stack)
        exports = stack.enter_context(opened_desk(settings, readers, catalogue, recorder))
        searches = SearchDesk(SearchStore(connections), recorder)
        yield ReadService(readers, verifier, catalogue, settings.http, recorder, exports=exports, searches=searches)


def _recorder(settings: Settings, catalogue: Catalogue, stack: ExitStack) -> Recorder:
    if not settings.access.record:
        return NoRecorder()
    producer = stack.enter_context(open_access_producer(settings))
    return AccessEvents(producer, catalogue, settings.access)


@contextmanager
def opened_app(settings: Settings) -> Iterator[tuple[Starlette, ReadService]]:
    """Put together everything that is served over HTTP: the API, and what stands beside it.

    Args:
        settings: All settings.

    Yields:
        The application, and the service whose ``stopping`` tells live tails to end.

    Raises:
        CatalogueError: A catalogue file is wrong.
        ProducerError: Reads are to be recorded, and cannot be.
        SchemaError: The registry's address is wrong.
    """
    with opened_service(settings) as service, opened_resender(settings) as resender, opened_ways(settings) as ways:
        resends = Resends(resender, service, settings.resend.calls)
        parts = [part for part in (resends, service.exports, service.searches) if part is not None]
        page = site_routes(service, settings.page, ways=ways, parts=parts) if settings.page.enabled else ()
        key = "set" if settings.page.session_key.get_secret_value() else "random"
        facts = {"page_session_key": key} if settings.page.enabled else {}
        yield build_app(service, __version__, resends=resends, facts=facts, more=page), service
