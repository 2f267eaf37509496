"""What turns runs into figures: a wrong sum here would be a wrong promise in the README."""

from __future__ import annotations

import io
import sys
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import fastavro
import pytest

# The benchmarks are no part of the wheel; what is in it must still win.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks import report
from benchmarks.corpus import Corpus
from benchmarks.latency import Load, Lookout, latencies_ms
from benchmarks.plan import BATCH_ROWS, FULL, PARTITIONS, SHORT
from benchmarks.race import summary
from benchmarks.run import headline, read
from benchmarks.served import Sample, ServedRun, scaling, windows
from benchmarks.subjects.flat import insert_select, retention_days, row_plan, source_columns, structure
from benchmarks.subjects.rows import Flattener
from benchmarks.subjects.stopwatch import STAGES, Stopwatch
from producers.generator import KINDS
from schemas.columns import avro_schema, event_columns
from schemas.wire import HEADER_BYTES

ROOT = report.ROOT


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(300, events_schema_id=7, actors_schema_id=8)


def decoded(value: bytes) -> dict[str, Any]:
    schema = fastavro.parse_schema(avro_schema("audit_event", 1))
    return cast("dict[str, Any]", fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), schema, None))


# -- the same events for every subject --


def test_the_avro_file_holds_the_same_events_as_the_messages(corpus: Corpus, tmp_path: Path) -> None:
    with corpus.write_avro(tmp_path / "events.avro", 1500).open("rb") as file:
        records = list(fastavro.reader(file))
    assert records == [decoded(value) for value in corpus.take(1500)]


def test_a_longer_load_repeats_the_corpus_from_its_start(corpus: Corpus) -> None:
    values = list(corpus.take(700))
    assert values == [*corpus.values, *corpus.values, *corpus.values[:100]]


def test_the_corpus_has_every_record_kind() -> None:
    values = Corpus(2000, events_schema_id=7, actors_schema_id=8).values
    assert {decoded(value)["record_kind"] for value in values} == set(KINDS)


def test_clickhouse_is_asked_for_every_column_that_comes_from_the_event() -> None:
    statement = insert_select("t", "/data/events.avro")
    listed = statement.partition(") SELECT")[0]
    assert all(f"`{column.name}`" in listed for column in source_columns())
    assert structure().count("`") == 2 * len(
        {c.path.split(".")[0] if "Array" in c.clickhouse_type and "." in c.path else c.path for c in source_columns()}
        | {"event_id", "ip"}
    )


def test_rows_meet_as_many_table_partitions_as_the_worker_makes() -> None:
    assert len(set(retention_days().values())) >= 5
    assert "transform(event_code" in insert_select("t", "f")


def test_a_plain_row_has_the_values_of_its_event(corpus: Corpus) -> None:
    flattener = Flattener(row_plan())
    for value in corpus.values:
        record = decoded(value)
        row = dict(zip(flattener.columns, flattener.row(record, ("t", 1, 5), 1_700_000_000_000), strict=True))
        assert row["event_id"] == record["event_id"]
        assert row["kafka_offset"] == 5
        assert row["targets.id"] == [target["id"] for target in record["targets"]]
        assert row["api_route"] == (record["api"]["route"] if record["api"] else "")
        assert row["received_at"] == datetime.fromtimestamp(1_700_000_000, UTC)
        assert cast("datetime", row["expires_at"]) - cast("datetime", row["received_at"]) == timedelta(
            days=cast("int", row["retention_days"])
        )


def test_a_plain_row_has_only_columns_of_the_table() -> None:
    assert set(Flattener(row_plan()).columns) <= {column.name for column in event_columns()}


@pytest.mark.parametrize("plan", [SHORT, FULL])
def test_every_batch_of_the_comparison_is_full(plan: Any) -> None:
    assert plan.race_events % (PARTITIONS * BATCH_ROWS) == 0
    assert plan.served_events % (PARTITIONS * BATCH_ROWS) == 0


# -- stages --


def test_every_stage_of_the_profile_is_still_a_function_of_the_path() -> None:
    from consumers.kafka import GroupConsumer  # noqa: PLC0415 - looked at before and after

    before = GroupConsumer.fetch
    with Stopwatch().attached():
        assert GroupConsumer.fetch is not before
    assert GroupConsumer.fetch is before
    assert {stage for stage, _, _ in STAGES} >= {
        "consume",
        "decode",
        "validate",
        "enrich",
        "digest",
        "insert",
        "commit",
    }


def test_a_stage_does_not_count_the_stages_inside_it() -> None:
    watch = Stopwatch()

    def burn(seconds: float) -> None:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass

    inner = watch._timed("inner", lambda: burn(0.06))

    def both() -> None:
        burn(0.02)
        inner()

    watch._timed("outer", both)()
    assert watch.own_s["inner"] == pytest.approx(0.06, abs=0.01)
    assert watch.own_s["outer"] == pytest.approx(0.02, abs=0.01)


# -- from runs to figures --


def test_the_fastest_run_is_the_figure_and_the_median_stands_beside_it() -> None:
    runs = [{"events": 100, "cpu_s": cpu, "merges_after_cpu_s": 0.0} for cpu in (2.0, 1.0, 4.0)]
    found = summary(runs)
    assert (found["events_per_cpu_s"], found["events_per_cpu_s_median"], found["runs"]) == (100, 50, runs)


def test_merges_that_are_put_off_count_as_well() -> None:
    found = summary([{"events": 100, "cpu_s": 1.0, "merges_after_cpu_s": 1.0}])
    assert (found["events_per_cpu_s"], found["events_per_cpu_s_before_merges"]) == (50, 100)


def served(workers: int, cpu_s: float, shares: list[float]) -> ServedRun:
    return ServedRun(workers, 1000, worker_cpu_s=cpu_s, shares=shares)


def test_two_workers_that_share_evenly_at_the_same_cost_do_twice_as_much() -> None:
    assert scaling([served(1, 4.0, [1.0])], [served(2, 4.0, [0.5, 0.5])]) == pytest.approx(2.0)


def test_a_worker_that_gets_most_of_the_events_spoils_the_scaling() -> None:
    assert scaling([served(1, 4.0, [1.0])], [served(2, 4.0, [0.8, 0.2])]) == pytest.approx(1.25)


def test_two_workers_that_cost_more_do_less_than_twice_as_much() -> None:
    assert scaling([served(1, 4.0, [1.0])], [served(2, 5.0, [0.5, 0.5])]) == pytest.approx(1.6)


def test_each_fifth_of_a_backlog_has_its_own_rate_and_memory() -> None:
    run = ServedRun(1, 1000)
    run.samples = [Sample(0, 0, 0), *(Sample(n * n, n * 200, 100 + n) for n in range(1, 6))]
    found = windows(run)
    assert found["window_events_per_s"] == [round(200 / gap) for gap in (1, 3, 5, 7, 9)]
    assert found["window_rss_mib"] == [101, 102, 103, 104, 105]


def test_fifths_that_one_batch_completed_together_are_one_window() -> None:
    run = ServedRun(1, 1000)
    run.samples = [Sample(0, 0, 0), Sample(4, 400, 101), Sample(10, 1000, 102)]
    assert windows(run) == {"window_events_per_s": [100, 100], "window_rss_mib": [101, 102]}


def watched(sent: list[tuple[int, float]], seen: list[tuple[float, int]]) -> tuple[Load, Lookout]:
    load = SimpleNamespace(sent=defaultdict(list, {0: sent}))
    lookout = SimpleNamespace(seen=defaultdict(list, {0: seen}))
    return cast("Load", load), cast("Lookout", lookout)


def test_an_event_is_queryable_when_an_answer_first_reaches_its_offset() -> None:
    waits = latencies_ms(*watched([(3, 10.0), (4, 10.5)], [(10.1, 2), (10.4, 3), (11.0, 9)]), since=0.0)
    assert waits.tolist() == pytest.approx([400.0, 500.0])


def test_events_of_the_warm_up_do_not_count() -> None:
    waits = latencies_ms(*watched([(3, 10.0), (4, 10.5)], [(11.0, 9)]), since=10.2)
    assert waits.tolist() == pytest.approx([500.0])


def test_an_event_that_no_answer_reached_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="offset 9 of partition 0"):
        latencies_ms(*watched([(9, 10.0)], [(11.0, 8)]), since=0.0)


# -- what is told --

WATCHED_KEYS = {
    "worker_events_per_cpu_s",
    "clickhouse_avro_events_per_cpu_s",
    "naive_events_per_cpu_s",
    "worker_vs_clickhouse_avro",
    "worker_vs_naive",
    "worker_rss_mib",
    "latency_p99_ms",
    "scaling_two_workers",
    "machine",
    "versions",
}


def test_the_ratios_are_those_of_the_figures() -> None:
    rates = {"worker": 200, "clickhouse_avro": 100, "plain_worker": 10}
    found = headline({"race": {name: {"events_per_cpu_s": rate} for name, rate in rates.items()}})
    assert (found["worker_vs_clickhouse_avro"], found["worker_vs_naive"]) == (2.0, 20.0)


def test_a_measurement_that_did_not_run_has_no_figure() -> None:
    assert headline({}) == {}


def test_the_published_results_have_every_figure_that_is_watched() -> None:
    assert read("latest").keys() >= WATCHED_KEYS


def test_the_readme_shows_the_published_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert report.table(read("latest")) in readme
    assert report.PLOT.read_text(encoding="utf-8") == report.plot(read("latest"))


def test_writing_the_table_again_replaces_it() -> None:
    readme = f"before\n{report.BEGIN}\nold\n{report.END}\nafter"
    once = report.placed(readme, "new")
    assert "old" not in once
    assert report.placed(once, "new") == once
    assert once.startswith("before\n")
    assert once.endswith("\nafter")


@pytest.mark.parametrize("readme", ["", report.BEGIN, f"{report.BEGIN}{report.END}{report.BEGIN}{report.END}"])
def test_a_readme_without_one_place_for_the_table_is_refused(readme: str) -> None:
    with pytest.raises(report.MarkersMissing):
        report.placed(readme, "new")


def test_the_plot_has_a_bar_for_every_rate_in_proportion() -> None:
    svg = ET.fromstring(report.plot({"worker_events_per_cpu_s": 200, "naive_events_per_cpu_s": 50}))
    bars = [int(r.attrib["width"]) for r in svg.iter("{http://www.w3.org/2000/svg}rect") if "x" in r.attrib]
    assert bars == [320, 80]
