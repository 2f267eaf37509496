"""Avro messages become Arrow columns, each message bounded by its own length, errors per message."""
