"""A log as customers have it, for tests of the page: a day of work of three people, two services and one intruder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from query.period import micros
from query_log import Log, address
from sinks.connection import Connections

#: Texts that must be shown as texts wherever they stand.
XSS = "<script>document.title='hit'</script><img src=x onerror=\"document.title='hit'\">'\"&{{7*7}}"
RIGHT_TO_LEFT = "\u202eexe.tnemucod\u202c שלום"
CONTROL = "line\x1b[31m\x07 end\u200b"

EVENTS = 130
ACTIVATE_ID = str(UUID(int=0xA0001))
XSS_ID = str(UUID(int=0xA0002))
TWICE_ID = str(UUID(int=0xA0003))
_ANN: dict[str, Any] = {
    "actor_id": "u-ann",
    "actor_type": "user",
    "actor_name": "Ann Archer",
    "actor_login": "ann@acme.example",
    "actor_email": "ann@acme.example",
    "actor_department": "Marketing",
    "ip": address("203.0.113.7"),
    "ip_kind": "public",
    "geo_country": "DE",
    "geo_city": "Berlin",
    "origin": "dashboard",
    "platform": "web",
}
_BO: dict[str, Any] = {
    **_ANN,
    "actor_id": "u-bo",
    "actor_name": "Bo Berg",
    "actor_login": "bo@acme.example",
    "actor_email": "bo@acme.example",
    "actor_department": "Sales",
    "ip": address("198.51.100.23"),
    "geo_country": "SE",
    "geo_city": "Lund",
    "platform": "ios",
}
_KEY: dict[str, Any] = {
    "actor_id": "key-7",
    "actor_type": "api_token",
    "actor_name": "shop sync",
    "ip": address("2001:db8::17"),
    "ip_kind": "public",
    "geo_country": "US",
    "origin": "api",
    "origin_name": "Shop",
}
_ACME: dict[str, Any] = {"tenant_id": "acme", "project_id": "p-1", "project_slug": "winter-shop"}


def now() -> datetime:
    """Return the present, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def before(minutes: float) -> int:
    """Return a moment before the present as a sink batch holds it."""
    return micros(now() - timedelta(minutes=minutes))


def action(code: str, kind: str = "action", **values: Any) -> dict[str, Any]:
    """Return an event of one tenant."""
    category = values.pop("category", code.rpartition(".")[2].split("_")[0])
    return {
        **_ACME,
        "event_code": code,
        "record_kind": kind,
        "event_category": category,
        "outcome": "success",
        **values,
    }


def changed(*fields: tuple[str, str | None, str | None]) -> dict[str, Any]:
    """Return the columns of changed fields, given as name, before, after."""
    names, olds, news = zip(*fields, strict=True)
    masks = [False] * len(fields)
    return {"changes.field": names, "changes.before": olds, "changes.after": news, "changes.masked": masks}


def campaigns() -> Iterator[dict[str, Any]]:
    """Yield what people did to campaigns, segments and users."""
    target: dict[str, Any] = {"target_type": "campaign", "target_id": "c-7", "target_name": "Winter sale"}
    yield action(
        "campaign.activate",
        **_ANN,
        **target,
        event_id=UUID(ACTIVATE_ID).bytes,
        occurred_at=before(30),
        request_id="req-1",
        session_id="ses-ann",
        correlation_id="cor-1",
        status_before="draft",
        status_after="active",
        duration_ms=87,
        **changed(("status", "draft", "active"), ("budget", None, "1000")),
    )
    yield action("campaign.deactivate", **_BO, **target, occurred_at=before(29), request_id="req-2", outcome="denied")
    segment: dict[str, Any] = {"target_type": "segment", "target_id": "s-3", "target_name": "Buyers"}
    for n in range(20):
        yield action("segment.update", **_ANN, **segment, occurred_at=before(60 + n), session_id="ses-ann")
    member: dict[str, Any] = {"target_type": "member", "target_id": "m-9", "target_name": "Cy", "product": "contacts"}
    yield action("contacts.member.disable", **_BO, **member, occurred_at=before(300))
    yield sent_twice()


def sent_twice() -> dict[str, Any]:
    """Return the event that its service sends twice."""
    key: dict[str, Any] = {"target_type": "api_key", "target_id": "k-1", "product": "open_platform"}
    when: dict[str, Any] = {"occurred_at": before(301), "event_id": UUID(TWICE_ID).bytes}
    return action("open_platform.key.enable", **_BO, **key, **when)


def sign_ins() -> Iterator[dict[str, Any]]:
    """Yield sign-ins, with three failed ones of Ann."""
    for n in range(3):
        failed: dict[str, Any] = {
            "outcome": "failure",
            "auth_attempted_login": "ann@acme.example",
            "outcome_reason": "wrong password",
        }
        yield action("auth.login_failed", "auth", **_ANN, **failed, event_category="auth", occurred_at=before(125 - n))
    yield action("auth.login", "auth", **_ANN, event_category="auth", occurred_at=before(120), session_id="ses-ann")
    yield action("auth.logout", "auth", **_BO, event_category="auth", occurred_at=before(10))


def calls() -> Iterator[dict[str, Any]]:
    """Yield calls of an interface, some of which failed."""
    for n in range(30):
        failed = n % 6 == 0
        api = {
            "api_method": "POST",
            "api_route": "/v1/vouchers/{code}/redemption",
            "api_status_code": 500 if failed else 200,
        }
        result = {"outcome": "failure" if failed else "success", "severity": "ERROR" if failed else "INFO"}
        yield {
            **action(
                "api.call", "api_call", **_KEY, event_category="other", occurred_at=before(200 + n), duration_ms=12 + n
            ),
            **api,
            **result,
            "request_id": f"api-{n}",
            "api_customer_id": "cust-1",
            "api_campaign_id": "c-7",
        }


def states() -> Iterator[dict[str, Any]]:
    """Yield tasks, exports, webhooks and entries of runs."""
    task: dict[str, Any] = {"task_id": "t-1", "task_type": "vouchers.import", "task_total_items": 100}
    for sequence, (status, done) in enumerate((("enqueued", 0), ("in_progress", 40)), 1):
        state: dict[str, Any] = {
            "task_status": status,
            "task_state_seq": sequence,
            "task_done_items": done,
            "task_progress_pct": float(done),
        }
        yield action("task.vouchers.import", "task", **_ANN, **task, **state, occurred_at=before(50 - sequence))
    export: dict[str, Any] = {
        "export_id": "x-1",
        "export_state": "ready",
        "export_state_seq": 1,
        "export_format": "csv",
    }
    yield action("export.ready", "export", **_ANN, **export, export_filters="status=active", occurred_at=before(40))
    hook: dict[str, Any] = {
        "hook_sendout_id": "w-1",
        "hook_event_type": "voucher.redeemed",
        "hook_url": "https://shop.example/hook",
    }
    given_up: dict[str, Any] = {
        "hook_status": "error",
        "hook_attempt": 3,
        "hook_http_status": 503,
        "hook_error": "timed out",
    }
    yield action("webhook.error", "webhook", **_KEY, **hook, **given_up, outcome="failure", occurred_at=before(35))
    run: dict[str, Any] = {"run_object_type": "campaign", "run_object_id": "c-7", "run_id": "r-1"}
    for n, phase in enumerate(("start", "progress", "end")):
        yield action("run.entry", "run_log", **run, run_state=phase, message=f"step {n}", occurred_at=before(31.5 - n))


def hostile() -> dict[str, Any]:
    """Return an event every text of which tries to be something else."""
    texts = ("target_name", "actor_name", "message", "outcome_reason", "actor_login", "actor_email", "actor_department")
    more = ("origin_name", "platform", "user_agent", "outcome_code", "geo_city", "resource_query", "parent_id")
    return action(
        "user.update",
        **dict.fromkeys((*texts, *more), XSS),
        event_id=UUID(XSS_ID).bytes,
        occurred_at=before(5),
        actor_id=f"u-{XSS}",
        actor_type="user",
        target_type=f"{CONTROL}{XSS}",
        target_id=RIGHT_TO_LEFT,
        project_slug=XSS,
        request_id=XSS,
        session_id=XSS,
        details=[("note", XSS), (XSS, RIGHT_TO_LEFT)],
        labels=[(XSS, CONTROL)],
        **changed((XSS, CONTROL, XSS), (RIGHT_TO_LEFT, None, RIGHT_TO_LEFT)),
    )


def everything() -> list[dict[str, Any]]:
    """Return all events of the log, EVENTS of them."""
    found = [*campaigns(), *sign_ins(), *calls(), *states(), hostile()]
    other = {"tenant_id": "globex", "event_code": "report.read", "record_kind": "action", "outcome": "success"}
    rest = EVENTS - len(found)
    return [*found, *({**other, **_BO, "actor_id": "u-other", "occurred_at": before(400 + 5 * n)} for n in range(rest))]


def fill(log: Log) -> None:
    """Store everything: the events, bodies of calls, a dead letter, and the cards of two people."""
    events = everything()
    bodies = [n for n, event in enumerate(events) if event["record_kind"] == "api_call"]
    log.store(events, payloads=bodies)
    log.store([{}, {}], partition=1, dead=[0, 1])
    log.store([event for event in events if event.get("event_id") == UUID(TWICE_ID).bytes], partition=2)
    cards = (
        ("u-ann", "Ann Archer", "ann@acme.example", "Marketing", "active"),
        ("u-bo", "Bo Berg", "bo@acme.example", "Sales", "deactivated"),
    )
    values = ", ".join(f"('acme', '{i}', '{n}', '{e}', '{d}', '{s}', 1)" for i, n, e, d, s in cards)
    connections = Connections(log.settings)
    connections.command(
        f"INSERT INTO {log.settings.database}.actors (tenant_id, actor_id, name, email, department, status, kafka_offset) "
        f"VALUES {values}"
    )
    connections.close()
