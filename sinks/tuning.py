"""Settings of tables that only newer servers know: they change what an insert and its merges cost, never what is read."""

from __future__ import annotations

from sinks.connection import Connections
from sinks.rows import EVENTS

#: Since ClickHouse 26.9. Of 183 columns an event fills a few dozen, so most parts hold many columns without any value.
#: Source: https://github.com/ClickHouse/ClickHouse/pull/98472
SKIP_EMPTY = "skip_empty_columns_on_insert"
_SKIP_EMPTY_NEEDS = "serialization_info_version = 'with_missing_columns'"


def tune(connections: Connections) -> bool:
    """Have parts of the events table leave out columns without any value, where that is safe.

    A table that replicates is left alone: a replica of an older version could not read such parts. So is a table on
    which somebody set the setting, to whatever value.

    Args:
        connections: Connections to the database, whose tables exist.

    Returns:
        Whether the table was changed.

    Raises:
        SinkUnavailable: The database could not be asked.
        SinkStopped: The database refuses.
    """
    database = connections.settings.database
    found = connections.rows(
        "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}"
        " AND engine = 'MergeTree' AND {setting:String} IN (SELECT name FROM system.merge_tree_settings)",
        {"database": database, "table": EVENTS, "setting": SKIP_EMPTY},
    )
    if not found or SKIP_EMPTY in str(found[0]["engine_full"]):
        return False
    connections.command(f"ALTER TABLE `{database}`.`{EVENTS}` MODIFY SETTING {_SKIP_EMPTY_NEEDS}, {SKIP_EMPTY} = 1")
    return True
