"""From Kafka to a sink: assignment and intents, decode, validate, enrich, batches, dead letters, metrics."""
