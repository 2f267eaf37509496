"""Where batches go: the promise, ClickHouse (tables, migrations, inserts, manifest), in-memory."""
