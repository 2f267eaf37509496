"""Whether the process is alive and ready, for load balancers: no token, no details, no load on the readers."""

from __future__ import annotations

from pathlib import Path

import httpx

from api_log import Api, Records, open_api
from infrastructure.clickhouse import fresh_database
from infrastructure.ports import wait_until
from query import open_reader
from query.access import TokenStore, TokenVerifier
from query.http import Readers, ReadService, build_app
from query.settings import HttpSettings
from query_log import open_log
from schemas.catalogue import Catalogue
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings


def test_it_is_ready_while_the_database_answers_and_reads_can_be_recorded(chdb_path: Path) -> None:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as log, open_api(log) as api:
        api.app = build_app(api.service, "0.0.0", facts={"page_session_key": "random"})

        def asked() -> httpx.Response:
            return api.ask("GET", "/health/ready")

        # On a busy machine the database may answer too late for the first look.
        wait_until(lambda: asked().status_code == 200, timeout_s=60.0, what="readiness", every_s=1.1)
        ready = asked()
        wanted = {"status": "ready", "checks": {"database": "ok", "records": "ok"}, "page_session_key": "random"}
        assert ready.json() == wanted
        api.records.in_the_way = "the spool in /secret/place is full"
        # An answer is given again for a second, whoever asks.
        assert api.ask("GET", "/health/ready").status_code == 200
        api.app = build_app(api.service, "0.0.0")
        full = api.ask("GET", "/health/ready")
        assert (full.status_code, full.headers["retry-after"]) == (503, "5")
        assert full.json() == {"status": "not ready", "checks": {"database": "ok", "records": "failed"}}
        assert api.ask("GET", "/health/live").json() == {"status": "live"}
        assert api.ask("HEAD", "/health/ready").status_code == 503
        assert api.ask("POST", "/health/ready").status_code == 405
        assert api.records.reads == []


def test_without_tables_it_is_alive_and_not_ready(chdb_settings: ClickHouseSettings) -> None:
    connections = Connections(chdb_settings)
    verifier = TokenVerifier(TokenStore(connections), cache_s=0.0, last_use_s=60.0)
    readers = Readers(lambda: open_reader(chdb_settings))
    service = ReadService(readers, verifier, Catalogue.load(), HttpSettings(), Records())
    api = Api(None, build_app(service, "0.0.0"), service, TokenStore(connections), Records())  # type: ignore[arg-type]
    assert api.ask("GET", "/health/ready").json()["checks"] == {"database": "failed", "records": "ok"}
    assert api.ask("GET", "/health/live").status_code == 200
    connections.close()
