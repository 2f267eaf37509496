"""The embedded demo: the whole path in one process, without Docker or Java."""
