"""What makes exports for readers over HTTP, put together from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import structlog

from auditstream.commands.export import screen_columns
from auditstream.export_trail import export_trail
from auditstream.settings import Settings
from query.access import Recorder
from query.exports import SHOWN_TITLE, ExportDesk, ExportJobs
from query.http import Readers
from query.http.scoped_readers import ScopedReaders
from schemas.catalogue import Catalogue

log = structlog.get_logger(__name__)


@contextmanager
def opened_desk(settings: Settings, readers: Readers, catalogue: Catalogue, recorder: Recorder) -> Iterator[ExportDesk]:
    """Open the exports of this process, and fail what is not finished at the end.

    A storage or a Kafka that is away holds nothing up: exports are refused, or their audit events wait.

    Args:
        settings: All settings.
        readers: Readers of everything.
        catalogue: Where titles and personal fields come from.
        recorder: Told of reads by exports, and of downloads.
    """
    with export_trail(settings, lambda sentence: log.warning("export_trail", told=sentence)) as trail:
        columns = {**screen_columns(settings), "title": SHOWN_TITLE}
        opened = partial(ExportJobs, settings.export, derived=columns, trail=trail)
        desk = ExportDesk(opened, settings.export, ScopedReaders(readers, catalogue).lent, recorder)
        try:
            yield desk
        finally:
            desk.close()
