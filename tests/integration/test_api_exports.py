"""Exports over HTTP: asked for, followed, fetched, made again, withdrawn, within the rights of who asks."""

from __future__ import annotations

import csv
import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import openpyxl
import orjson
import pyarrow.parquet as pq
import pytest

from api_log import Api, open_api
from infrastructure.clickhouse import fresh_database
from infrastructure.ports import wait_until
from query.access import Scope
from query.access.recording import Read
from query.exports import ExportJobs, ExportSettings
from query.exports.keepers import Beat
from query_log import address, at, open_log
from sinks.settings import ClickHouseSettings

PATH = "/api/v1/export-jobs"
ROWS = 9
_WAIT_S = 60.0


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> ExportSettings:
    storage = tmp_path_factory.mktemp("kept")
    return ExportSettings(storage=str(storage), interactive_rows=5, page_rows=2, heartbeat_s=0.1)


@pytest.fixture(scope="module")
def api(chdb_path: Path, kept: ExportSettings) -> Iterator[Api]:
    settings = fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))
    with open_log(settings) as log, open_api(log, exports=kept) as opened:
        log.store([event(number) for number in range(ROWS)])
        yield opened


def event(number: int) -> dict[str, Any]:
    return {
        "occurred_at": at("2026-06-01T10:00:00") + number * 1_000_000,
        "tenant_id": "acme" if number % 3 else "globex",
        "event_code": "user.update",
        "actor_id": f"u-{number}",
        "actor_name": "=Ann" if number == 1 else f"Ann {number}",
        "ip": address("203.0.113.7"),
        "target_type": "user",
        "target_id": str(number),
    }


def finished(api: Api, secret: str, job: dict[str, Any]) -> dict[str, Any]:
    """Wait until an export is no longer being made."""
    deadline = time.monotonic() + _WAIT_S
    while job["state"] == "pending":
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
        job = api.get(job["links"]["self"], secret).json()
    return job


def recorded(api: Api, code: str, job: dict[str, Any]) -> list[Read]:
    """Return the records of an export with a code."""
    return [r for r in api.records.reads if r.code == code and r.target_id == job["id"]]


def made(api: Api, secret: str, **body: Any) -> dict[str, Any]:
    answer = api.post(PATH, secret, body)
    assert answer.status_code == 202, answer.text
    return finished(api, secret, answer.json())


@pytest.fixture(scope="module")
def administrator(api: Api) -> str:
    return api.secret("administrator")


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def read_xlsx(content: bytes) -> list[dict[str, Any]]:
    rows = openpyxl.load_workbook(io.BytesIO(content))["events"].iter_rows(values_only=True)
    headings = [str(name) for name in next(rows)]
    return [dict(zip(headings, row, strict=True)) for row in rows]


FORMATS: dict[str, Callable[[bytes], list[dict[str, Any]]]] = {
    "csv": read_csv,
    "xlsx": read_xlsx,
    "xls": read_xlsx,
    "ndjson": lambda content: [orjson.loads(line) for line in content.splitlines()],
    "parquet": lambda content: pq.read_table(io.BytesIO(content)).to_pylist(),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_each_format_holds_the_rows_that_the_search_shows(api: Api, administrator: str, name: str) -> None:
    question = {"query": "tenant:acme", "sort": "user", "order": "asc"}
    job = made(api, administrator, **question, format=name, kind="full", columns=["actor_id", "title"])
    assert (job["state"], job["format_asked"], job["truncated"]) == ("ready", name, False)
    answer = api.get(job["links"]["file"], administrator)
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == job["sha256"]
    assert job["id"][:8] in answer.headers["content-disposition"]
    on_screen = api.post("/api/v1/events/search", administrator, {**question, "fields": ["actor_id", "title"]}).json()
    rows = [{"actor_id": row["actor_id"], "title": row["title"]} for row in FORMATS[name](answer.content)]
    if name == "csv":
        # The guard against formulas is the one difference, and taking one quote away gives the text back.
        rows = [{key: text.removeprefix("'") for key, text in row.items()} for row in rows]
    assert rows == on_screen["data"] != []
    assert ("which replaced it" in job["summary"]) == (name == "xls")


def test_an_interactive_export_takes_the_newest_and_says_that_it_is_cut(api: Api, administrator: str) -> None:
    job = made(api, administrator, format="ndjson", columns=["actor_id"])
    assert (job["kind"], job["rows"], job["row_limit"], job["truncated"]) == ("interactive", 5, 5, True)
    assert job["summary"].startswith("the newest 5 rows; there are more")
    rows = FORMATS["ndjson"](api.get(job["links"]["file"], administrator).content)
    assert [row["actor_id"] for row in rows] == [f"u-{n}" for n in range(ROWS - 1, ROWS - 6, -1)]


def test_the_history_tells_filter_parameters_and_who_asked(api: Api, administrator: str) -> None:
    body = {"filters": {"tenant": "acme"}, "not": "actor_id:u-1", "tz": "Europe/Berlin", "purpose": "case 7"}
    job = made(api, administrator, **body, format="xls", columns=["time"])
    found = api.get(PATH, administrator).json()["data"][0]
    assert found == job
    assert (found["filter"], found["tz"]) == ("tenant:acme -actor_id:u-1", "Europe/Berlin")
    assert (found["purpose"], found["columns"], found["format"]) == ("case 7", ["time"], "xlsx")
    assert found["requested_by"]["type"] == "api_token"
    assert found["requested_by"]["origin"] == "api"


def test_a_download_is_counted_and_recorded_and_head_is_no_download(api: Api, administrator: str) -> None:
    job = made(api, administrator, columns=["actor_id"])
    assert api.ask("HEAD", job["links"]["file"], administrator).status_code == 405
    assert api.get(job["links"]["self"], administrator).json()["downloads"] == 0
    assert api.get(job["links"]["file"], administrator).status_code == 200
    assert api.get(job["links"]["self"], administrator).json()["downloads"] == 1
    [read] = recorded(api, "access.download", job)
    assert (read.target_type, read.rows) == ("export", 5)
    happened = [entry for told, entry in api.records.exports if told.id == job["id"]]
    assert [entry.what for entry in happened] == ["request", "ready", "download"]
    assert happened[0].by is not None
    assert happened[0].by.ip
    # The one who makes the file records the read once it is there, while others see the file already.
    wait_until(lambda: bool(recorded(api, "access.export", job)), timeout_s=_WAIT_S, what="the record of the read")
    assert len(recorded(api, "access.export", job)) == 1


def test_the_manifest_proves_the_file_and_names_the_window(api: Api, administrator: str) -> None:
    job = made(api, administrator, query="since:2026-06-01 until:2026-06-02", format="ndjson")
    manifest = api.get(job["links"]["manifest"], administrator).json()
    content = api.get(job["links"]["file"], administrator).content
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["window"]["since"] == "2026-06-01T00:00:00+00:00"
    assert set(manifest["requested_by"]) == {"id", "type", "name", "origin"}


def test_an_export_is_made_again_with_its_parameters(api: Api, administrator: str) -> None:
    first = made(
        api, administrator, query="actor_id:u-2 since:3650d", columns=["actor_id"], kind="full", format="ndjson"
    )
    answer = api.ask("POST", first["links"]["again"], administrator)
    assert answer.status_code == 202
    again = finished(api, administrator, answer.json())
    assert again["again_of"] == first["id"] != again["id"]
    same = ("filter", "asked_at", "window", "columns", "kind", "format", "rows", "sha256")
    assert [again[name] for name in same] == [first[name] for name in same]


def test_a_file_that_is_deleted_is_gone_its_record_stays_and_it_can_be_made_again(api: Api, administrator: str) -> None:
    job = made(api, administrator, columns=["actor_id"])
    withdrawn = api.ask("DELETE", job["links"]["self"], administrator).json()
    assert (withdrawn["state"], withdrawn["deleted"], withdrawn["rows"]) == ("expired", True, 5)
    gone = api.get(job["links"]["file"], administrator)
    assert gone.status_code == 410
    assert f"{job['id']}/again" in gone.json()["hint"]
    assert api.get(job["links"]["manifest"], administrator).json()["sha256"] == job["sha256"]
    assert (
        finished(api, administrator, api.ask("POST", job["links"]["again"], administrator).json())["state"] == "ready"
    )


def test_an_export_whose_time_is_over_is_gone(api: Api, kept: ExportSettings, administrator: str) -> None:
    job = made(api, administrator, columns=["actor_id"])
    later = datetime.now(UTC) + timedelta(seconds=kept.expire_after_s + 1)
    ExportJobs(kept, now=lambda: later).expire()
    assert api.get(job["links"]["self"], administrator).json()["state"] == "expired"
    assert api.get(job["links"]["file"], administrator).status_code == 410


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"format": "pdf"}, "pointer", "/format"),
    ({"kind": "all"}, "pointer", "/kind"),
    ({"columns": ["actr_id"]}, "suggestion", "actor_id"),
    ({"query": "acton:x"}, "suggestion", "action"),
    ({"limit": 5}, "pointer", "/limit"),
    ({"tz": "Mars"}, "pointer", "/tz"),
    ({"purpose": "x" * 1001}, "pointer", "/purpose"),
    ({"bom": "yes"}, "pointer", "/bom"),
]


@pytest.mark.parametrize(("body", "member", "value"), WRONG, ids=lambda v: str(v)[:20])
def test_a_wrong_request_is_refused_with_its_place_and_leaves_no_record(
    api: Api, administrator: str, body: dict[str, Any], member: str, value: str
) -> None:
    def jobs() -> set[str]:
        return {job["id"] for job in api.get(PATH, administrator, limit=1000).json()["data"]}

    before = jobs()
    answer = api.post(PATH, administrator, body)
    assert (answer.status_code, answer.json()[member]) == (400, value)
    assert jobs() == before
    # Jobs of other tests may be told of meanwhile.
    assert {told.id for told, _ in api.records.exports} <= before


@pytest.mark.parametrize("role", ["auditor", "own_events", "erasure_officer"])
def test_a_role_without_the_right_is_refused_everywhere(api: Api, administrator: str, role: str) -> None:
    job = made(api, administrator, columns=["actor_id"])
    secret = api.secret(role, Scope(("acme",), actor_id="u-1"))
    answers = [api.post(PATH, secret, {}), api.get(PATH, secret), api.ask("DELETE", f"{PATH}/{job['id']}", secret)]
    answers += [api.get(job["links"][name], secret) for name in ("self", "file", "manifest")]
    answers.append(api.ask("POST", job["links"]["again"], secret))
    assert {(answer.status_code, answer.json()["right"]) for answer in answers} == {(403, "export")}
    # Exports of other tests may be recorded meanwhile.
    assert [r.code for r in api.records.reads if r.code != "access.export"][-1] == "access.denied"


def test_an_export_is_confined_and_masked_as_the_screen_of_its_token(api: Api) -> None:
    secret = api.secret("exporter", Scope(("acme",)))
    job = made(api, secret, format="ndjson", kind="full", columns=["tenant_id", "actor_name", "ip", "title"])
    rows = FORMATS["ndjson"](api.get(job["links"]["file"], secret).content)
    assert {row["tenant_id"] for row in rows} == {"acme"}
    assert {(row["actor_name"], row["ip"]) for row in rows} == {("[masked]", "[masked]")}
    assert not any("Ann" in row["title"] for row in rows)
    refused = api.post(PATH, secret, {"query": "actor:Ann"})
    assert (refused.status_code, refused.json()["right"]) == (403, "personal")
    refused = api.post(PATH, secret, {"sort": "user"})
    assert (refused.status_code, refused.json()["right"]) == (403, "personal")


def test_the_events_of_an_export_belong_to_a_tenant_of_its_token_whatever_it_asks_for(api: Api) -> None:
    secret = api.secret("exporter", Scope(("acme",)))
    job = made(api, secret, query="tenant:globex")
    assert job["rows"] == 0
    assert {told.request.tenant for told, _ in api.records.exports if told.id == job["id"]} == {"acme"}


def test_who_sees_which_export(api: Api, administrator: str) -> None:
    exporter, other = api.secret("exporter", Scope(("acme",))), api.secret("exporter", Scope(("acme",)))
    of_acme, of_globex = (api.secret("administrator", Scope((tenant,))) for tenant in ("acme", "globex"))
    job, everything = made(api, exporter), made(api, administrator)

    def sees(secret: str, found: dict[str, Any]) -> bool:
        listed = found["id"] in {one["id"] for one in api.get(PATH, secret, limit=1000).json()["data"]}
        statuses = {api.get(found["links"][name], secret).status_code for name in ("self", "file", "manifest")}
        assert statuses == ({200} if listed else {404})
        return listed

    assert [sees(s, job) for s in (exporter, other, of_acme, of_globex, administrator)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    # What was read under more rights than one has oneself is not handed out.
    assert [sees(s, everything) for s in (exporter, of_acme, of_globex, administrator)] == [False, False, False, True]
    assert api.ask("DELETE", job["links"]["self"], other).status_code == 404
    assert api.ask("POST", job["links"]["again"], of_globex).status_code == 404
    again = finished(api, of_acme, api.ask("POST", job["links"]["again"], of_acme).json())
    assert again["rows"] == job["rows"]


def test_the_history_is_paged_and_filtered_by_state(api: Api) -> None:
    secret = api.secret("exporter", Scope(("acme",)))
    ids = [made(api, secret, columns=["actor_id"])["id"] for _ in range(3)][::-1]
    api.ask("DELETE", f"{PATH}/{ids[0]}", secret)
    first = api.get(PATH, secret, limit=2).json()
    second = api.ask("GET", first["links"]["next"], secret).json()
    assert [job["id"] for page in (first, second) for job in page["data"]] == ids
    assert second["next_cursor"] is None
    assert [job["id"] for job in api.get(PATH, secret, state="expired").json()["data"]] == ids[:1]
    assert api.get(PATH, secret, cursor="x").status_code == 400
    assert api.get(PATH, secret, state="done").status_code == 400


def test_every_answer_has_the_form_that_the_document_gives_it(api: Api, administrator: str) -> None:
    document = api.ask("GET", "/api/openapi.json").json()
    job = made(api, administrator)

    def check(path: str, method: str, answer: Any) -> None:
        operation = document["paths"][path][method]
        described = operation["responses"][str(answer.status_code)]["content"][answer.headers["content-type"]]
        schema = {**described["schema"], "components": document["components"]}
        if "json" in answer.headers["content-type"]:
            jsonschema_rs.validator_for(schema).validate(answer.json())

    one = f"{PATH}/{{job_id}}"
    check(PATH, "get", api.get(PATH, administrator))
    check(PATH, "post", api.post(PATH, administrator, {}))
    check(one, "get", api.get(job["links"]["self"], administrator))
    check(f"{one}/file", "get", api.get(job["links"]["file"], administrator))
    check(f"{one}/manifest", "get", api.get(job["links"]["manifest"], administrator))
    check(f"{one}/again", "post", api.ask("POST", job["links"]["again"], administrator))
    check(one, "delete", api.ask("DELETE", job["links"]["self"], administrator))
    check(f"{one}/file", "get", api.get(job["links"]["file"], administrator))


class HeldReader:
    """Holds every export back until it is let go."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free, self.begun = threading.Event(), threading.Event()
        assert api.service.exports is not None
        monkeypatch.setattr(api.service.exports, "_lent", self._lent)
        self._real = api.service._readers.lent

    def _lent(self, token: Any) -> Any:
        self.begun.set()
        assert self.free.wait(_WAIT_S)
        return self._real(token)


@pytest.fixture
def held(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldReader]:
    reader = HeldReader(api, monkeypatch)
    yield reader
    reader.free.set()


def test_an_export_that_is_being_made_tells_its_progress_and_can_be_cancelled(
    api: Api, administrator: str, held: HeldReader
) -> None:
    job = api.post(PATH, administrator, {"query": "tenant:acme", "kind": "full"}).json()
    assert held.begun.wait(_WAIT_S)
    seen = api.get(job["links"]["self"], administrator).json()
    assert (seen["state"], seen["progress"]) == ("pending", {"rows": 0, "total": 6, "waiting": False})
    assert [api.get(f"{PATH}/{job['id']}/{name}", administrator).status_code for name in ("file", "manifest")] == [
        409,
        409,
    ]
    cancelled = api.ask("DELETE", job["links"]["self"], administrator).json()
    assert (cancelled["state"], cancelled["cancelled"]) == ("error", True)
    assert cancelled["problem"].startswith("cancelled by")
    held.free.set()
    _until(lambda: not api.service.exports._runner._tasks)  # type: ignore[union-attr]
    assert api.get(job["links"]["self"], administrator).json()["state"] == "error"
    assert [e.what for told, e in api.records.exports if told.id == job["id"]] == ["request", "error"]


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_more_exports_than_may_wait_are_refused_for_now(api: Api, tmp_path: Path) -> None:
    few = ExportSettings(storage=str(tmp_path), at_once=1, waiting=1, heartbeat_s=0.1)
    with open_api(api.log, exports=few) as opened, pytest.MonkeyPatch.context() as patch:
        held, secret = HeldReader(opened, patch), opened.secret("administrator")
        jobs = [opened.post(PATH, secret, {}).json() for _ in range(2)]
        assert held.begun.wait(_WAIT_S)
        assert opened.get(jobs[1]["links"]["self"], secret).json()["progress"]["waiting"]
        refused = opened.post(PATH, secret, {})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        held.free.set()
        assert {finished(opened, secret, job)["state"] for job in jobs} == {"ready"}


def test_a_server_that_stops_fails_what_it_has_not_finished_and_says_so(api: Api, tmp_path: Path) -> None:
    kept = ExportSettings(storage=str(tmp_path), at_once=1, heartbeat_s=0.1)
    with open_api(api.log, exports=kept) as opened, pytest.MonkeyPatch.context() as patch:
        held, secret = HeldReader(opened, patch), opened.secret("administrator")
        for _ in range(2):
            opened.post(PATH, secret, {})
        assert held.begun.wait(_WAIT_S)
        threading.Timer(0.2, held.free.set).start()
        assert opened.service.exports is not None
        opened.service.exports.close()
    stopped = ExportJobs(kept).jobs()
    assert [job.state for job in stopped] == ["error", "error"]
    assert {job.problem for job in stopped} == {"the server was stopped before it was finished; make it again"}
    assert ExportJobs(kept).keepers.beats() == {}


def test_an_export_whose_process_died_has_failed_and_says_so(
    api: Api, kept: ExportSettings, administrator: str
) -> None:
    job = made(api, administrator)
    jobs = ExportJobs(kept)
    lost = jobs.request(jobs.job(job["id"]).request)
    jobs.keepers.beat("gone", Beat(datetime.now(UTC) - timedelta(seconds=61), 60.0))
    jobs.take(lost.id, "gone")
    found = api.get(f"{PATH}/{lost.id}", administrator).json()
    assert (found["state"], found["problem"]) == (
        "error",
        "the process that made it ended before it was finished; make it again",
    )
    living = jobs.request(jobs.job(job["id"]).request)
    jobs.keepers.beat("far", Beat(datetime.now(UTC), 60.0))
    jobs.take(living.id, "far")
    assert api.get(f"{PATH}/{living.id}", administrator).json()["state"] == "pending"
    assert api.ask("DELETE", f"{PATH}/{living.id}", administrator).json()["cancelled"]


def test_a_storage_that_is_away_is_told_as_such_and_reading_goes_on(api: Api, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a directory should be")
    with open_api(api.log, exports=ExportSettings(storage=str(tmp_path / "file" / "ex"))) as opened:
        secret = opened.secret("administrator")
        answer = opened.post(PATH, secret, {})
        assert (answer.status_code, "exports" in answer.json()["detail"]) == (503, True)
        assert str(tmp_path) not in answer.text
        assert opened.get("/api/v1/events", secret).status_code == 200
