"""Exports as audit events: what was asked, what became of it, and who downloaded it.

Emitting an event reads nothing, and nothing reads the log because of it: a trail cannot cause a further one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from auditstream.settings import Settings
from auditstream.spools import open_spooled
from producers import Actor, AuditEvent, AuditProducer, Export, Origin, ProducerError, Target
from query.exports import Entry, Job, Trail, format_of, no_trail
from query.period import micros
from schemas.errors import SchemaError

#: Seconds that the end of a command waits for Kafka. What is not acknowledged waits in the spool for the next one.
_CLOSE_S = 3.0
#: What the events call the exported thing.
_KIND = "audit_log"
#: Where it was asked -> the origin of the event.
_ORIGINS = {"dashboard": "dashboard", "api": "api"}
_OUTCOMES = {"request": "pending", "error": "failure"}
_BLOCKED = (ProducerError, SchemaError, OSError)


@contextmanager
def export_trail(settings: Settings, report: Callable[[str], None]) -> Iterator[Trail]:
    """Open the trail of the settings; it leaves none when ``export.audit`` is off.

    An export is never held up by its trail: what cannot be emitted is reported and waits, or is reported as lost.

    Args:
        settings: All settings.
        report: Told, as a sentence, what went wrong with the trail.
    """
    producer = _producer(settings, report) if settings.export.audit else None
    if producer is None:
        yield no_trail
        return

    def emit(job: Job, entry: Entry) -> None:
        try:
            producer.submit(audit_event(job, entry, settings.export.audit_tenant))
        except _BLOCKED as error:
            report(f"no audit event tells {entry.what} of export {job.id}: {error}")

    try:
        yield emit
    finally:
        if waiting := producer.close(_CLOSE_S):
            report(f"{waiting} audit events of exports wait for Kafka in {settings.export.audit_spool_dir}")


def audit_event(job: Job, entry: Entry, tenant: str) -> AuditEvent:
    """Return the audit event of something that happened to an export.

    Args:
        job: The export, with the entry.
        entry: What happened.
        tenant: Tenant of the event when the export is not of one tenant.
    """
    by = entry.by
    # What happens by itself came about by the way in which the export was asked for.
    origin = _ORIGINS.get((by or job.request.requester).origin, "other")
    return AuditEvent(
        event_code=f"export.{entry.what}",
        tenant_id=job.request.tenant or tenant,
        occurred_at=entry.at,
        outcome=_OUTCOMES.get(entry.what, "success"),
        outcome_reason=job.problem or None,
        actor=Actor(type=by.type, id=by.id, name=by.name) if by else Actor(type="system", id="auditstream"),
        target=Target(type="export", id=job.id),
        origin=Origin(kind=origin, ip=(by.ip or None) if by else None),
        request_id=(by.request_id or None) if by else None,
        export=_block(job, entry),
    )


def _block(job: Job, entry: Entry) -> Export:
    asked = job.request.to_data()
    params = {name: asked[name] for name in asked if name not in ("filter", "filter_tree", "requester", "format")}
    made = job.manifest or {}
    return Export(
        export_id=job.id,
        kind=_KIND,
        origin=job.request.requester.origin,
        filters={"filter": asked["filter"]},
        params=params,
        format=format_of(job.request.format),
        state=job.state,
        # Rises with every state without that anybody counts.
        state_seq=micros(entry.at),
        row_count=made.get("rows"),
        row_limit=made.get("row_limit"),
        truncated=made.get("truncated"),
        bytes=made.get("bytes"),
        sha256=made.get("sha256"),
        expires_at=job.expires_at,
        download_count=job.downloads,
        manifest_ref=f"files/{job.id}.{format_of(job.request.format)}.manifest.json" if made else None,
    )


def _producer(settings: Settings, report: Callable[[str], None]) -> AuditProducer | None:
    try:
        return open_spooled(settings, settings.export.audit_spool_dir)
    except _BLOCKED as error:
        report(f"this export leaves no audit events: {error}")
        return None
