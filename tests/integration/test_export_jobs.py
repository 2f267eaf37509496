"""Exports from request to expiry, on the real engine."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow.parquet as pq
import pytest
from structlog.testing import capture_logs

from exports_reader import WatchedReader
from query import DatabaseUnreachable, InvalidQuery, Page, Question, parse
from query.exports import (
    Entry,
    ExportJobs,
    ExportRequest,
    ExportSettings,
    FileDamaged,
    Job,
    JobExpired,
    JobNotReady,
    JobUnknown,
    Requester,
    StorageUnusable,
)
from query.exports.selection import Pages
from query.expression import All, AnyOf, Not, Term
from query.question import SortName
from query_log import NOW, Log, address, asked, at

pytest_plugins = ["infrastructure.log_fixtures"]

ANN = Requester("u-1", name="Ann", origin="dashboard")
START = datetime(2026, 6, 15, 12, tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Desk:
    """Exports of a test, with everything that was told."""

    directory: Path
    settings: ExportSettings
    clock: Clock = field(default_factory=Clock)
    told: list[tuple[str, str, Job]] = field(default_factory=list)
    jobs: ExportJobs = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = ExportJobs(self.settings, trail=self._note, now=self.clock)

    def _note(self, job: Job, entry: Entry) -> None:
        self.told.append((entry.what, job.state, job))

    def content(self, job: Job) -> bytes:
        with self.jobs.download(job.id, ANN) as download:
            return download.file.read()

    def stored(self) -> set[str]:
        files = self.directory / "files"
        return {p.name for p in files.iterdir()} if files.exists() else set()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "ex", ExportSettings(storage=str(tmp_path / "ex"), interactive_rows=20, page_rows=7))


def request(question: Question | None = None, name: str = "ndjson", **more: Any) -> ExportRequest:
    return ExportRequest(question or asked(), ANN, name, **more)


def lines(content: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in content.splitlines()]


def offsets(content: bytes) -> list[int]:
    return [line["kafka_offset"] for line in lines(content)]


def on_screen(reader: Pages, question: Question) -> list[int]:
    page: Page = reader.page(question, limit=10_000, cursor=None, fields=["kafka_offset"])
    return [row["kafka_offset"] for row in page.rows]


def store(log: Log, count: int, seed: int = 1) -> None:
    """Store events whose times tie, cluster and lie centuries apart."""
    dice = random.Random(seed)
    times = [at("1970-01-02T00:00:00"), at("2200-01-01T00:00:00"), *(at("2026-06-01T00:00:00") + s for s in (0, 1, 60))]
    log.store(
        [
            {
                "occurred_at": dice.choice(times) + dice.choice((0, 0, 1_000_000 * dice.randrange(3_000_000))),
                "actor_name": dice.choice("abc"),
                "tenant_id": "acme",
                "ip": address(f"10.0.0.{dice.randrange(4)}"),
                "outcome": dice.choice(("success", "failure")),
            }
            for _ in range(count)
        ]
    )


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", ["time", "user"])
def test_an_export_has_the_rows_of_the_screen_in_their_order(
    log: Log, desk: Desk, sort: SortName, descending: bool, full: bool
) -> None:
    store(log, 18)
    question = asked("tenant:acme outcome:success", sort=sort, descending=descending)
    job = desk.jobs.make(request(question, columns=("kafka_offset",), full=full), log.reader)
    assert offsets(desk.content(job)) == on_screen(log.reader, question) != []
    assert job.manifest is not None
    assert (job.manifest["truncated"], job.manifest["row_limit"]) == (False, None if full else 20)


@pytest.mark.parametrize(("sort", "descending"), [("time", True), ("time", False), ("user", True), ("ip", False)])
def test_an_interactive_export_takes_the_newest_and_says_that_there_are_more(
    log: Log, desk: Desk, sort: SortName, descending: bool
) -> None:
    store(log, 57)
    newest = set(on_screen(log.reader, asked())[:20])
    job = desk.jobs.make(request(asked(sort=sort, descending=descending), columns=("kafka_offset",)), log.reader)
    found = offsets(desk.content(job))
    assert set(found) == newest
    assert found == [o for o in on_screen(log.reader, asked(sort=sort, descending=descending)) if o in newest]
    assert job.manifest is not None
    assert (job.manifest["rows"], job.manifest["row_limit"], job.manifest["truncated"]) == (20, 20, True)


def test_exactly_as_many_rows_as_the_limit_are_not_cut(log: Log, desk: Desk) -> None:
    store(log, 20)
    job = desk.jobs.make(request(), log.reader)
    assert job.manifest is not None
    assert (job.manifest["rows"], job.manifest["truncated"]) == (20, False)


@pytest.mark.parametrize("descending", [True, False])
def test_a_full_export_repeats_and_skips_nothing_while_rows_arrive(log: Log, desk: Desk, descending: bool) -> None:
    store(log, 40)
    before = set(on_screen(log.reader, asked()))
    watched = WatchedReader(log.reader, lambda pages: store(log, 2, seed=pages) if pages % 8 == 3 else None)
    question = asked(descending=descending)
    job = desk.jobs.make(request(question, columns=("kafka_offset", "occurred_at"), full=True), watched)
    rows = lines(desk.content(job))
    found = [row["kafka_offset"] for row in rows]
    assert len(found) == len(set(found))
    assert before <= set(found)
    times = [row["occurred_at"] for row in rows]
    assert times == sorted(times, reverse=descending)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sizes", [(4, 8), (2, 1), (1000, 5)])
def test_windows_of_any_width_join_without_gap_or_repetition(
    log: Log, desk: Desk, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int], descending: bool
) -> None:
    for name, size in zip(("_WINDOW_ROWS", "_CROWDED_ROWS"), sizes, strict=True):
        monkeypatch.setattr(f"query.exports.selection.{name}", size)
    store(log, 40)
    question = asked(descending=descending)
    job = desk.jobs.make(request(question, columns=("kafka_offset", "occurred_at"), full=True), log.reader)
    rows = lines(desk.content(job))
    assert sorted(row["kafka_offset"] for row in rows) == list(range(40))
    times = [row["occurred_at"] for row in rows]
    assert times == sorted(times, reverse=descending)


def test_the_manifest_proves_the_file_and_says_what_was_asked(log: Log, desk: Desk) -> None:
    store(log, 5)
    question = Question(parse("tenant:acme since:1969-12-31T23:00"), zone=ZoneInfo("Asia/Tokyo"), now=NOW)
    asked_for = request(question, "csv", columns=("time", "outcome"), purpose="audit 7", scope="auditor")
    job = desk.jobs.make(asked_for, log.reader)
    content = desk.content(job)
    manifest = json.loads((desk.directory / "files" / f"{job.id}.csv.manifest.json").read_text())
    assert manifest == job.manifest
    assert (manifest["sha256"], manifest["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert manifest["rows"] == 5 == len(list(csv.reader(io.StringIO(content.decode())))) - 1
    assert manifest["filter"] == "tenant:acme since:1969-12-31T23:00"
    assert manifest["filter_tree"] == ["all", ["term", "tenant", "acme"], ["term", "since", "1969-12-31T23:00"]]
    assert manifest["window"] == {"since": "1969-12-31T14:00:00+00:00", "until": None}
    assert (manifest["time_zone"], manifest["sort"]) == ("Asia/Tokyo", {"by": "time", "descending": True})
    assert [c["heading"] for c in manifest["columns"]] == ["time (Asia/Tokyo)", "outcome"]
    assert manifest["requested_by"] == {"id": "u-1", "type": "user", "name": "Ann", "origin": "dashboard"}
    assert (manifest["purpose"], manifest["scope"], manifest["kind"]) == ("audit 7", "auditor", "interactive")
    assert set(manifest["versions"]) == {"auditstream"}
    assert manifest["asked_at"] == NOW.isoformat()


def test_typed_values_of_the_stored_log_reach_the_file(log: Log, desk: Desk) -> None:
    log.store(
        [
            {
                "occurred_at": at("2026-01-31T23:30:00.123456"),
                "ip": address("203.0.113.7"),
                "details": [("k", "مرحبا")],
                "targets.type": ["t"],
                "targets.id": ["1"],
                "targets.name": ["n"],
                "targets.role": ["member"],
            },
            {"ip": address("2001:db8::1")},
        ]
    )
    names = ("occurred_at", "ip", "details", "targets", "duration_ms", "kafka_topic_id", "ingested_at")
    screen = log.reader.page(asked(), fields=names).rows
    job = desk.jobs.make(request(name="parquet", columns=names), log.reader)
    table = pq.read_table(io.BytesIO(desk.content(job)))
    assert table.to_pylist(maps_as_pydicts="strict") == screen
    assert {row["ip"] for row in screen} == {"203.0.113.7", "2001:db8::1"}


def test_an_expired_file_is_gone_its_record_stays_and_one_call_makes_it_again(log: Log, desk: Desk) -> None:
    store(log, 4)
    job = desk.jobs.make(request(asked("tenant:acme"), columns=("kafka_offset",)), log.reader)
    first = desk.content(job)
    desk.clock.now += timedelta(seconds=desk.settings.expire_after_s - 1)
    assert desk.jobs.expire() == []
    assert desk.content(job) == first
    desk.clock.now += timedelta(seconds=1)
    with pytest.raises(JobExpired, match="make it again"):
        desk.content(job)
    assert f"{job.id}.ndjson" not in desk.stored()
    again = desk.jobs.run(desk.jobs.repeat(job.id, ANN).id, log.reader)
    assert desk.content(again) == first
    assert (again.request.again_of, again.request.question) == (job.id, job.request.question)
    old = desk.jobs.job(job.id)
    assert (old.state, old.downloads, old.manifest) == ("expired", 2, job.manifest)
    assert [j.id for j in desk.jobs.jobs()] == [again.id, job.id]


def test_relative_times_mean_the_same_when_an_export_is_made_again(log: Log, desk: Desk) -> None:
    log.store([{"occurred_at": at("2026-06-15T11:30:00")}])
    job = desk.jobs.make(request(asked("since:1h"), columns=("kafka_offset",)), log.reader)
    desk.clock.now += timedelta(days=3)
    again = desk.jobs.run(desk.jobs.repeat(job.id, ANN).id, log.reader)
    assert offsets(desk.content(again)) == [0]


def test_everything_that_happens_is_told_once_and_in_order(log: Log, desk: Desk) -> None:
    store(log, 2)
    job = desk.jobs.make(request(), log.reader)
    desk.content(job)
    desk.content(job)
    desk.clock.now += timedelta(days=2)
    assert [j.id for j in desk.jobs.expire()] == [job.id]
    assert desk.jobs.expire() == []
    assert [(what, state) for what, state, _ in desk.told] == [
        ("request", "pending"),
        ("ready", "ready"),
        ("download", "ready"),
        ("download", "ready"),
        ("expired", "expired"),
    ]
    assert [told.downloads for _, _, told in desk.told] == [0, 0, 1, 2, 2]


def test_an_error_in_the_middle_leaves_no_file_and_says_why(log: Log, desk: Desk) -> None:
    store(log, 30)

    def fail(pages: int) -> None:
        if pages == 2:
            raise DatabaseUnreachable("gone")

    with pytest.raises(DatabaseUnreachable):
        desk.jobs.make(request(full=True), WatchedReader(log.reader, fail))
    (job,) = desk.jobs.jobs()
    assert (job.state, job.problem, job.manifest) == ("error", "gone", None)
    assert desk.stored() == set()
    with pytest.raises(JobNotReady, match="error: gone"):
        desk.content(job)
    with pytest.raises(JobNotReady):
        desk.jobs.run(job.id, log.reader)


def test_an_interrupted_export_leaves_no_file(log: Log, desk: Desk) -> None:
    store(log, 30)

    def interrupt(pages: int) -> None:
        if pages == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.jobs.make(request(name="xlsx", full=True), WatchedReader(log.reader, interrupt))
    assert (desk.jobs.jobs()[0].problem, desk.stored()) == ("interrupted by KeyboardInterrupt", set())


def test_a_half_written_file_never_has_the_final_name(log: Log, desk: Desk) -> None:
    store(log, 30)
    seen: list[set[str]] = []

    def look(pages: int) -> None:
        del pages
        seen.append(desk.stored())

    job = desk.jobs.make(request(full=True), WatchedReader(log.reader, look))
    assert {name for names in seen for name in names if not name.endswith(".partial")} == set()
    assert desk.stored() == {f"{job.id}.ndjson", f"{job.id}.ndjson.manifest.json"}


def test_what_a_killed_process_left_is_removed_and_its_export_is_an_error(log: Log, desk: Desk) -> None:
    job = desk.jobs.request(request())
    left = desk.directory / "files" / f".{job.id}.ndjson.0.partial"
    left.parent.mkdir()
    left.write_text("half")
    desk.clock.now = datetime.now(UTC) + timedelta(hours=1)
    pending = desk.jobs.job(desk.jobs.request(request()).id)
    assert (pending.state, left.exists()) == ("pending", True)
    desk.clock.now += timedelta(days=1)
    desk.jobs.expire()
    assert not left.exists()
    assert [j.problem for j in desk.jobs.jobs()] == ["it was interrupted and never finished"] * 2


def test_a_changed_file_is_not_handed_out(log: Log, desk: Desk) -> None:
    store(log, 3)
    job = desk.jobs.make(request(), log.reader)
    with (desk.directory / "files" / f"{job.id}.ndjson").open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(FileDamaged):
        desk.content(job)
    (desk.directory / "files" / f"{job.id}.ndjson").unlink()
    with pytest.raises(StorageUnusable, match="is missing"):
        desk.content(job)
    assert desk.jobs.job(job.id).downloads == 0


@pytest.mark.parametrize(
    "change",
    [
        {"format": "doc"},
        {"columns": ("nme",)},
        {"question": asked("acton:x")},
        {"question": asked("since:yesteryear")},
    ],
)
def test_a_wrong_request_is_refused_and_leaves_no_record(desk: Desk, change: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidQuery):
        desk.jobs.request(replace(request(), **change))
    assert (desk.jobs.jobs(), desk.told) == ([], [])


@pytest.mark.parametrize("job_id", ["../../etc/passwd", "x", "", "00000000-0000-0000-0000-000000000000"])
def test_an_id_that_is_none_is_unknown(desk: Desk, job_id: str) -> None:
    with pytest.raises(JobUnknown):
        desk.jobs.job(job_id)


def test_two_processes_on_one_storage_overwrite_nothing_of_each_other(log: Log, desk: Desk) -> None:
    store(log, 2)
    other = Desk(desk.directory, desk.settings, desk.clock)
    job = desk.jobs.make(request(), log.reader)
    desk.content(job)
    other.content(job)
    desk.content(job)
    assert desk.jobs.job(job.id).downloads == other.jobs.job(job.id).downloads == 3


def test_the_state_does_not_depend_on_clocks_that_differ(log: Log, desk: Desk) -> None:
    store(log, 1)
    behind = Desk(desk.directory, desk.settings, Clock(START - timedelta(minutes=5)))
    job = behind.jobs.run(desk.jobs.request(request()).id, log.reader)
    assert desk.jobs.job(job.id).state == "ready"


def test_nobody_else_can_read_the_directory(desk: Desk) -> None:
    assert desk.directory.stat().st_mode & 0o777 == 0o700


def test_an_object_store_holds_exports_as_a_directory_does(log: Log, tmp_path: Path) -> None:
    store(log, 5)
    desk = Desk(tmp_path, ExportSettings(storage=f"memory://{tmp_path.name}/ex"))
    job = desk.jobs.make(request(), log.reader)
    assert len(lines(desk.content(job))) == 5
    desk.clock.now += timedelta(days=1)
    assert [(j.state, j.downloads) for j in desk.jobs.jobs()] == [("expired", 1)]
    with pytest.raises(JobExpired):
        desk.content(job)


def test_a_storage_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for url in (str(tmp_path / "file" / "below"), "nosuch://bucket"):
        with pytest.raises(StorageUnusable, match="exports cannot be kept in"):
            ExportJobs(ExportSettings(storage=url))


def test_a_damaged_record_is_told_and_harms_no_other(desk: Desk) -> None:
    damaged, whole = desk.jobs.request(request()), desk.jobs.request(request())
    (desk.directory / "records" / damaged.id / "request.json").write_text("{}")
    with capture_logs() as logs:
        assert [job.id for job in desk.jobs.jobs()] == [whole.id]
    assert [line["export_id"] for line in logs] == [damaged.id]
    with pytest.raises(StorageUnusable, match=damaged.id):
        desk.jobs.job(damaged.id)


def test_a_filter_longer_than_its_text_form_may_be_is_kept_whole(log: Log, desk: Desk) -> None:
    store(log, 2)
    long = AnyOf((*(Term("actor_id", f"{n}" * 2000) for n in range(20)), Not(Term("tenant", "x")), All(), AnyOf()))
    job = desk.jobs.make(request(Question(long, now=NOW), "xlsx"), log.reader)
    again = desk.jobs.repeat(job.id, ANN)
    assert desk.jobs.job(again.id).request.question == job.request.question == Question(long, now=NOW)


def test_a_record_is_removed_with_its_manifest_when_its_days_are_over(log: Log, desk: Desk) -> None:
    job = desk.jobs.make(request(), log.reader)
    desk.clock.now += timedelta(days=desk.settings.record_days - 1)
    assert [j.id for j in desk.jobs.expire()] == [job.id]
    assert desk.stored() == {f"{job.id}.ndjson.manifest.json"}
    desk.clock.now += timedelta(days=1)
    assert desk.jobs.expire() == []
    assert (desk.jobs.jobs(), desk.stored()) == ([], set())


def test_a_file_that_somebody_else_removed_expires_all_the_same(log: Log, desk: Desk) -> None:
    job = desk.jobs.make(request(), log.reader)
    (desk.directory / "files" / f"{job.id}.ndjson").unlink()
    desk.clock.now += timedelta(days=1)
    assert [j.state for j in desk.jobs.expire()] == ["expired"]
    assert desk.jobs.expire() == []
