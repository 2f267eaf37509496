-- Who may read over HTTP. Only the hash of a secret is kept; a change of a token is a further row with a higher version.

CREATE TABLE IF NOT EXISTS ${database}.api_tokens
(
    sha256 FixedString(32),
    token_id String,
    name String,
    role LowCardinality(String),
    tenants Array(String),
    projects Array(String),
    products Array(String),
    record_kinds Array(String),
    actor_id String,
    created_at DateTime64(3, 'UTC'),
    created_by String,
    expires_at Nullable(DateTime64(3, 'UTC')),
    revoked_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY sha256;

-- Apart from the tokens, so that noting a use can never bring back a token that was revoked at the same moment.
CREATE TABLE IF NOT EXISTS ${database}.api_token_uses
(
    token_id String,
    used_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(used_at)
ORDER BY token_id;
