-- A role for analysts: reads the views of docs/views.md and nothing that tells more. For an administrator of ClickHouse,
-- with the names of database, accounts and tenants put in. Views run with the rights of who reads them, so the tables
-- under them are granted too, and row policies on these hold in every view.

CREATE ROLE IF NOT EXISTS auditstream_analyst;

GRANT SELECT ON auditstream.audit_events TO auditstream_analyst;
GRANT SELECT ON auditstream.actors TO auditstream_analyst;
GRANT SELECT ON auditstream.audit_log TO auditstream_analyst;
GRANT SELECT ON auditstream.journal TO auditstream_analyst;
GRANT SELECT ON auditstream.campaign_log TO auditstream_analyst;
GRANT SELECT ON auditstream.api_calls TO auditstream_analyst;
GRANT SELECT ON auditstream.background_tasks TO auditstream_analyst;
GRANT SELECT ON auditstream.exports TO auditstream_analyst;
GRANT SELECT ON auditstream.webhook_sendouts TO auditstream_analyst;
GRANT SELECT ON auditstream.account_log TO auditstream_analyst;
GRANT SELECT ON auditstream.access_log TO auditstream_analyst;
GRANT SELECT ON auditstream.login_history TO auditstream_analyst;
GRANT SELECT ON auditstream.operation_log TO auditstream_analyst;

-- 2 and not 1: many clients send settings with their queries. What limits a query cannot be raised by one.
CREATE SETTINGS PROFILE IF NOT EXISTS auditstream_analyst SETTINGS
    readonly = 2 CONST,
    max_execution_time = 60 MAX 300,
    max_memory_usage = 2000000000 MAX 4000000000,
    max_threads = 4 MAX 4,
    max_result_rows = 1000000 MAX 10000000,
    max_concurrent_queries_for_user = 4 CONST,
    -- Below the writers, whose queries have priority 0: they never wait for an analyst.
    priority = 10 MIN 1
TO auditstream_analyst;

CREATE USER IF NOT EXISTS ann IDENTIFIED WITH sha256_password BY 'change me' DEFAULT ROLE auditstream_analyst;
GRANT auditstream_analyst TO ann;

-- With the first policy on a table, accounts without one see no rows of it: auditstream's own account needs one too.
CREATE ROW POLICY IF NOT EXISTS everything ON auditstream.audit_events USING 1 TO auditstream;
CREATE ROW POLICY IF NOT EXISTS everything ON auditstream.actors USING 1 TO auditstream;
CREATE ROW POLICY IF NOT EXISTS acme ON auditstream.audit_events USING tenant_id = 'acme' TO ann;
CREATE ROW POLICY IF NOT EXISTS acme ON auditstream.actors USING tenant_id = 'acme' TO ann;
