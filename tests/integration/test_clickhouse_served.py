"""The engine served over HTTP: what an ordinary client relies on, its faults, its end and its return."""

from __future__ import annotations

import gzip
import json
import threading
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pyarrow as pa
import pytest

from infrastructure.clickhouse import ServedEngine, fresh_database
from sinks.clickhouse import UNKNOWN_LIMIT, ClickHouseSink
from sinks.connection import Connections
from sinks.errors import SinkStopped, SinkUnavailable
from sinks.manifest import NO_PREVIOUS
from sinks.migrate import Migrator
from sinks.sink import OffsetRange
from sinks.testing import batch

pytest_plugins = ["infrastructure.faults_fixtures"]


@pytest.fixture
def table(http: httpx.Client) -> str:
    name = f"t_{uuid4().hex}"
    sql = f"CREATE TABLE {name} (x UInt64) ENGINE = MergeTree ORDER BY x SETTINGS non_replicated_deduplication_window = 10"
    assert http.post("/", content=sql).status_code == 200
    return name


def count(http: httpx.Client, table: str) -> int:
    return int(http.post("/", content=f"SELECT count() FROM {table}").text)


def test_it_answers_a_ping(http: httpx.Client) -> None:
    assert http.get("/ping").text == "Ok.\n"


def test_an_error_carries_its_code_in_a_header_and_in_the_text(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT * FROM no_such_table")
    assert answer.status_code == 404
    assert answer.headers["X-ClickHouse-Exception-Code"] == "60"
    assert answer.text.startswith("Code: 60. DB::Exception")


def test_parameters_are_values_and_never_text_of_the_statement(http: httpx.Client) -> None:
    answer = http.post("/", params={"query": "SELECT {a:String}", "param_a": "'; DROP TABLE x"})
    assert answer.text == "\\'; DROP TABLE x\n"


def test_parameters_and_statement_may_come_as_a_form(http: httpx.Client) -> None:
    form = {"query": (None, "SELECT {n:UInt8} + 1"), "param_n": (None, "41")}
    assert http.post("/", files=form).text == "42\n"


def test_a_setting_holds_for_its_statement_only(http: httpx.Client) -> None:
    asked = "SELECT getSetting('max_threads')"
    with_setting = http.post("/", params={"max_threads": "1", "session_id": "s1"}, content=asked).text
    without = http.post("/", params={"session_id": "s1"}, content=asked).text
    assert with_setting == "1\n"
    assert without == http.post("/", content=asked).text


@pytest.mark.parametrize("encoding", ["identity", "gzip", "lz4", "zstd"])
def test_bodies_are_read_in_every_encoding(http: httpx.Client, table: str, encoding: str) -> None:
    body = b"1\n2\n3\n"
    if encoding == "gzip":
        body = gzip.compress(body)
    elif encoding != "identity":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, encoding) as stream:
            stream.write(body)
        body = sink.getvalue().to_pybytes()
    params = {"query": f"INSERT INTO {table} FORMAT TSV"}
    answer = http.post("/", params=params, content=body, headers={"Content-Encoding": encoding})
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "3"
    assert count(http, table) == 3


def test_a_body_that_is_not_what_its_header_says_is_refused(http: httpx.Client, table: str) -> None:
    params = {"query": f"INSERT INTO {table} FORMAT TSV"}
    answer = http.post("/", params=params, content=b"1\n", headers={"Content-Encoding": "gzip"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == "354"
    assert count(http, table) == 0


def test_a_token_deduplicates_over_http(http: httpx.Client, table: str) -> None:
    params = {"query": f"INSERT INTO {table} FORMAT TSV", "insert_deduplication_token": "a", "async_insert": "0"}
    for _ in range(2):
        assert http.post("/", params=params, content=b"1\n").status_code == 200
    assert count(http, table) == 1


def test_an_error_of_writing_is_not_hidden(http: httpx.Client, table: str) -> None:
    http.post("/", content=f"ALTER TABLE {table} ADD CONSTRAINT small CHECK x < 10").raise_for_status()
    answer = http.post("/", params={"query": f"INSERT INTO {table} FORMAT TSV"}, content=b"1\n99\n")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "469"
    assert count(http, table) == 0


def test_a_running_statement_is_seen_and_killed_by_its_query_id(http: httpx.Client) -> None:
    query_id, answers = f"mine:{uuid4()}", []
    slow = "SELECT sum(sleepEachRow(0.2)) FROM numbers(100) SETTINGS max_block_size = 1"

    def run() -> None:
        answers.append(httpx.post(str(http.base_url), params={"query_id": query_id}, content=slow, timeout=60))

    thread = threading.Thread(target=run)
    thread.start()
    seen = "SELECT count() FROM system.processes WHERE startsWith(query_id, 'mine:')"
    deadline = time.monotonic() + 20
    while http.post("/", content=seen).text != "1\n" and time.monotonic() < deadline:
        time.sleep(0.05)
    kill = {"query": "KILL QUERY WHERE query_id = {id:String} SYNC", "param_id": query_id}
    assert http.post("/", params=kill).text == f"finished\t{query_id}\n"
    thread.join(20)
    assert answers[0].headers["X-ClickHouse-Exception-Code"] == "394"
    assert http.post("/", content=seen).text == "0\n"


@pytest.mark.parametrize(("action", "stored"), [("drop_request", 0), ("drop_answer", 1)])
def test_an_insert_can_be_lost_before_it_runs_or_its_answer_after_it_ran(
    http: httpx.Client, table: str, action: str, stored: int
) -> None:
    http.post("/faults", json={"insert": 1, "action": action}).raise_for_status()
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/", params={"query": f"INSERT INTO {table} FORMAT TSV"}, content=b"1\n")
    assert count(http, table) == stored
    assert http.get("/faults").json()["pending"] == []


def test_a_fault_happens_to_the_insert_that_was_named_and_to_no_other(http: httpx.Client, table: str) -> None:
    http.post("/faults", json={"insert": 2, "action": "refuse", "code": 252}).raise_for_status()
    params = {"query": f"INSERT INTO {table} FORMAT TSV"}
    codes = [http.post("/", params=params, content=b"1\n").headers.get("X-ClickHouse-Exception-Code") for _ in "123"]
    assert codes == [None, "252", None]


def test_a_fault_that_does_not_exist_is_refused(http: httpx.Client) -> None:
    assert http.post("/faults", json={"insert": 1, "action": "explode"}).status_code == 400


def test_a_lost_answer_is_completed_exactly_once(faulty_engine: ServedEngine, http: httpx.Client) -> None:
    settings = fresh_database(faulty_engine.settings)
    connections = Connections(settings)
    Migrator(connections).migrate()
    sink = ClickHouseSink(settings)
    span = OffsetRange("audit.events", uuid4(), 0, 0, 9)
    one = batch(span, dead=[3])
    http.post("/faults", json={"insert": 2, "action": "drop_answer"}).raise_for_status()
    with pytest.raises(SinkUnavailable):
        sink.write(one, NO_PREVIOUS)
    sink.complete(one, NO_PREVIOUS)
    found = sink.stored(span)
    assert found.events == (0, 1, 2, 4, 5, 6, 7, 8, 9)
    assert found.dead_letters == (3,)
    sink.close()
    connections.close()


def test_a_code_without_a_verdict_is_tried_a_limited_number_of_times(
    faulty_engine: ServedEngine, http: httpx.Client
) -> None:
    settings = fresh_database(faulty_engine.settings)
    connections = Connections(settings)
    Migrator(connections).migrate()
    sink = ClickHouseSink(settings)
    one = batch(OffsetRange("audit.events", uuid4(), 0, 0, 1))
    for attempt in range(UNKNOWN_LIMIT):
        http.post("/faults", json={"insert": 1, "action": "refuse", "code": 31337}).raise_for_status()
        with pytest.raises(SinkUnavailable if attempt < UNKNOWN_LIMIT - 1 else SinkStopped):
            sink.complete(one, NO_PREVIOUS)
    assert sink.complete(one, NO_PREVIOUS).stored == 2
    sink.close()
    connections.close()


def test_an_insert_that_still_waits_is_ended_before_the_range_is_read_back(
    faulty_engine: ServedEngine, http: httpx.Client
) -> None:
    settings = fresh_database(faulty_engine.settings).model_copy(update={"insert_timeout_s": 1.0})
    connections = Connections(settings)
    Migrator(connections).migrate()
    impatient = ClickHouseSink(settings)
    patient = ClickHouseSink(settings.model_copy(update={"insert_timeout_s": 10.0}))
    span = OffsetRange("audit.events", uuid4(), 0, 0, 9)
    http.post("/faults", json={"insert": 1, "action": "delay_request", "seconds": 3.0}).raise_for_status()
    with pytest.raises(SinkUnavailable):
        impatient.write(batch(span), NO_PREVIOUS)
    patient.complete(batch(span), NO_PREVIOUS)
    assert patient.stored(span).events == tuple(range(10))
    impatient.close()
    patient.close()
    connections.close()


def test_it_returns_with_its_data_after_being_killed(tmp_path: Path) -> None:
    served = ServedEngine(tmp_path)
    served.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{served.settings.port}", timeout=30) as http:
            http.post("/", content="CREATE TABLE t (x UInt64) ENGINE = MergeTree ORDER BY x").raise_for_status()
            http.post("/", content="INSERT INTO t VALUES (7)").raise_for_status()
            assert http.get("/faults").status_code == 404
        served.kill()
        served.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{served.settings.port}", timeout=30) as http:
            assert http.post("/", content="SELECT x FROM t").text == "7\n"
        served.stop()
    finally:
        served.close()
    assert "never a production server" in next(tmp_path.glob("*.log")).read_text(encoding="utf-8")


def test_it_ends_in_order_while_clients_go_on_asking(tmp_path: Path) -> None:
    served = ServedEngine(tmp_path)
    served.start()
    url, refused = f"http://127.0.0.1:{served.settings.port}", threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=30) as client:
            while True:
                try:
                    client.post("/", content="SELECT sum(number) FROM numbers(2000000)").raise_for_status()
                except httpx.HTTPError:
                    refused.set()
                    return

    clients = [threading.Thread(target=ask) for _ in range(8)]
    for client in clients:
        client.start()
    try:
        time.sleep(0.5)
        served.stop()
        for client in clients:
            client.join(30)
        assert refused.is_set()
        assert not any(client.is_alive() for client in clients)
    finally:
        served.close()
