"""Where batches go: the promise, ClickHouse (tables, migrations, inserts, manifest), in-memory."""

from sinks.opening import open_sink

__all__ = ["open_sink"]
