-- Requests to send a webhook again. Append-only: a claim is written before a service is asked, and its outcome after it,
-- so that one idempotency key never asks twice, whichever process answers. Who asked is an audit event as well; this
-- table is what the next request is decided by, without waiting for that event to arrive.

CREATE TABLE IF NOT EXISTS ${database}.webhook_resends
(
    tenant_id String,
    sendout_id String,
    resend_id UUID,
    claim_id UUID,
    idempotency_key String,
    state Enum8('claimed' = 1, 'accepted' = 2, 'refused' = 3, 'unanswered' = 4, 'withdrawn' = 5),
    asked_at DateTime64(3, 'UTC'),
    asked_by_type LowCardinality(String),
    asked_by_id String,
    asked_by_name String,
    reason String,
    forced Bool,
    route LowCardinality(String),
    detail String,
    http_status Nullable(Int32),
    attempts Int32,
    recorded_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (tenant_id, sendout_id, asked_at)
-- As long as the sendouts themselves, whose retention class is at most as long by default.
TTL toDateTime(asked_at) + INTERVAL 365 DAY;
