"""Is every produced event in the database exactly once? Asked of the database, not of the worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from auditstream.access_events import SERVICE
from sinks.connection import Connections

#: Records of reads are events too; they were not produced by the load.
_OF_LOAD = f"source_service != '{SERVICE}'"
_PLACES = """
SELECT count() AS n, uniqExact(kafka_topic_id, kafka_partition, kafka_offset) AS places FROM
(
    SELECT kafka_topic_id, kafka_partition, kafka_offset FROM {database}.audit_events
    UNION ALL
    SELECT kafka_topic_id, kafka_partition, kafka_offset FROM {database}.dead_letters
)
"""


@dataclass(frozen=True, slots=True)
class Balance:
    """What the database holds of what was produced.

    Attributes:
        produced: Messages produced.
        stored: Rows in ``audit_events``.
        dead_lettered: Rows in ``dead_letters``.
        duplicates: Rows too many: a message or an event stored more than once.
        missing: Produced messages that are in neither table.
    """

    produced: int
    stored: int
    dead_lettered: int
    duplicates: int
    missing: int

    @property
    def exact(self) -> bool:
        """Every produced message is accounted for exactly once."""
        return self.duplicates == self.missing == 0 and self.produced == self.stored + self.dead_lettered


def accounted(connections: Connections) -> int:
    """Return how many messages of the load are stored, as events or as dead letters.

    Args:
        connections: Connections to the database.
    """
    database = connections.settings.database
    rows = connections.rows(
        f"SELECT (SELECT count() FROM {database}.audit_events WHERE {_OF_LOAD}) + "  # noqa: S608 - checked by the settings
        f"(SELECT count() FROM {database}.dead_letters) AS n"
    )
    return int(rows[0]["n"])


def balance(connections: Connections, produced_ids: Iterable[str], expected_dead: int) -> Balance:
    """Compare what was produced with what is stored.

    Args:
        connections: Connections to the database, which holds this load only.
        produced_ids: Ids of the events that must be stored.
        expected_dead: Number of messages that must be dead letters.
    """
    database = connections.settings.database
    produced = Counter(produced_ids)
    stored = Counter(
        row["id"]
        for row in connections.rows(f"SELECT toString(event_id) AS id FROM {database}.audit_events WHERE {_OF_LOAD}")  # noqa: S608 - checked by the settings
    )
    dead = int(connections.rows(f"SELECT count() AS n FROM {database}.dead_letters")[0]["n"])  # noqa: S608 - as above
    places = connections.rows(_PLACES.format(database=database))[0]
    twice = max((stored - produced).total() + max(0, dead - expected_dead), int(places["n"]) - int(places["places"]))
    return Balance(
        produced=produced.total() + expected_dead,
        stored=stored.total(),
        dead_lettered=dead,
        duplicates=twice,
        missing=(produced - stored).total() + max(0, expected_dead - dead),
    )
