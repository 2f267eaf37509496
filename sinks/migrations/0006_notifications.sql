-- What became of every notification, in rows that are only ever added. A notice is written as `pending` before its
-- event counts as read, so that it outlives the process; what follows is a further row for the same rule, channel and
-- event. docs/notify.md has the states.

CREATE TABLE IF NOT EXISTS ${database}.notification_deliveries
(
    recorded_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    rule LowCardinality(String),
    channel LowCardinality(String),
    state LowCardinality(String),
    event_id UUID,
    tenant_id LowCardinality(String),
    event_code LowCardinality(String),
    occurred_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    key_sha256 FixedString(32) CODEC(ZSTD(1)),
    message_id UUID,
    position UInt32 CODEC(ZSTD(1)),
    events UInt32 CODEC(ZSTD(1)),
    attempts UInt32 CODEC(ZSTD(1)),
    title String CODEC(ZSTD(1)),
    text String CODEC(ZSTD(1)),
    error String CODEC(ZSTD(1)),
    kafka_topic LowCardinality(String),
    kafka_partition Int32,
    kafka_offset Int64 CODEC(ZSTD(1)),
    expires_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_message message_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(expires_at)
ORDER BY (rule, channel, recorded_at)
TTL toDateTime(expires_at, 'UTC')
SETTINGS
    ttl_only_drop_parts = 1,
    merge_with_ttl_timeout = 3600,
    index_granularity = 1024;
