"""The typed form of an audit event. Fields have the names, units and meaning of the Avro schema AuditEvent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from producers.blocks import Access, ApiCall, Auth, Export, Run, Task, Webhook
from producers.sparse import sparse


@sparse
@dataclass(kw_only=True)
class Actor:
    """Who did it. A name without prefix is the envelope's ``actor_`` field of that name."""

    id: str | None = None
    type: str | None = None
    login: str | None = None
    name: str | None = None
    email: str | None = None
    department: str | None = None
    avatar_url: str | None = None
    status: str | None = None
    roles: Sequence[str] | None = None
    permissions: Sequence[str] | None = None
    auth_provider: str | None = None
    access_key_id: str | None = None
    access_group_id: str | None = None
    on_behalf_of_type: str | None = None
    on_behalf_of_id: str | None = None


@sparse
@dataclass(kw_only=True)
class Origin:
    """Where it came from. ``kind`` is the envelope's ``origin``, ``name`` its ``origin_name``."""

    kind: str | None = None
    name: str | None = None
    platform: str | None = None
    ip: str | None = None
    ip_chain: Sequence[str] | None = None
    ip_trusted_hops: int | None = None
    user_agent: str | None = None


@sparse
@dataclass(kw_only=True)
class Target:
    """The main object. ``parent_type`` and ``parent_id`` name what it belongs to."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    parent_type: str | None = None
    parent_id: str | None = None


@sparse
@dataclass(kw_only=True)
class TargetRef:
    """One further object and its role: target, affected, related or member."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    role: str | None = None


@sparse
@dataclass(kw_only=True)
class Change:
    """One changed field; None is a value that was, or is, not there. Values that are not text become JSON."""

    field: str
    before: Any = None
    after: Any = None
    masked: bool | None = None


@sparse
@dataclass(kw_only=True)
class AuditEvent:
    """One audit event, ready to be emitted.

    Only ``event_code`` and ``tenant_id`` are needed. None is "nothing to say": an empty text, an empty list, or null
    where the schema has it. ``record_kind`` follows from the block that is filled and is ``action`` without one.
    ``occurred_at`` is the time of emitting unless given; a datetime must know its offset from UTC. ``event_id`` is a
    new UUID version 7 unless given.
    """

    event_code: str
    tenant_id: str
    event_id: str | UUID | None = None
    record_kind: str | None = None
    event_category: str | None = None
    crud: str | None = None
    scope_level: str | None = None
    project_id: str | None = None
    project_slug: str | None = None
    product: str | None = None
    source_service: str | None = None
    source_version: str | None = None
    source_host: str | None = None
    occurred_at: datetime | str | int | None = None
    tz_name: str | None = None
    tz_offset_min: int | None = None
    request_id: str | None = None
    session_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    trace_id: str | None = None
    severity: str | None = None
    message: str | None = None
    details: Mapping[str, Any] | None = None
    labels: Mapping[str, Any] | None = None
    outcome: str | None = None
    outcome_code: str | None = None
    outcome_reason: str | None = None
    duration_ms: int | None = None
    actor: Actor | None = None
    origin: Origin | str | None = None
    target: Target | None = None
    targets: Sequence[TargetRef] | None = None
    resource_query: str | None = None
    resource_ref: str | None = None
    affected_count: int | None = None
    resource_snapshot: Any = None
    status_before: str | None = None
    status_after: str | None = None
    changes: Sequence[Change] | None = None
    api: ApiCall | None = None
    auth: Auth | None = None
    run: Run | None = None
    task: Task | None = None
    export: Export | None = None
    hook: Webhook | None = None
    access: Access | None = None
    retention_class: str | None = None
    data_class: str | None = None
    pii_fields: Sequence[str] | None = None
    subject_ids: Sequence[str] | None = None
    subject_key_id: str | None = None
