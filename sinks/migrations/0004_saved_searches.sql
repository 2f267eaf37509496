-- Questions that readers keep. A change is a further row with a higher version, and so is a deletion.

CREATE TABLE IF NOT EXISTS ${database}.saved_searches
(
    search_id String,
    owner String,
    owner_name String,
    tenants Array(String),
    name String,
    query String,
    zone LowCardinality(String),
    sort LowCardinality(String),
    descending Bool,
    columns Array(String),
    shared Bool,
    created_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    deleted_at Nullable(DateTime64(3, 'UTC')),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY search_id;
