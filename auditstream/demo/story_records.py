"""The part of the demo's story that is not done by a click: API calls, tasks, exports and webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256

from auditstream.demo.people import ANN, PROJECT, SHOP, TENANT, Person
from producers import ApiCall, AuditEvent, Export, Target, Task, Webhook

#: The sendout that failed for good.
FAILED_SENDOUT = "wh-1007"
_HOOK_URL = "https://hooks.acme.example/orders"


def records(now: datetime) -> Iterator[AuditEvent]:
    """Return the events.

    Args:
        now: The present, with its offset.
    """
    yield from _calls(now)
    yield from _tasks(now)
    yield from _exports(now)
    yield from _webhooks(now)


def _event(at: datetime, code: str, who: Person, outcome: str = "success") -> AuditEvent:
    return AuditEvent(
        event_code=code,
        tenant_id=TENANT,
        project_id=PROJECT,
        occurred_at=at,
        actor=who.actor,
        origin=who.from_(),
        outcome=outcome,
    )


def _calls(now: datetime) -> Iterator[AuditEvent]:
    for number, (hours, status) in enumerate(((30, 201), (20, 201), (9, 429), (8, 201), (2, 500), (1, 201))):
        failed = status >= 400
        event = _event(
            now - timedelta(hours=hours, seconds=number), "api.call", SHOP, "failure" if failed else "success"
        )
        event.source_service, event.request_id, event.duration_ms = (
            "api-gateway",
            f"req-shop-{number}",
            40 + 17 * number,
        )
        event.outcome_code = str(status) if failed else None
        event.api = ApiCall(
            method="POST",
            route="/v1/redemptions",
            version="v1",
            operation="redeem voucher",
            query_params="dry_run=false",
            request_body={
                "code": f"SUMMER-{number:04d}",
                "customer": {"id": f"cust-{number}"},
                "api_key": "sk_live_4242",
            },
            response_body={"result": "FAILURE", "status": status} if failed else {"result": "SUCCESS"},
            status_code=status,
            capture_level="request_response",
            customer_id=f"cust-{number}",
            campaign_id="c-42",
            incentive_id=f"SUMMER-{number:04d}",
        )
        yield event


def _tasks(now: datetime) -> Iterator[AuditEvent]:
    yield from _task(now - timedelta(hours=26), "t-501", ("enqueued", "in_progress", "done"))
    yield from _task(now - timedelta(hours=5), "t-502", ("enqueued", "in_progress", "failed"))
    yield from _task(now - timedelta(minutes=4), "t-503", ("enqueued", "in_progress"))


def _task(began: datetime, task_id: str, statuses: tuple[str, ...]) -> Iterator[AuditEvent]:
    total, ended = 4800, statuses[-1] in ("done", "failed")
    for seq, status in enumerate(statuses, 1):
        at = began + timedelta(seconds=40 * (seq - 1))
        last = ended and seq == len(statuses)
        done = {"enqueued": 0, "in_progress": 3072, "done": total, "failed": 3072}[status]
        outcome = {"done": "success", "failed": "failure"}.get(status, "pending")
        event = _event(at, "task.customers.csv_import", ANN, outcome)
        event.source_service = "import-service"
        event.task = Task(
            task_id=task_id,
            type="customers.csv_import",
            status=status,
            state_seq=seq,
            progress_pct=100 * done / total,
            done_items=done,
            total_items=total,
            started_at=began,
            updated_at=at,
            finished_at=at if last else None,
            processing_ms=80_000 if last else None,
            result=f"{total} customers" if status == "done" else None,
            error="row 3073: the e-mail address has no domain" if status == "failed" else None,
        )
        yield event


def _exports(now: datetime) -> Iterator[AuditEvent]:
    orders = {"created_after": "2026-01-01", "status": "paid"}
    redeemed = {"campaign_id": "c-42", "result": "SUCCESS"}
    yield from _export(now - timedelta(days=6), "exp-301", SHOP, "orders", filters=orders, rows=48_210)
    yield from _export(now - timedelta(days=4), "exp-302", SHOP, "redemptions", filters=redeemed, rows=2_917)
    yield from _export(now - timedelta(days=3), "exp-303", ANN, "customers", filters={"segment": "s-7"}, rows=18_204)
    yield from _export(
        now - timedelta(hours=28), "exp-304", SHOP, "vouchers", filters={"category": "summer"}, rows=None
    )


def _export(
    at: datetime, export_id: str, who: Person, kind: str, *, filters: Mapping[str, str], rows: int | None
) -> Iterator[AuditEvent]:
    asked = _event(at, "export.request", who, "pending")
    asked.export = _asked(export_id, who, kind, filters)
    ended = _event(at + timedelta(seconds=21), "export.ready", who)
    ended.export = _asked(export_id, who, kind, filters)
    ended.export.state_seq = 2
    if rows is None:
        ended.event_code, ended.outcome, ended.outcome_reason = "export.error", "failure", "the time limit was reached"
        ended.export.state = "error"
    else:
        ended.export.state, ended.export.row_count, ended.export.bytes = "ready", rows, rows * 73
        ended.export.sha256, ended.export.expires_at = sha256(export_id.encode()).hexdigest(), at + timedelta(days=1)
    for event in (asked, ended):
        event.source_service, event.target = "export-service", Target(type="export", id=export_id)
        yield event


def _asked(export_id: str, who: Person, kind: str, filters: Mapping[str, str]) -> Export:
    return Export(
        export_id=export_id,
        kind=kind,
        origin=who.origin,
        filters=filters,
        params={"fields": ["id", "created_at", "status"], "order": "-created_at"},
        format="csv",
        state="pending",
        state_seq=1,
        row_limit=100_000,
    )


def _webhooks(now: datetime) -> Iterator[AuditEvent]:
    for number in range(1004, 1010):
        at = now - timedelta(hours=1 + 3 * (1009 - number))
        sendout = f"wh-{number}"
        if sendout != FAILED_SENDOUT:
            yield _sendout(sendout, at, 1, "sent")
            continue
        for attempt, status in enumerate(("retry", "retry", "error"), 1):
            yield _sendout(sendout, at + timedelta(minutes=5 * attempt), attempt, status)


def _sendout(sendout: str, at: datetime, attempt: int, status: str) -> AuditEvent:
    outcome = {"sent": "success", "retry": "pending", "error": "failure"}[status]
    event = _event(at, f"webhook.{status}", SHOP, outcome)
    sent = status == "sent"
    event.source_service, event.request_id = "webhook-service", f"req-{sendout}"
    event.details = {"payload": {"order": f"o-{sendout[3:]}", "total": "59.90"}}
    event.hook = Webhook(
        sendout_id=sendout,
        event_type="order.paid",
        source_id=f"o-{sendout[3:]}",
        url=_HOOK_URL,
        status=status,
        attempt=attempt,
        max_attempts=3,
        next_retry_at=at + timedelta(minutes=5) if status == "retry" else None,
        http_status=200 if sent else 503,
        error=None if sent else "503 Service Unavailable",
        event_created_at=at - timedelta(minutes=5 * (attempt - 1), seconds=2),
        sent_at=at,
    )
    return event
