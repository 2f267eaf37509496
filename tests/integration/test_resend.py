"""Re-sending over the real engine and a real HTTP service: what is asked, how often, and when not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from infrastructure.clickhouse import fresh_database
from query.resend import (
    Ask,
    Asker,
    Endpoint,
    InDoubt,
    NoRoute,
    NotPossible,
    NotRecorded,
    Outcome,
    Resend,
    Resender,
    ResendLedger,
    Sendout,
    SendoutAmbiguous,
    SendoutUnknown,
    Underway,
    find_sendout,
)
from query.resend.ledger import Entry
from query.resend.request import resend_id
from query.resend_settings import RouteSettings
from query_log import Log, open_log
from resend_log import SECRET, EmittingService, Trail, attempt, emitting_service
from sinks.connection import Connections
from sinks.settings import ClickHouseSettings

ANN = Asker("user", "u-1", "Ann", "203.0.113.7", "api")


@dataclass(slots=True)
class Bench:
    """A log, the service behind one route, and what sends again."""

    log: Log
    service: EmittingService
    ledger: ResendLedger
    trail: Trail

    def resender(self, **route: Any) -> Resender:
        given = {"tenant": "acme", "url": self.service.url, "secret": SECRET, "first_pause_s": 0.01, **route}
        routes = {"shop": RouteSettings.model_validate(given)}
        return Resender(routes, {"shop": Endpoint("shop", routes["shop"])}, self.ledger, self.trail)

    def fails(self, status: str = "error", **more: Any) -> Sendout:
        """Store a new sendout whose third attempt ended in a state."""
        sendout_id = f"so-{uuid4().hex[:8]}"
        self.log.store([attempt(sendout_id, n, "retry", **more) for n in (1, 2)])
        self.log.store([attempt(sendout_id, 3, status, **more)])
        return find_sendout(self.log.reader, sendout_id)


@pytest.fixture(scope="module")
def log(chdb_path: Path) -> Iterator[Log]:
    with open_log(fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))) as opened:
        yield opened


@pytest.fixture
def bench(log: Log) -> Iterator[Bench]:
    connections = Connections(log.settings)
    with emitting_service() as service:
        yield Bench(log, service, ResendLedger(connections), Trail())
    connections.close()


def ask(key: str = "", *, force: bool = False, reason: str = " customer waits ") -> Ask:
    return Ask(ANN, reason, key or str(uuid4()), force, "req-now", "tok_aaaaaaaaaa")


def claim(sendout: Sendout, key: str, asked_at: datetime) -> Entry:
    """Return the claim of a process that has no outcome yet."""
    asked_at = asked_at.replace(microsecond=0)
    identity, outcome = resend_id(sendout, key), Outcome("claimed", "", attempts=0)
    by = Asker("user", "u-2", "Bob")
    resend = Resend(identity, sendout.tenant_id, sendout.sendout_id, key, asked_at, by, "why", False, "shop", outcome)
    return Entry(uuid4(), resend)


def test_the_service_gets_a_signed_call_that_says_what_to_send_again_who_asks_and_why(bench: Bench) -> None:
    sendout = bench.fails()
    done = bench.resender().resend(sendout, ask("k-1"))
    assert (done.outcome.state, done.outcome.http_status, done.outcome.attempts) == ("accepted", 202, 1)
    assert done.outcome.detail == "the service took the request: queued"
    (call,) = bench.service.calls
    assert call.is_signed()
    assert not call.is_signed("another secret that is long enough")
    assert call.headers["idempotency-key"] == call.content["resend_id"] == str(done.resend_id)
    asked_at = call.content.pop("asked_at")
    assert datetime.fromisoformat(asked_at) == done.asked_at
    assert call.content | {"asked_at": ""} == {
        "type": "webhook.resend",
        "version": 1,
        "resend_id": str(done.resend_id),
        "sendout_id": sendout.sendout_id,
        "tenant_id": "acme",
        "project_id": "",
        "source_service": "shop",
        "source_id": "order-7",
        "webhook_type": "order.paid",
        "request_id": "req-9",
        "event_id": sendout.event_id,
        "causation_id": "01983f2e-0000-7000-8000-000000000001",
        "status": "error",
        "attempt": 3,
        "asked_by": {"type": "user", "id": "u-1", "name": "Ann"},
        "asked_at": "",
        "reason": "customer waits",
        "forced": False,
    }
    assert bench.trail.steps() == ["requested", "accepted"]


def test_a_service_that_is_overloaded_is_asked_again_under_the_same_id_with_a_signature_of_its_own(
    bench: Bench,
) -> None:
    bench.service.answers(503, b"starting")
    bench.service.answers(429, Retry_After="1")
    done = bench.resender().resend(bench.fails(), ask())
    assert (done.outcome.state, done.outcome.attempts) == ("accepted", 3)
    assert len({call.headers["idempotency-key"] for call in bench.service.calls}) == 1
    moments = {call.headers["auditstream-signature"] for call in bench.service.calls}
    assert len(moments) >= 2  # a second lay before the last call
    assert all(call.is_signed() for call in bench.service.calls)


def test_a_refusal_is_final_and_told_in_the_words_of_the_service(bench: Bench) -> None:
    bench.service.answers(422, b"sendout is\n too\x00 old")
    done = bench.resender().resend(bench.fails(), ask())
    assert done.outcome == Outcome("refused", "the service refused with HTTP 422: sendout is too old", 422, 1)
    assert len(bench.service.calls) == 1
    assert bench.trail.steps() == ["requested", "refused"]


def test_a_redirect_leads_nowhere(bench: Bench) -> None:
    bench.service.answers(307, Location=f"http://127.0.0.1:{bench.service.port}/elsewhere")
    done = bench.resender().resend(bench.fails(), ask())
    assert done.outcome.state == "refused"
    assert "a redirect, which is not followed; correct resend.routes.shop.url" in done.outcome.detail
    assert [call.path for call in bench.service.calls] == ["/resend"]


def test_a_service_without_an_answer_leaves_the_outcome_open(bench: Bench) -> None:
    for _ in range(2):
        bench.service.answers(200, wait_s=0.4)
    done = bench.resender(timeout_s=0.1, attempts=2).resend(bench.fails(), ask())
    assert (done.outcome.state, done.outcome.http_status, done.outcome.attempts) == ("unanswered", None, 2)
    assert "no answer within 0.1 s" in done.outcome.detail
    assert bench.trail.steps() == ["requested", "unanswered"]


def test_all_calls_together_keep_to_one_deadline(bench: Bench) -> None:
    for _ in range(9):
        bench.service.answers(503, Retry_After="5")
    done = bench.resender(attempts=9, deadline_s=0.5).resend(bench.fails(), ask())
    assert (done.outcome.state, done.outcome.http_status, done.outcome.attempts) == ("unanswered", 503, 1)


def test_a_service_that_does_not_listen_is_told_apart_from_one_that_refuses(bench: Bench) -> None:
    done = bench.resender(url="http://127.0.0.1:9/resend", attempts=2).resend(bench.fails(), ask())
    assert done.outcome.state == "unanswered"
    assert "ConnectError" in done.outcome.detail


def test_a_long_answer_is_cut_off(bench: Bench) -> None:
    bench.service.answers(200, b"x" * 1_000_000)
    done = bench.resender().resend(bench.fails(), ask())
    assert len(done.outcome.detail) < 400


def test_one_key_asks_once_and_gets_the_outcome_of_then(bench: Bench) -> None:
    sendout, resender = bench.fails(), bench.resender()
    bench.service.answers(422, b"no")
    first = resender.resend(sendout, ask("k-2"))
    again = resender.resend(sendout, ask("k-2", reason="another reason", force=True))
    assert (first.repeated, again.repeated) == (False, True)
    assert again.outcome == first.outcome
    assert again.reason == "customer waits"
    assert len(bench.service.calls) == 1
    assert bench.trail.steps() == ["requested", "refused"]
    found = resender.found(sendout, "k-2")
    assert found is not None
    assert (found.resend_id, found.outcome, found.asked_at) == (first.resend_id, first.outcome, first.asked_at)
    assert resender.found(sendout, "k-never") is None


def test_one_key_from_many_at_once_asks_at_most_once(bench: Bench) -> None:
    sendout, barrier = bench.fails(), threading.Barrier(6)

    def attempted() -> str:
        barrier.wait(30)
        try:
            return bench.resender().resend(sendout, ask("k-3")).outcome.state
        except (Underway, InDoubt) as error:
            return type(error).__name__

    with ThreadPoolExecutor(6) as pool:
        results = [future.result() for future in [pool.submit(attempted) for _ in range(6)]]
    assert len(bench.service.calls) == ("accepted" in results)
    if not bench.service.calls:  # all of them stepped back; the key is free again
        assert bench.resender().resend(sendout, ask("k-3")).outcome.state == "accepted"


@pytest.mark.parametrize("status", ["sent", "retry"])
def test_what_has_not_failed_is_sent_again_by_force_only(bench: Bench, status: str) -> None:
    sendout, resender = bench.fails(status), bench.resender()
    with pytest.raises(NotPossible, match=f"is '{status}', not 'error'; force it"):
        resender.resend(sendout, ask())
    assert bench.service.calls == []
    assert resender.resend(sendout, ask(force=True)).forced
    assert bench.service.calls[0].content["forced"] is True


def test_what_was_taken_since_it_failed_is_not_asked_for_again_by_somebody_else(bench: Bench) -> None:
    sendout, resender = bench.fails(), bench.resender()
    resender.resend(sendout, ask())
    with pytest.raises(NotPossible, match=r"Ann asked for .* and the service took it"):
        resender.resend(sendout, ask())
    assert resender.resend(sendout, ask(force=True)).outcome.state == "accepted"
    bench.log.store([attempt(sendout.sendout_id, 4)])
    failed_again = find_sendout(bench.log.reader, sendout.sendout_id)
    assert failed_again.attempt == 4
    assert resender.resend(failed_again, ask()).outcome.state == "accepted"


def test_what_was_refused_may_be_asked_for_again_with_a_new_key(bench: Bench) -> None:
    sendout, resender = bench.fails(), bench.resender()
    bench.service.answers(422)
    assert resender.resend(sendout, ask()).outcome.state == "refused"
    assert resender.resend(sendout, ask()).outcome.state == "accepted"


def test_without_a_route_nothing_is_asked_and_the_setting_is_named(bench: Bench) -> None:
    elsewhere = bench.fails(tenant_id="globex", hook_url=bench.service.url)
    with pytest.raises(NoRoute, match=r"resend\.routes"):
        bench.resender().resend(elsewhere, ask())
    assert bench.service.calls == []


def test_only_the_url_of_the_settings_is_called_whatever_the_event_says(bench: Bench) -> None:
    with emitting_service() as victim:
        bench.resender().resend(bench.fails(hook_url=victim.url, hook_source_id=victim.url), ask())
        assert victim.calls == []
    assert len(bench.service.calls) == 1


def test_a_request_that_cannot_be_audited_asks_nothing_and_leaves_its_key_free(bench: Bench) -> None:
    sendout, resender = bench.fails(), bench.resender()
    bench.trail.full = True
    with pytest.raises(NotRecorded):
        resender.resend(sendout, ask("k-4"))
    assert bench.service.calls == []
    bench.trail.full = False
    assert resender.resend(sendout, ask("k-4")).outcome.state == "accepted"


def test_a_process_that_died_leaves_its_key_in_doubt_and_others_free_after_a_while(bench: Bench) -> None:
    sendout, resender = bench.fails(), bench.resender(deadline_s=1)
    bench.ledger.write(claim(sendout, "dead", datetime.now(UTC) - timedelta(seconds=40)))
    with pytest.raises(InDoubt, match="its process died"):
        resender.resend(sendout, ask("dead"))
    assert resender.resend(sendout, ask("alive")).outcome.state == "accepted"


def test_two_people_do_not_ask_for_the_same_sendout_at_the_same_moment(bench: Bench) -> None:
    sendout = bench.fails()
    bench.ledger.write(claim(sendout, "bobs", datetime.now(UTC)))
    with pytest.raises(Underway, match="Bob is asking"):
        bench.resender().resend(sendout, ask("anns", force=True))
    assert bench.service.calls == []


def test_a_sendout_is_found_by_its_latest_state_and_by_its_tenant(bench: Bench) -> None:
    sendout = bench.fails()
    assert (sendout.status, sendout.attempt, sendout.source) == ("error", 3, "shop")
    assert UUID(sendout.event_id)
    bench.log.store([attempt(sendout.sendout_id, 1, tenant_id="globex")])
    with pytest.raises(SendoutAmbiguous, match="acme, globex"):
        find_sendout(bench.log.reader, sendout.sendout_id)
    assert find_sendout(bench.log.reader, sendout.sendout_id, tenant="globex").attempt == 1
    with pytest.raises(SendoutUnknown):
        find_sendout(bench.log.reader, "never")
