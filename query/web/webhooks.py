"""Webhook sendouts: their latest states, what one of them sent, its attempts, and sending it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from starlette.responses import Response

from query.access.rights import Right
from query.access.scoped_reader import ScopedReader
from query.events import Detail
from query.expression import Term, conjunction
from query.fields import Row
from query.http.problems import Problem
from query.http.resend import Resends, resend_problem
from query.question import Question
from query.resend import FAILED, Ask, Asker, Resend, ResendError, Sendout
from query.resend.request import MAX_REASON_CHARACTERS
from query.resend.sendout import FIELDS as SENDOUT_FIELDS
from query.web import bodies, links, states
from query.web.page import GET, POST, PageRoute
from query.web.record import record_context
from query.web.visit import Visit

FILTERS = {
    "sendout": "webhook",
    "status": "webhook_status",
    "type": "webhook_type",
    "request": "request",
    "source": "webhook_source",
    "created_since": "webhook_created_since",
    "created_until": "webhook_created_until",
    "sent_since": "webhook_sent_since",
    "sent_until": "webhook_sent_until",
    "tenant": "tenant",
}
_FIELDS = (
    *SENDOUT_FIELDS,
    "occurred_at",
    "title",
    "duration_ms",
    "hook_url",
    "hook_max_attempts",
    "hook_next_retry_at",
    "hook_http_status",
    "hook_error",
    "hook_event_created_at",
    "hook_sent_at",
    "hook_resend_of",
    "hook_resent_by",
    "hook_payload_ref",
)
_REQUEST_FIELDS = ("event_id", "occurred_at", "title", "outcome", "outcome_reason")
_MOST_SHOWN = 50
_GONE = "there is no such webhook sendout: never stored, past its retention, or out of your reach"


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that the log has about one sendout.

    Attributes:
        attempts: Its states, the first attempt first.
        detail: Its latest state with bodies and all fields.
        later: Latest states of the sendouts that repeat it.
        requests: Events of requests to send it again, the newest first.
        other_tenants: Further tenants that have a sendout of this id.
    """

    attempts: Sequence[Row]
    detail: Detail | None
    later: Sequence[Row]
    requests: Sequence[Row]
    other_tenants: Sequence[str]

    @property
    def latest(self) -> Row:
        """The latest state."""
        return self.attempts[-1]


@dataclass(frozen=True, slots=True)
class Form:
    """What the form to send again is filled in with.

    Attributes:
        key: Idempotency key: pressed twice, the button asks once.
        reason: What was typed.
        force: Whether the state was to be passed over.
        problem: Why nothing was asked, empty when nothing was tried.
    """

    key: str
    reason: str = ""
    force: bool = False
    problem: str = ""


async def webhooks(visit: Visit) -> Response:
    """Show the latest state of each sendout."""
    asked = states.asked(visit, FILTERS)
    cursor = visit.values.text("cursor")
    page = await visit.read(
        lambda reader: reader.latest_states("webhook", asked.question, limit=states.ROWS, cursor=cursor, fields=_FIELDS)
    )
    visit.record(asked.question, rows=len(page.rows))
    return visit.page("webhooks.html", page=page, asked=asked, statuses=states.statuses("hook_status"), path_of=path_of)


async def webhook(visit: Visit) -> Response:
    """Show one sendout, and the outcome of a request that was made just now."""
    known = await _known(visit)
    asked = await _asked_just_now(visit, known)
    return await _shown(visit, known, Form(str(uuid4())), asked)


async def resend(visit: Visit) -> Response:
    """Ask the service of a sendout to send it again."""
    fields = await visit.form()
    resends, form = visit.part(Resends), _filled_in(fields)
    sendout_id, tenant = visit.path["sendout_id"], str(fields.get("tenant", ""))
    try:
        by = Asker.of(visit.token, visit.caller.ip, "dashboard")
        ask = Ask(by, form.reason, form.key, form.force, visit.caller.request_id, visit.token.token_id)
        sendout = await resends.sendout(visit.token, visit.caller, sendout_id, tenant, visit.route.path)
        await resends.resend(sendout, ask)
    except ResendError as error:
        return await _not_asked(visit, tenant, form, resend_problem(error))
    return visit.redirect(path_of(sendout.sendout_id, sendout.tenant_id, asked=form.key))


def path_of(sendout_id: str, tenant: str, **values: str) -> str:
    """Return the address of the page of a sendout."""
    return links.address(f"/webhooks/{quote(sendout_id)}", [("tenant", tenant), *values.items()])


def _filled_in(fields: Mapping[str, Any]) -> Form:
    key = str(fields.get("key", ""))
    return Form(key or str(uuid4()), str(fields.get("reason", "")), fields.get("force") == "yes")


async def _not_asked(visit: Visit, tenant: str, form: Form, problem: Problem) -> Response:
    if problem.kind == "not-found":
        raise problem
    known = await _known(visit, tenant)
    shown = Form(form.key, form.reason, form.force, problem.detail)
    return await _shown(visit, known, shown, None, status=problem.status)


async def _known(visit: Visit, tenant: str | None = None) -> Known:
    sendout_id = visit.path["sendout_id"]
    asked_tenant = (visit.values.text("tenant") or "") if tenant is None else tenant
    one = states.of_one("webhook", "webhook", sendout_id, asked_tenant)
    known = await visit.read(lambda reader: _read(reader, one))
    if known is None:
        raise Problem("not-found", _GONE)
    visit.record(Question(one), rows=len(known.attempts), code="access.view", target_id=known.latest["event_id"])
    return known


def _read(reader: ScopedReader, one: Any) -> Known | None:  # noqa: ANN401 - an expression
    rows = states.history(reader, one, _FIELDS, "hook_attempt")
    if not rows:
        return None
    tenants = list(dict.fromkeys(row["tenant_id"] for row in rows))
    attempts = [row for row in rows if row["tenant_id"] == tenants[0]]
    latest = attempts[-1]
    details = reader.details(latest["event_id"])
    detail = next((d for d in details if d.event["hook_attempt"] == latest["hook_attempt"]), None)
    return Known(attempts, detail, _later(reader, latest), _requests(reader, latest), tenants[1:])


def _later(reader: ScopedReader, latest: Row) -> Sequence[Row]:
    again = conjunction(Term("tenant", latest["tenant_id"]), Term("webhook_resend_of", latest["hook_sendout_id"]))
    rows = reader.page(Question(again), limit=states.MOST_STATES, fields=_FIELDS).rows
    found: dict[str, Row] = {}
    # A service may also go on under the same id; then its next attempt is one of the attempts.
    rows = [row for row in rows if row["hook_sendout_id"] != latest["hook_sendout_id"]]
    for row in sorted(rows, key=lambda r: (r["hook_attempt"], r["ingested_at"])):
        found[row["hook_sendout_id"]] = row
    return sorted(found.values(), key=lambda r: r["occurred_at"], reverse=True)[:_MOST_SHOWN]


def _requests(reader: ScopedReader, latest: Row) -> Sequence[Row]:
    target = f"webhook/{latest['hook_sendout_id']}"
    about = conjunction(Term("tenant", latest["tenant_id"]), Term("action", "webhook.resend_*"), Term("target", target))
    return reader.page(Question(about), limit=_MOST_SHOWN, fields=_REQUEST_FIELDS).rows


async def _asked_just_now(visit: Visit, known: Known) -> Resend | None:
    key, resends = visit.values.text("asked"), visit.frame.parts.get(Resends)
    if not key or resends is None or not visit.may(Right.RESEND):
        return None
    try:
        found: Resend | None = await resends.found(Sendout.of(known.latest), key)
    except ResendError as error:
        raise resend_problem(error) from error
    return found


async def _shown(visit: Visit, known: Known, form: Form, asked: Resend | None, *, status: int = 200) -> Response:
    latest, detail = known.latest, known.detail
    payload = detail.payload if detail else None
    return visit.page(
        "webhook.html",
        status=status,
        known=known,
        latest=latest,
        event=detail.event if detail else None,
        sent_body=bodies.request_body(detail.event, payload) if detail and payload else None,
        answer_body=bodies.response_body(detail.event, payload) if detail and payload else None,
        form=form,
        asked=asked,
        may_ask=Resends in visit.frame.parts and visit.may(Right.RESEND),
        obstacle=await _obstacle(visit, latest),
        has_failed=latest["hook_status"] == FAILED,
        most_reason=MAX_REASON_CHARACTERS,
        path_of=path_of,
        **record_context(latest["tenant_id"]),
    )


async def _obstacle(visit: Visit, latest: Row) -> str:
    """Return what is in the way of a request, empty when nothing is."""
    resends: Resends | None = visit.frame.parts.get(Resends)
    if resends is None or not visit.may(Right.RESEND):
        return ""
    return await resends.obstacle(Sendout.of(latest))


PAGES: Sequence[PageRoute] = (
    PageRoute("/webhooks", webhooks, name="webhooks", section="Webhook sendouts"),
    PageRoute("/webhooks/{sendout_id:path}", webhook, GET, name="webhook"),
    PageRoute("/webhooks/{sendout_id:path}", resend, POST, name="resend", right=Right.RESEND, needs=(Resends,)),
)
