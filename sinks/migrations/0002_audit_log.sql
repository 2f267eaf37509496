-- What analysts read: live rows only, the address as text, and the actor's card as it is today.

CREATE OR REPLACE VIEW ${database}.audit_log AS
SELECT
    events.*,
    if(events.ip = toIPv6('::'), '', replaceOne(toString(events.ip), '::ffff:', '')) AS ip_text,
    cards.name AS live_actor_name,
    if(cards.deleted, 'deleted', cards.status) AS live_actor_status
FROM ${database}.audit_events AS events
LEFT ANY JOIN
(
    SELECT tenant_id, actor_id, name, status, deleted FROM ${database}.actors FINAL
) AS cards ON cards.tenant_id = events.tenant_id AND cards.actor_id = events.actor_id
WHERE events.expires_at > now64(3, 'UTC');
