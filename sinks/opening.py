"""Opening the sink that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sinks.settings import ClickHouseSettings
    from sinks.sink import Sink


def open_sink(settings: ClickHouseSettings) -> Sink:
    """Return a sink for these settings; nothing is asked of the database yet, and the caller closes it.

    Args:
        settings: Where the database is.
    """
    # Imported here, so that a program that only needs the shapes of a batch does not load the database's client.
    from sinks.clickhouse import ClickHouseSink  # noqa: PLC0415

    return ClickHouseSink(settings)
