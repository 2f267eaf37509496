"""What the start-up checks say of tables that do not belong together."""

from __future__ import annotations

from sinks.checks import Table, unreplicated

PLAIN, REPLICATED = Table("MergeTree", "MergeTree ORDER BY a"), Table("ReplicatedMergeTree", "ReplicatedMergeTree()")


def test_in_a_replicated_log_every_table_that_the_promise_rests_on_replicates() -> None:
    tables = {"audit_events": REPLICATED, "ingest_batches": REPLICATED, "broken_groups": PLAIN, "saved_searches": PLAIN}
    (problem,) = unreplicated("log", tables)
    assert problem == "log.broken_groups: engine: found MergeTree, needed one that replicates, as audit_events does"


def test_a_log_on_one_server_replicates_nothing() -> None:
    assert unreplicated("log", {"audit_events": PLAIN, "broken_groups": PLAIN, "dead_letters": REPLICATED}) == []
    assert unreplicated("log", {"broken_groups": PLAIN}) == []
