"""What happened at the demo's company in the last weeks, so that questions about it have an answer.

Times are relative to the start of the demo, but for the campaign that was stopped in the middle of last month.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from auditstream.demo.people import ANN, BEN, GRACE, PROJECT, TENANT, Person
from auditstream.demo.story_records import records
from producers import AuditEvent, Auth, Change, Origin, Target, TargetRef

CAMPAIGN_ID, CAMPAIGN_NAME = "c-42", "Summer sale"
#: From where somebody guessed Ann's password.
STRANGE_IP = "198.51.100.77"
_STRANGE_AGENT = "python-requests/2.32.3"


def story(now: datetime) -> Iterator[AuditEvent]:
    """Return the events of the story, without those of runs.

    Args:
        now: The present, with its offset.
    """
    yield from _campaign(last_month(now))
    yield from _logins(now)
    yield from _administration(now)
    yield from records(now)


def last_month(now: datetime) -> datetime:
    """Return when the campaign was stopped: in the afternoon of the 15th of the month before."""
    return (now.replace(day=1) - timedelta(days=1)).replace(day=15, hour=16, minute=42, second=7, microsecond=318_000)


def _action(at: datetime, code: str, who: Person, target: Target, **more: Any) -> AuditEvent:  # noqa: ANN401 - fields
    return AuditEvent(
        event_code=code,
        tenant_id=TENANT,
        project_id=PROJECT,
        product="campaigns",
        occurred_at=at,
        actor=who.actor,
        origin=more.pop("origin", None) or who.from_(),
        target=target,
        outcome=more.pop("outcome", "success"),
        source_service="campaign-service",
        **more,
    )


def _campaign(stopped: datetime) -> Iterator[AuditEvent]:
    target = Target(type="campaign", id=CAMPAIGN_ID, name=CAMPAIGN_NAME)
    segment = Target(type="segment", id="s-7", name="Newsletter readers", parent_type="campaign", parent_id=CAMPAIGN_ID)
    began = stopped - timedelta(days=9, hours=7)
    yield _action(began, "campaign.create", ANN, target, status_after="draft")
    yield _action(began + timedelta(minutes=11), "campaign.bind_segment", ANN, segment)
    budget = [Change(field="budget", before=5000, after=8000), Change(field="discount_pct", before=10, after=15)]
    yield _action(began + timedelta(hours=2), "campaign.update", ANN, target, changes=budget)
    yield _action(
        began + timedelta(hours=3), "campaign.activate", ANN, target, status_before="draft", status_after="running"
    )
    denied = {"outcome": "denied", "outcome_code": "permission", "outcome_reason": "editors may not stop campaigns"}
    yield _action(stopped - timedelta(hours=3), "campaign.deactivate", ANN, target, **denied)
    yield _action(
        stopped,
        "campaign.deactivate",
        BEN,
        target,
        status_before="running",
        status_after="stopped",
        resource_snapshot={"budget": 8000, "spent": 3120.5, "recipients": 18204},
        changes=[Change(field="active", before=True, after=False)],
        details={"comment": "too expensive", "affected_mailings": 3},
        targets=[TargetRef(type="mailing", id="m-311", name="Summer sale, wave 2", role="affected")],
        duration_ms=184,
    )


def _login(at: datetime, who: Person, origin: Origin, **auth: Any) -> AuditEvent:  # noqa: ANN401 - fields of the block
    return AuditEvent(
        event_code="auth.login",
        tenant_id=TENANT,
        product="identity",
        occurred_at=at,
        actor=who.actor,
        origin=origin,
        outcome="success",
        source_service="identity-service",
        auth=Auth(event="login", method="password", **auth),
    )


def _failed(at: datetime, origin: Origin, reason: str) -> AuditEvent:
    event = _login(at, ANN, origin)
    event.event_code, event.outcome, event.outcome_reason = "auth.login_failed", "failure", reason
    event.severity = "WARNING"
    event.auth = Auth(event="login_failed", method="password", attempted_login=ANN.login)
    return event


def _logins(now: datetime) -> Iterator[AuditEvent]:
    night = now - timedelta(days=5, hours=6)
    strange = ANN.from_(STRANGE_IP, _STRANGE_AGENT)
    for seconds in (0, 4, 9):
        yield _failed(night + timedelta(seconds=seconds), strange, "wrong password")
    yield _failed(night + timedelta(seconds=31), strange, "locked after three attempts")
    yield _login(now - timedelta(days=5), ANN, ANN.from_(), mfa=True)
    yield _failed(now - timedelta(days=1, minutes=3), ANN.from_(), "wrong password")
    yield _login(now - timedelta(days=1, minutes=2), ANN, ANN.from_(), mfa=True)
    for days, who in ((6, BEN), (3, GRACE), (2, GRACE)):
        yield _login(now - timedelta(days=days, hours=2), who, who.from_(), mfa=who is GRACE, new_device=who is BEN)


def _administration(now: datetime) -> Iterator[AuditEvent]:
    ben = Target(type="member", id=BEN.id, name=BEN.name)
    yield _action(
        now - timedelta(days=2), "contacts.member.disable", GRACE, ben, status_before="active", status_after="disabled"
    )
    role = Target(type="access_role", id="role-manager", name="manager")
    rights = [Change(field="permissions", before=["campaign.*"], after=["campaign.read", "campaign.update"])]
    yield _action(now - timedelta(days=2, minutes=-9), "access_role.update", GRACE, role, changes=rights)
    customers = Target(type="customer", id="bulk-9", name="inactive customers")
    yield _action(
        now - timedelta(hours=30),
        "customer.delete",
        GRACE,
        customers,
        affected_count=312,
        resource_query="last_seen < 2023-01-01 AND consent = false",
        resource_ref="https://files.acme.example/filters/bulk-9.json",
    )
