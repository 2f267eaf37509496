"""What happens: one story per record kind, of one event or of a life cycle that shares an id.

A story yields sparse records of the AuditEvent schema, without event id and time; the generator stamps both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256

from producers.generator.world import Record, World

Story = Callable[[World], Iterator[Record]]

_METHODS = (
    ("GET", 200),
    ("GET", 200),
    ("POST", 201),
    ("PUT", 200),
    ("DELETE", 204),
    ("POST", 400),
    ("GET", 404),
    ("POST", 500),
)
_ROUTES = (
    "/v1/vouchers",
    "/v1/vouchers/{code}",
    "/v1/customers/{id}",
    "/v1/campaigns/{id}/vouchers",
    "/v1/redemptions",
)
_HOOK_EVENTS = ("voucher.redeemed", "customer.created", "campaign.updated")


def action(world: World) -> Iterator[Record]:
    """Someone changes something."""
    entry = world.pick(world.entries["action"])
    target = entry.object_type or "account"
    event = world.event("action", entry.code) | {
        "target_type": target,
        "target_id": f"{target}-{world.number(1, 5000)}",
        "target_name": world.pick(world.names),
        "product": entry.product,
        "severity": entry.severity,
    }
    if entry.category == "update":
        event["changes"] = [{"field": "name", "before": world.pick(world.names), "after": world.pick(world.names)}]
    if world.random.random() < 0.05:
        event |= {"outcome": "denied", "outcome_code": "permission", "outcome_reason": "role viewer may not do this"}
    yield event


def api_call(world: World) -> Iterator[Record]:
    """A service calls the API, with bodies."""
    method, status = world.pick(_METHODS)
    customer, body = f"cust_{world.number(1, 20000)}", ""
    if method in ("POST", "PUT"):
        body = f'{{"code":"{world.code("V")}","customer":{{"id":"{customer}"}},"amount":{world.number(100, 99999)}}}'
    answer = f'{{"object":"voucher","status":{status},"campaign":"{world.pick(world.names)}"}}' if status != 204 else ""
    yield world.event("api_call", "api.call") | {
        "outcome": "success" if status < 400 else "failure",
        "outcome_code": "" if status < 400 else str(status),
        "duration_ms": world.number(2, 900),
        "api": {
            "method": method,
            "route": world.pick(_ROUTES),
            "version": "v1",
            "operation": f"{method.lower()} voucher",
            "query_params": f"page={world.number(1, 40)}&limit=50",
            "request_body": body,
            "response_body": answer,
            "status_code": status,
            "request_bytes": len(body.encode()),
            "response_bytes": len(answer.encode()),
            "capture_level": "request_response",
            "customer_id": customer,
            "campaign_id": f"camp_{world.number(1, 300)}",
        },
    }


def auth(world: World) -> Iterator[Record]:
    """Someone logs in, after failures perhaps, and out again."""
    login = world.event("auth", "auth.login")
    method = world.pick(("password", "sso", "passkey", "token"))
    failure = {"event": "login_failed", "method": method, "attempted_login": f"{login['actor_id']}@example.com"}
    failed = {
        "event_code": "auth.login_failed",
        "outcome": "failure",
        "outcome_reason": "wrong password",
        "severity": "WARNING",
    }
    for _ in range(world.number(0, 2)):
        yield login | failed | {"auth": failure}
    yield login | {
        "auth": {"event": "login", "method": method, "mfa": world.random.random() < 0.5, "new_device": False}
    }
    yield login | {"event_code": "auth.logout", "auth": {"event": "logout", "logout_reason": "user"}}


def run_log(world: World) -> Iterator[Record]:
    """A campaign runs: start, steps, end with the total time spent."""
    run = {"run_id": world.code("run"), "object_type": "campaign", "object_id": f"campaign-{world.number(1, 5000)}"}
    event = world.event("run_log", "run.start") | {
        "actor_type": "system",
        "actor_id": "scheduler",
        "origin": "scheduler",
    }
    yield event | {"message": "Run started", "run": run | {"state": "start"}}
    for _ in range(world.number(1, 4)):
        count = world.number(1, 50000)
        step = {"value": str(count), "value_num": float(count), "value_unit": "profiles"}
        yield event | {
            "event_code": "run.entry",
            "message": "Profiles selected",
            "severity": "DEBUG",
            "run": run | step,
        }
    spent = world.number(1000, 900_000_000) / 1_000_000
    end = {"state": "end", "value": f"{spent:.6f}ms", "value_num": spent, "value_unit": "ms"}
    yield event | {"event_code": "run.end", "message": "Total time spent", "run": run | end}


def task(world: World) -> Iterator[Record]:
    """A background task goes from enqueued to done, failed or cancelled."""
    entry = world.pick(world.entries["task"])
    total = world.number(10, 10_000)
    kind = entry.code.removeprefix("task.")
    event = world.event("task", entry.code)
    base = {"task_id": world.code("task"), "type": kind, "total_items": total}
    yield event | {"outcome": "pending", "task": base | {"status": "enqueued", "state_seq": 1, "done_items": 0}}
    steps = world.number(1, 3)
    for step in range(1, steps + 1):
        done = total * step // (steps + 1)
        progress = {
            "status": "in_progress",
            "state_seq": 1 + step,
            "done_items": done,
            "progress_pct": 100 * done / total,
        }
        yield event | {"outcome": "pending", "task": base | progress}
    end = {"state_seq": steps + 2, "processing_ms": world.number(50, 60_000)}
    if world.random.random() < 0.1:
        yield event | {"outcome": "failure", "task": base | end | {"status": "failed", "error": "row 17: code exists"}}
    elif world.random.random() < 0.03:
        yield event | {"outcome": "unknown", "task": base | end | {"status": "cancelled"}}
    else:
        done_state = {"status": "done", "done_items": total, "progress_pct": 100.0, "result": f"{total} rows"}
        yield event | {"task": base | end | done_state}


def export(world: World) -> Iterator[Record]:
    """Someone asks for an export and, if it gets ready, fetches it."""
    event = world.event("export", "export.request")
    base: Record = {
        "export_id": world.code("exp"),
        "kind": "vouchers",
        "origin": "dashboard",
        "format": "csv",
        "params": "{}",
    }
    base["filters"] = f'{{"campaign":"camp_{world.number(1, 300)}"}}'
    yield event | {"outcome": "pending", "export": base | {"state": "pending", "state_seq": 1, "row_limit": 100_000}}
    if world.random.random() < 0.1:
        failed = {"event_code": "export.error", "outcome": "failure", "outcome_reason": "time limit"}
        yield event | failed | {"export": base | {"state": "error", "state_seq": 2}}
        return
    rows = world.number(1, 100_000)
    ready = base | {
        "state": "ready",
        "row_count": rows,
        "bytes": rows * 80,
        "sha256": sha256(str(base).encode()).hexdigest(),
    }
    yield event | {"event_code": "export.ready", "export": ready | {"state_seq": 2}}
    yield event | {"event_code": "export.download", "export": ready | {"state_seq": 3, "download_count": 1}}


def webhook(world: World) -> Iterator[Record]:
    """A webhook is sent, repeated on errors, and given up after three attempts."""
    event = world.event("webhook", "webhook.sent")
    base: Record = {
        "sendout_id": world.code("hook"),
        "event_type": world.pick(_HOOK_EVENTS),
        "source_id": world.code("V"),
    }
    base |= {"url": f"https://hooks.{event['tenant_id']}.example/in", "max_attempts": 3}
    for attempt in range(1, 4):
        if world.random.random() < 0.8:
            yield event | {"hook": base | {"status": "sent", "attempt": attempt, "http_status": 200}}
            return
        last = attempt == 3
        code, status = ("webhook.error", "error") if last else ("webhook.retry", "retry")
        failed = base | {"status": status, "attempt": attempt, "http_status": 503, "error": "503 Service Unavailable"}
        yield event | {"event_code": code, "outcome": "failure" if last else "pending", "hook": failed}


def access(world: World) -> Iterator[Record]:
    """Someone reads the audit log itself."""
    entry = world.pick(world.entries["access"])
    read = {
        "query_hash": f"{world.random.getrandbits(128):032x}",
        "filter_fields": ["actor_id", "occurred_at"],
        "window": "P7D",
        "rows_returned": world.number(0, 500),
        "purpose": "review",
    }
    yield world.event("access", entry.code) | {"severity": entry.severity, "access": read}


def system(world: World) -> Iterator[Record]:
    """The platform says something about itself."""
    entry = world.pick(world.entries["system"])
    about = {
        "actor_type": "system",
        "actor_id": "platform",
        "severity": entry.severity,
        "details": {"node": f"n{world.number(1, 9)}"},
    }
    yield world.event("system", entry.code) | about


#: Record kind -> its story and its share of the load, in events of one thousand or so.
KINDS: Mapping[str, tuple[Story, int]] = {
    "action": (action, 300),
    "api_call": (api_call, 350),
    "auth": (auth, 30),
    "run_log": (run_log, 20),
    "task": (task, 30),
    "export": (export, 10),
    "webhook": (webhook, 50),
    "access": (access, 20),
    "system": (system, 10),
}
