-- What analysts read, a view for each kind of question; docs/views.md has their columns and examples.
-- The views of events have one row for each delivery and pass conditions on tenant and time on to the table; those of
-- states have one row for each task, export or sendout, with its latest state.

-- Who did what to which object, and who signed in.
CREATE OR REPLACE VIEW ${database}.journal AS
SELECT
    tenant_id,
    project_id,
    occurred_at,
    event_id,
    event_code,
    event_category,
    record_kind,
    actor_type,
    actor_id,
    actor_name,
    actor_login,
    if(ip = toIPv6('::'), '', replaceOne(toString(ip), '::ffff:', '')) AS ip_text,
    target_type,
    target_id,
    target_name,
    parent_type,
    parent_id,
    arrayMap((t, i, n, r) -> map('type', t, 'id', i, 'name', n, 'role', r),
        `targets.type`, `targets.id`, `targets.name`, `targets.role`) AS objects,
    message,
    details,
    `changes.field` AS changed_fields,
    `changes.before` AS values_before,
    `changes.after` AS values_after,
    outcome,
    outcome_reason,
    request_id
FROM ${database}.audit_events
WHERE record_kind IN ('action', 'auth') AND expires_at > now64(3, 'UTC');

-- Entries of the logs of runs: of campaigns, scenarios, and whatever else runs.
CREATE OR REPLACE VIEW ${database}.campaign_log AS
SELECT
    tenant_id,
    project_id,
    occurred_at,
    event_id,
    run_object_type AS object_type,
    run_object_id AS object_id,
    run_id,
    severity AS level,
    message,
    if(run_state = 'none', '', run_state) AS state,
    run_value AS value,
    run_value_num AS value_number,
    run_value_unit AS value_unit
FROM ${database}.audit_events
WHERE record_kind = 'run_log' AND expires_at > now64(3, 'UTC');

-- Calls of the API; their bodies, which live shorter, are in audit_payloads.
CREATE OR REPLACE VIEW ${database}.api_calls AS
SELECT
    tenant_id,
    project_id,
    occurred_at,
    event_id,
    request_id,
    origin,
    origin_name,
    api_method AS method,
    api_route AS route,
    api_version AS version,
    api_operation AS operation,
    outcome,
    api_status_code AS status_code,
    duration_ms,
    api_request_bytes AS request_bytes,
    api_response_bytes AS response_bytes,
    api_capture_level AS capture_level,
    actor_type,
    actor_id,
    actor_name,
    actor_login,
    access_key_id,
    if(ip = toIPv6('::'), '', replaceOne(toString(ip), '::ffff:', '')) AS ip_text,
    api_customer_id AS customer_id,
    api_campaign_id AS campaign_id,
    api_incentive_id AS incentive_id
FROM ${database}.audit_events
WHERE record_kind = 'api_call' AND expires_at > now64(3, 'UTC');

-- Background tasks, each with its latest state.
CREATE OR REPLACE VIEW ${database}.background_tasks AS
SELECT
    tenant_id,
    task_id,
    first_at,
    last_at,
    states,
    latest.1 AS project_id,
    latest.2 AS task_type,
    latest.3 AS status,
    latest.4 AS progress_pct,
    latest.5 AS done_items,
    latest.6 AS total_items,
    latest.7 AS started_at,
    latest.8 AS updated_at,
    latest.9 AS finished_at,
    latest.10 AS processing_ms,
    latest.11 AS result,
    latest.12 AS error,
    latest.13 AS actor_type,
    latest.14 AS actor_id,
    latest.15 AS actor_name,
    latest.16 AS target_type,
    latest.17 AS target_id
FROM
(
    SELECT
        tenant_id,
        task_id,
        min(occurred_at) AS first_at,
        max(occurred_at) AS last_at,
        uniqExact(event_id) AS states,
        argMax(
            tuple(
                project_id,
                task_type,
                task_status,
                task_progress_pct,
                task_done_items,
                task_total_items,
                task_started_at,
                task_updated_at,
                task_finished_at,
                task_processing_ms,
                task_result,
                task_error,
                actor_type,
                actor_id,
                actor_name,
                target_type,
                target_id
            ),
            tuple(task_state_seq, ingested_at, kafka_offset)
        ) AS latest
    FROM ${database}.audit_events
    WHERE record_kind = 'task' AND task_id != '' AND expires_at > now64(3, 'UTC')
    GROUP BY tenant_id, task_id
);

-- Exports of data, each with its latest state.
CREATE OR REPLACE VIEW ${database}.exports AS
SELECT
    tenant_id,
    export_id,
    first_at,
    last_at,
    states,
    latest.1 AS project_id,
    latest.2 AS kind,
    latest.3 AS origin,
    latest.4 AS filters,
    latest.5 AS parameters,
    latest.6 AS format,
    latest.7 AS state,
    latest.8 AS row_count,
    latest.9 AS row_limit,
    latest.10 AS truncated,
    latest.11 AS bytes,
    latest.12 AS sha256,
    latest.13 AS file_expires_at,
    latest.14 AS download_count,
    latest.15 AS actor_type,
    latest.16 AS actor_id,
    latest.17 AS actor_name
FROM
(
    SELECT
        tenant_id,
        export_id,
        min(occurred_at) AS first_at,
        max(occurred_at) AS last_at,
        uniqExact(event_id) AS states,
        argMax(
            tuple(
                project_id,
                export_kind,
                export_origin,
                export_filters,
                export_params,
                export_format,
                export_state,
                export_row_count,
                export_row_limit,
                export_truncated,
                export_bytes,
                export_sha256,
                export_expires_at,
                export_download_count,
                actor_type,
                actor_id,
                actor_name
            ),
            tuple(export_state_seq, ingested_at, kafka_offset)
        ) AS latest
    FROM ${database}.audit_events
    WHERE record_kind = 'export' AND export_id != '' AND expires_at > now64(3, 'UTC')
    GROUP BY tenant_id, export_id
);

-- Webhooks that were sent, each with its latest attempt.
CREATE OR REPLACE VIEW ${database}.webhook_sendouts AS
SELECT
    tenant_id,
    hook_sendout_id AS sendout_id,
    first_at,
    last_at,
    states,
    latest.1 AS project_id,
    latest.2 AS status,
    latest.3 AS url,
    latest.4 AS event_type,
    latest.5 AS source_id,
    latest.6 AS request_id,
    latest.7 AS event_created_at,
    latest.8 AS sent_at,
    latest.9 AS attempt,
    latest.10 AS max_attempts,
    latest.11 AS next_retry_at,
    latest.12 AS http_status,
    latest.13 AS duration_ms,
    latest.14 AS error,
    latest.15 AS resend_of,
    latest.16 AS resent_by
FROM
(
    SELECT
        tenant_id,
        hook_sendout_id,
        min(occurred_at) AS first_at,
        max(occurred_at) AS last_at,
        uniqExact(event_id) AS states,
        argMax(
            tuple(
                project_id,
                hook_status,
                hook_url,
                hook_event_type,
                hook_source_id,
                request_id,
                hook_event_created_at,
                hook_sent_at,
                hook_attempt,
                hook_max_attempts,
                hook_next_retry_at,
                hook_http_status,
                duration_ms,
                hook_error,
                hook_resend_of,
                hook_resent_by
            ),
            tuple(hook_attempt, ingested_at, kafka_offset)
        ) AS latest
    FROM ${database}.audit_events
    WHERE record_kind = 'webhook' AND hook_sendout_id != '' AND expires_at > now64(3, 'UTC')
    GROUP BY tenant_id, hook_sendout_id
);

-- What users and API keys did within an account and its projects.
CREATE OR REPLACE VIEW ${database}.account_log AS
SELECT
    tenant_id,
    occurred_at,
    event_id,
    target_type AS resource_type,
    event_category AS action_type,
    event_code,
    outcome = 'success' AS action_success,
    actor_type AS subject_type,
    actor_login AS subject_identifier,
    actor_id AS subject_user_id,
    if(ip = toIPv6('::'), '', replaceOne(toString(ip), '::ffff:', '')) AS subject_remote_addr,
    auth_provider AS subject_provider,
    access_group_id AS subject_access_group_id,
    access_key_id AS subject_access_key,
    actor_permissions AS subject_permissions,
    tenant_id AS resource_account_id,
    project_id AS resource_project_id,
    project_slug AS resource_project_slug,
    target_id AS resource_identifier,
    resource_query,
    resource_snapshot,
    status_before AS resource_before_status,
    status_after AS resource_after_status,
    resource_ref AS object_id,
    affected_count
FROM ${database}.audit_events
WHERE record_kind = 'action' AND scope_level != 'instance' AND expires_at > now64(3, 'UTC');

-- Who signed in and out, with and without success.
CREATE OR REPLACE VIEW ${database}.access_log AS
SELECT
    tenant_id,
    occurred_at,
    event_id,
    if(auth_event = 'logout', 'logout', 'login') AS action_type,
    outcome = 'success' AS action_success,
    actor_type AS subject_type,
    actor_login AS subject_identifier,
    actor_id AS subject_user_id,
    if(ip = toIPv6('::'), '', replaceOne(toString(ip), '::ffff:', '')) AS subject_remote_addr,
    auth_provider AS subject_provider,
    auth_attempted_login AS attempted_login,
    auth_method AS method,
    auth_mfa AS second_factor,
    auth_logout_reason AS logout_reason,
    outcome_reason
FROM ${database}.audit_events
WHERE record_kind = 'auth' AND auth_event IN ('login', 'login_failed', 'logout') AND expires_at > now64(3, 'UTC');

-- Sign-ins by member, platform, address and place.
CREATE OR REPLACE VIEW ${database}.login_history AS
SELECT
    tenant_id,
    occurred_at,
    event_id,
    actor_id AS member_id,
    actor_name AS member_name,
    if(actor_login = '', auth_attempted_login, actor_login) AS login,
    outcome = 'success' AS success,
    platform,
    if(ip = toIPv6('::'), '', replaceOne(toString(ip), '::ffff:', '')) AS ip_text,
    geo_country AS country,
    geo_region AS region,
    geo_city AS city,
    as_org AS network,
    ua_device AS device,
    ua_os AS system,
    ua_name AS client,
    auth_new_device AS new_device,
    auth_method AS method
FROM ${database}.audit_events
WHERE record_kind = 'auth' AND auth_event IN ('login', 'login_failed') AND expires_at > now64(3, 'UTC');

-- What operators did, by product, with their card as it is today.
CREATE OR REPLACE VIEW ${database}.operation_log AS
SELECT
    tenant_id,
    occurred_at,
    event_id,
    product,
    event_code AS operation,
    actor_id AS operator_id,
    actor_name AS operator_name,
    actor_email AS operator_email,
    actor_department AS operator_department,
    live_actor_name AS operator_name_now,
    live_actor_status AS operator_status_now,
    ip_text,
    target_type,
    target_id,
    target_name,
    outcome,
    message,
    details
FROM ${database}.audit_log
WHERE record_kind = 'action';
