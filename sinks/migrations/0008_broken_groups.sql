-- Groups of ranges, one of which somebody else than their writer completes. The row is written before a token of the
-- group is used for it, so a writer that finds none afterwards knows that its blocks were not dropped.

CREATE TABLE IF NOT EXISTS ${database}.broken_groups
(
    group_id String,
    kafka_topic_id UUID,
    kafka_partition Int32,
    first_offset Int64,
    last_offset Int64,
    broken_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY group_id
TTL toDateTime(broken_at) + INTERVAL 30 DAY;
