"""The typed blocks of an event, one per record kind that has more to say than the envelope.

Fields have the names, units and meaning of the Avro records; times are datetimes with an offset, ISO texts with an
offset, or microseconds since 1970-01-01 UTC; None is "nothing to say".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from producers.sparse import sparse

Time = datetime | str | int


@sparse
@dataclass(kw_only=True)
class ApiCall:
    """An API call (record kind ``api_call``). Bodies that are not text become JSON."""

    method: str | None = None
    route: str | None = None
    version: str | None = None
    operation: str | None = None
    query_params: str | None = None
    request_body: Any = None
    response_body: Any = None
    status_code: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    truncated: bool | None = None
    capture_level: str | None = None
    customer_id: str | None = None
    campaign_id: str | None = None
    incentive_id: str | None = None


@sparse
@dataclass(kw_only=True)
class Auth:
    """A login, logout or change of credentials (record kind ``auth``)."""

    event: str | None = None
    method: str | None = None
    mfa: bool | None = None
    new_device: bool | None = None
    logout_reason: str | None = None
    attempted_login: str | None = None


@sparse
@dataclass(kw_only=True)
class Run:
    """An entry of the log of a run (record kind ``run_log``)."""

    run_id: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    state: str | None = None
    value: str | None = None
    value_num: float | None = None
    value_unit: str | None = None


@sparse
@dataclass(kw_only=True)
class Task:
    """One state of a background task (record kind ``task``); ``state_seq`` rises with each."""

    task_id: str | None = None
    type: str | None = None
    status: str | None = None
    state_seq: int | None = None
    progress_pct: float | None = None
    done_items: int | None = None
    total_items: int | None = None
    started_at: Time | None = None
    updated_at: Time | None = None
    finished_at: Time | None = None
    processing_ms: int | None = None
    result: str | None = None
    error: str | None = None


@sparse
@dataclass(kw_only=True)
class Export:
    """One state of an export (record kind ``export``); ``state_seq`` rises with each."""

    export_id: str | None = None
    kind: str | None = None
    origin: str | None = None
    filters: Any = None
    params: Any = None
    format: str | None = None
    state: str | None = None
    state_seq: int | None = None
    row_count: int | None = None
    row_limit: int | None = None
    truncated: bool | None = None
    bytes: int | None = None
    sha256: str | None = None
    merkle_root: str | None = None
    expires_at: Time | None = None
    download_count: int | None = None
    manifest_ref: str | None = None


@sparse
@dataclass(kw_only=True)
class Webhook:
    """One attempt of a webhook sendout (record kind ``webhook``)."""

    sendout_id: str | None = None
    event_type: str | None = None
    source_id: str | None = None
    url: str | None = None
    status: str | None = None
    attempt: int | None = None
    max_attempts: int | None = None
    next_retry_at: Time | None = None
    http_status: int | None = None
    error: str | None = None
    event_created_at: Time | None = None
    sent_at: Time | None = None
    resend_of: str | None = None
    resent_by: str | None = None
    payload_ref: str | None = None


@sparse
@dataclass(kw_only=True)
class Access:
    """A read of the audit log itself (record kind ``access``)."""

    query_hash: str | None = None
    filter_fields: Sequence[str] | None = None
    window: str | None = None
    rows_returned: int | None = None
    purpose: str | None = None
    ticket: str | None = None
