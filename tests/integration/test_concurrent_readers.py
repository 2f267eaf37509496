"""A hundred readers at once while a writer stores at full speed: no error, no wrong answer, and the writer goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_log import Api, open_api
from auditstream.http_server import serving
from infrastructure.clickhouse import fresh_database
from query.settings import HttpSettings
from query_log import Log, asked, at, open_log
from sinks.settings import ClickHouseSettings

READERS = 100
BATCH_ROWS, PAGE_ROWS, STEADY_ROWS = 200, 7, 20
#: Batches that the writer must have stored while it was read.
LEAST_BATCHES = 5
HTTP = HttpSettings(port=0, readers=8, timeout_s=120.0)


@dataclass(slots=True)
class Writer:
    """Stores batches of one tenant, one after the other, as fast as it can.

    ``begun`` and ``stored`` count its events: one is ahead of what a reader may see, the other behind.
    """

    log: Log
    begun: int = 0
    stored: int = 0
    batches: int = 0
    failure: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            while not self._stop.is_set():
                self._write()
        except BaseException as error:
            self.failure = error

    def _write(self) -> None:
        first = at("2026-06-01T00:00:00") + self.begun
        rows = [{"tenant_id": "growing", "occurred_at": first + n, "actor_id": "u-1"} for n in range(BATCH_ROWS)]
        self.begun += BATCH_ROWS
        self.log.store(rows)
        self.stored += BATCH_ROWS
        self.batches += 1

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run, name="writer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(60.0)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def api(chdb_path: Path) -> Iterator[Api]:
    settings = fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))
    with open_log(settings) as log, open_api(log, HTTP) as opened:
        start = at("2026-05-01T00:00:00.500001")
        # Every second one ties with its neighbour, so that pages have to break ties.
        log.store([{"tenant_id": "steady", "occurred_at": start + n // 2} for n in range(STEADY_ROWS)], partition=1)
        yield opened


async def get(client: httpx.AsyncClient, path: str, **parameters: Any) -> dict[str, Any]:
    answer = await client.get(path, params=parameters)
    assert answer.status_code == httpx.codes.OK, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def steady_reader(client: httpx.AsyncClient) -> None:
    """Rows that nobody adds to: each page walk finds all of them once, in order."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        parameters = {
            "tenant": "steady",
            "limit": PAGE_ROWS,
            "fields": "event_id,occurred_at",
            "total": "true",
            **cursor,
        }
        page = await get(client, "/events", **parameters)
        assert page["total"] == STEADY_ROWS
        found += page["data"]
        if not page["next_cursor"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len({row["event_id"] for row in found}) == len(found) == STEADY_ROWS
    assert [row["occurred_at"] for row in found] == sorted((row["occurred_at"] for row in found), reverse=True)


async def counting_reader(client: httpx.AsyncClient, writer: Writer) -> None:
    """Rows that are added: a count is never below what was stored before, nor above what was begun after."""
    least = writer.stored
    answer = await get(client, "/count", tenant="growing")
    counted = answer["events"]
    assert answer["is_exact"]
    assert least <= counted <= writer.begun
    assert counted % BATCH_ROWS == 0, "a batch is visible as a whole"


async def following_reader(client: httpx.AsyncClient, writer: Writer) -> None:
    """Arrivals: from the beginning on, without a gap and without a repetition, as far as had been stored."""
    wanted, seen = min(writer.stored, 2 * BATCH_ROWS), list[int]()
    parameters: dict[str, Any] = {"tenant": "growing", "wait_s": 5, "limit": BATCH_ROWS, "fields": "kafka_offset"}
    place = {"start": "oldest"}
    while len(seen) < wanted:
        answer = await get(client, "/tail", **parameters, **place)
        seen += [row["kafka_offset"] for row in answer["data"]]
        place = {"position": answer["position"]}
    assert seen == list(range(len(seen)))


async def reader(number: int, url: str, secret: str, writer: Writer) -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=180.0) as client:
        match number % 3:
            case 0:
                await counting_reader(client, writer)
            case 1:
                await following_reader(client, writer)
            case _:
                await steady_reader(client)
    return number


def test_a_hundred_readers_get_right_answers_while_a_writer_stores_at_full_speed(api: Api) -> None:
    secret, writer = api.secret(), Writer(api.log)

    async def all_of_them(url: str) -> list[int]:
        return await asyncio.gather(*(reader(number, url, secret, writer) for number in range(READERS)))

    with serving(api.app, api.service, HTTP) as url, writer.at_work():
        before = writer.batches
        finished = asyncio.run(all_of_them(url))
        written = writer.batches - before
    assert writer.failure is None
    assert finished == list(range(READERS))
    assert written >= LEAST_BATCHES
    assert api.log.reader.count(asked()) == writer.stored + STEADY_ROWS
