-- The tables of the path. Every statement can be repeated and run by two workers at once.
-- ${database} is replaced by the name of the database. docs/tables.md gives the reason for every setting.

CREATE TABLE IF NOT EXISTS ${database}.audit_events
(
    event_id UUID,
    ip IPv6 CODEC(ZSTD(1)),
    schema_version LowCardinality(String),
    record_kind LowCardinality(String),
    event_code LowCardinality(String),
    event_category LowCardinality(String),
    crud LowCardinality(String),
    scope_level LowCardinality(String),
    tenant_id LowCardinality(String),
    project_id LowCardinality(String),
    project_slug LowCardinality(String),
    product LowCardinality(String),
    source_service LowCardinality(String),
    source_version LowCardinality(String),
    source_host LowCardinality(String),
    occurred_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    tz_name LowCardinality(String),
    tz_offset_min Int32 CODEC(ZSTD(1)),
    producer_id LowCardinality(String),
    producer_seq Int64 CODEC(Delta(8), ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    correlation_id String CODEC(ZSTD(1)),
    causation_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    severity LowCardinality(String),
    message String CODEC(ZSTD(1)),
    details Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    labels Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    outcome LowCardinality(String),
    outcome_code LowCardinality(String),
    outcome_reason String CODEC(ZSTD(1)),
    duration_ms Nullable(Int64) CODEC(ZSTD(1)),
    actor_type LowCardinality(String),
    actor_id String CODEC(ZSTD(1)),
    actor_login String CODEC(ZSTD(1)),
    actor_name String CODEC(ZSTD(1)),
    actor_email String CODEC(ZSTD(1)),
    actor_department LowCardinality(String),
    actor_avatar_url String CODEC(ZSTD(1)),
    actor_status LowCardinality(String),
    actor_roles Array(LowCardinality(String)) CODEC(ZSTD(1)),
    actor_permissions Array(LowCardinality(String)) CODEC(ZSTD(1)),
    auth_provider LowCardinality(String),
    access_key_id String CODEC(ZSTD(1)),
    access_group_id String CODEC(ZSTD(1)),
    on_behalf_of_type LowCardinality(String),
    on_behalf_of_id String CODEC(ZSTD(1)),
    origin LowCardinality(String),
    origin_name LowCardinality(String),
    platform LowCardinality(String),
    ip_chain Array(String) CODEC(ZSTD(1)),
    ip_trusted_hops Int32 CODEC(ZSTD(1)),
    user_agent LowCardinality(String),
    target_type LowCardinality(String),
    target_id String CODEC(ZSTD(1)),
    target_name String CODEC(ZSTD(1)),
    parent_type LowCardinality(String),
    parent_id String CODEC(ZSTD(1)),
    `targets.type` Array(String) CODEC(ZSTD(1)),
    `targets.id` Array(String) CODEC(ZSTD(1)),
    `targets.name` Array(String) CODEC(ZSTD(1)),
    `targets.role` Array(String) CODEC(ZSTD(1)),
    resource_query String CODEC(ZSTD(1)),
    resource_ref String CODEC(ZSTD(1)),
    affected_count Nullable(Int64) CODEC(ZSTD(1)),
    resource_snapshot String CODEC(ZSTD(1)),
    status_before LowCardinality(String),
    status_after LowCardinality(String),
    `changes.field` Array(String) CODEC(ZSTD(1)),
    `changes.before` Array(Nullable(String)) CODEC(ZSTD(1)),
    `changes.after` Array(Nullable(String)) CODEC(ZSTD(1)),
    `changes.masked` Array(Bool) CODEC(ZSTD(1)),
    api_method LowCardinality(String),
    api_route LowCardinality(String),
    api_version LowCardinality(String),
    api_operation LowCardinality(String),
    api_status_code Nullable(Int32) CODEC(ZSTD(1)),
    api_request_bytes Nullable(Int64) CODEC(ZSTD(1)),
    api_response_bytes Nullable(Int64) CODEC(ZSTD(1)),
    api_truncated Bool,
    api_capture_level LowCardinality(String),
    api_customer_id String CODEC(ZSTD(1)),
    api_campaign_id String CODEC(ZSTD(1)),
    api_incentive_id String CODEC(ZSTD(1)),
    auth_event LowCardinality(String),
    auth_method LowCardinality(String),
    auth_mfa Bool,
    auth_new_device Nullable(Bool) CODEC(ZSTD(1)),
    auth_logout_reason LowCardinality(String),
    auth_attempted_login String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    run_object_type LowCardinality(String),
    run_object_id String CODEC(ZSTD(1)),
    run_state LowCardinality(String),
    run_value String CODEC(ZSTD(1)),
    run_value_num Nullable(Float64) CODEC(ZSTD(1)),
    run_value_unit LowCardinality(String),
    task_id String CODEC(ZSTD(1)),
    task_type LowCardinality(String),
    task_status LowCardinality(String),
    task_state_seq Int64 CODEC(ZSTD(1)),
    task_progress_pct Nullable(Float64) CODEC(ZSTD(1)),
    task_done_items Nullable(Int64) CODEC(ZSTD(1)),
    task_total_items Nullable(Int64) CODEC(ZSTD(1)),
    task_started_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    task_updated_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    task_finished_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    task_processing_ms Nullable(Int64) CODEC(ZSTD(1)),
    task_result String CODEC(ZSTD(1)),
    task_error String CODEC(ZSTD(1)),
    export_id String CODEC(ZSTD(1)),
    export_kind LowCardinality(String),
    export_origin LowCardinality(String),
    export_filters String CODEC(ZSTD(1)),
    export_params String CODEC(ZSTD(1)),
    export_format LowCardinality(String),
    export_state LowCardinality(String),
    export_state_seq Int64 CODEC(ZSTD(1)),
    export_row_count Nullable(Int64) CODEC(ZSTD(1)),
    export_row_limit Nullable(Int64) CODEC(ZSTD(1)),
    export_truncated Bool,
    export_bytes Nullable(Int64) CODEC(ZSTD(1)),
    export_sha256 String CODEC(ZSTD(1)),
    export_merkle_root String CODEC(ZSTD(1)),
    export_expires_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    export_download_count Nullable(Int64) CODEC(ZSTD(1)),
    export_manifest_ref String CODEC(ZSTD(1)),
    hook_sendout_id String CODEC(ZSTD(1)),
    hook_event_type LowCardinality(String),
    hook_source_id String CODEC(ZSTD(1)),
    hook_url String CODEC(ZSTD(1)),
    hook_status LowCardinality(String),
    hook_attempt Int32 CODEC(ZSTD(1)),
    hook_max_attempts Nullable(Int32) CODEC(ZSTD(1)),
    hook_next_retry_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    hook_http_status Nullable(Int32) CODEC(ZSTD(1)),
    hook_error String CODEC(ZSTD(1)),
    hook_event_created_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    hook_sent_at Nullable(DateTime64(6, 'UTC')) CODEC(ZSTD(1)),
    hook_resend_of String CODEC(ZSTD(1)),
    hook_resent_by String CODEC(ZSTD(1)),
    hook_payload_ref String CODEC(ZSTD(1)),
    access_query_hash String CODEC(ZSTD(1)),
    access_filter_fields Array(LowCardinality(String)) CODEC(ZSTD(1)),
    access_window String CODEC(ZSTD(1)),
    access_rows_returned Nullable(Int64) CODEC(ZSTD(1)),
    access_purpose String CODEC(ZSTD(1)),
    access_ticket String CODEC(ZSTD(1)),
    data_class LowCardinality(String),
    pii_fields Array(LowCardinality(String)) CODEC(ZSTD(1)),
    `redactions.field` Array(String) CODEC(ZSTD(1)),
    `redactions.rule` Array(String) CODEC(ZSTD(1)),
    `redactions.count` Array(Int32) CODEC(ZSTD(1)),
    subject_ids Array(String) CODEC(ZSTD(1)),
    subject_key_id String CODEC(ZSTD(1)),
    kafka_topic LowCardinality(String),
    kafka_topic_id UUID CODEC(ZSTD(1)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    kafka_offset Int64 CODEC(Delta(8), ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    schema_id Int32 CODEC(ZSTD(1)),
    clock_skew_ms Int64 CODEC(ZSTD(1)),
    validation_flags LowCardinality(String),
    retention_class LowCardinality(String),
    retention_days UInt16 CODEC(ZSTD(1)),
    expires_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ip_kind LowCardinality(String),
    geo_country LowCardinality(String),
    geo_region LowCardinality(String),
    geo_city LowCardinality(String),
    geo_lat Float32 CODEC(ZSTD(1)),
    geo_lon Float32 CODEC(ZSTD(1)),
    geo_tz LowCardinality(String),
    as_number UInt32 CODEC(ZSTD(1)),
    as_org LowCardinality(String),
    ip_status LowCardinality(String),
    ip_db_version LowCardinality(String),
    ua_name LowCardinality(String),
    ua_version LowCardinality(String),
    ua_os LowCardinality(String),
    ua_device LowCardinality(String),
    actor_directory_status LowCardinality(String),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),

    INDEX i_event_id event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_request_id request_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_ingested_at ingested_at TYPE minmax GRANULARITY 1,
    INDEX i_event_code event_code TYPE set(256) GRANULARITY 1,
    INDEX i_outcome outcome TYPE set(16) GRANULARITY 1,
    INDEX i_session_id session_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_correlation_id correlation_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_run_id run_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_task_id task_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_export_id export_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_hook_sendout_id hook_sendout_id TYPE bloom_filter(0.001) GRANULARITY 1,

    PROJECTION n_kafka
    (
        SELECT kafka_topic_id, kafka_partition, kafka_offset, occurred_at
        ORDER BY kafka_topic_id, kafka_partition, kafka_offset
    ) WITH SETTINGS (index_granularity = 1024),
    PROJECTION n_actor
    (
        SELECT tenant_id, actor_id, occurred_at, expires_at ORDER BY tenant_id, actor_id, occurred_at
    ) WITH SETTINGS (index_granularity = 1024),
    PROJECTION n_target
    (
        SELECT tenant_id, target_type, target_id, occurred_at, expires_at
        ORDER BY tenant_id, target_type, target_id, occurred_at
    ) WITH SETTINGS (index_granularity = 1024),
    PROJECTION n_ip
    (
        SELECT tenant_id, ip, occurred_at, expires_at ORDER BY tenant_id, ip, occurred_at
    ) WITH SETTINGS (index_granularity = 1024),
    PROJECTION p_hour
    (
        SELECT tenant_id, intDiv(toUnixTimestamp64Micro(occurred_at), 3600000000), record_kind, event_code, outcome,
               intDiv(toUnixTimestamp64Milli(expires_at), 3600000), count()
        GROUP BY tenant_id, intDiv(toUnixTimestamp64Micro(occurred_at), 3600000000), record_kind, event_code, outcome,
                 intDiv(toUnixTimestamp64Milli(expires_at), 3600000)
    )
)
ENGINE = MergeTree
PARTITION BY multiIf(
    occurred_at > received_at + toIntervalDay(31), 0,
    retention_days BETWEEN 1 AND 2, toYYYYMMDD(greatest(occurred_at, received_at)),
    retention_days BETWEEN 3 AND 31, toUInt32(intDiv(toUnixTimestamp64Micro(greatest(occurred_at, received_at)), 604800000000)),
    toYYYYMM(greatest(occurred_at, received_at)))
ORDER BY (tenant_id, occurred_at, event_id)
TTL if(retention_days = 0,
       toDateTime(4294967295, 'UTC'),
       toDateTime(least(
           intDiv(greatest(toUnixTimestamp64Milli(expires_at), 1000)
                      + multiIf(retention_days <= 2, 86400000, retention_days <= 31, 604800000, 2592000000) - 1,
                  multiIf(retention_days <= 2, 86400000, retention_days <= 31, 604800000, 2592000000))
               * multiIf(retention_days <= 2, 86400000, retention_days <= 31, 604800000, 2592000000),
           4294967295000) / 1000, 'UTC'))
SETTINGS
    min_bytes_for_wide_part = 268435456,
    merge_selector_base = 10,
    merge_with_ttl_timeout = 3600,
    non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS ${database}.audit_payloads
(
    tenant_id LowCardinality(String),
    event_id UUID,
    occurred_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    api_query_params String CODEC(ZSTD(1)),
    api_request_body String CODEC(ZSTD(1)),
    api_response_body String CODEC(ZSTD(1)),
    kafka_topic LowCardinality(String),
    kafka_topic_id UUID CODEC(ZSTD(1)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    kafka_offset Int64 CODEC(Delta(8), ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)),
    expires_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),

    INDEX i_event_id event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX i_kafka_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(expires_at)
ORDER BY (tenant_id, occurred_at, event_id)
TTL toDateTime(least(greatest(toUnixTimestamp64Milli(expires_at), 1000), 4294967295000) / 1000, 'UTC')
SETTINGS
    ttl_only_drop_parts = 1,
    merge_selector_base = 10,
    merge_with_ttl_timeout = 3600,
    non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS ${database}.dead_letters
(
    kafka_topic LowCardinality(String),
    kafka_topic_id UUID CODEC(ZSTD(1)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    kafka_offset Int64 CODEC(Delta(8), ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    schema_id Int32 CODEC(ZSTD(1)),
    stage LowCardinality(String),
    reason_code LowCardinality(String),
    reason String CODEC(ZSTD(1)),
    tenant_id LowCardinality(String),
    event_code LowCardinality(String),
    event_id String CODEC(ZSTD(1)),
    key String CODEC(ZSTD(1)),
    `headers.name` Array(String) CODEC(ZSTD(1)),
    `headers.value` Array(String) CODEC(ZSTD(1)),
    raw String CODEC(ZSTD(1)),
    raw_bytes UInt64 CODEC(ZSTD(1)),
    raw_truncated Bool,
    raw_sha256 FixedString(32) CODEC(ZSTD(1)),
    worker_version LowCardinality(String),
    expires_at DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(expires_at)
ORDER BY (kafka_topic_id, kafka_partition, kafka_offset)
TTL toDateTime(least(greatest(toUnixTimestamp64Milli(expires_at), 1000), 4294967295000) / 1000, 'UTC')
SETTINGS
    ttl_only_drop_parts = 1,
    merge_selector_base = 10,
    merge_with_ttl_timeout = 3600,
    non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS ${database}.ingest_batches
(
    kafka_topic LowCardinality(String),
    kafka_topic_id UUID CODEC(ZSTD(1)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    first_offset Int64 CODEC(Delta(8), ZSTD(1)),
    last_offset Int64 CODEC(Delta(8), ZSTD(1)),
    stored UInt64 CODEC(ZSTD(1)),
    dead_lettered UInt64 CODEC(ZSTD(1)),
    filtered UInt64 CODEC(ZSTD(1)),
    skipped UInt64 CODEC(ZSTD(1)),
    schema_ids Array(Int32) CODEC(ZSTD(1)),
    `digests.day` Array(Int32) CODEC(ZSTD(1)),
    `digests.rows` Array(UInt64) CODEC(ZSTD(1)),
    `digests.sha256` Array(FixedString(32)),
    previous_sha256 FixedString(32),
    sha256 FixedString(32),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (kafka_topic_id, kafka_partition, last_offset)
SETTINGS non_replicated_deduplication_window = 100000;

CREATE TABLE IF NOT EXISTS ${database}.actors
(
    tenant_id LowCardinality(String),
    actor_id String CODEC(ZSTD(1)),
    actor_type LowCardinality(String),
    login String CODEC(ZSTD(1)),
    name String CODEC(ZSTD(1)),
    email String CODEC(ZSTD(1)),
    department String CODEC(ZSTD(1)),
    avatar_url String CODEC(ZSTD(1)),
    status LowCardinality(String),
    roles Array(LowCardinality(String)) CODEC(ZSTD(1)),
    updated_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    deleted Bool,
    kafka_topic_id UUID CODEC(ZSTD(1)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    kafka_offset Int64 CODEC(Delta(8), ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (tenant_id, actor_id);
