"""Schemas and ids on disk, so that workers and producers start while the registry is away."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from schemas.registry.promise import Schema, canonical

_log = structlog.get_logger(__name__)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class SchemaCache:
    """Answers of one registry, one small file each, written whole or not at all.

    A file carries the SHA-256 of its content. One that is damaged counts as absent and is told in the log; a
    directory that cannot be written is told once, after which nothing is kept. Several processes may share it.
    """

    def __init__(self, directory: Path, url: str) -> None:
        """Open the part of a cache that belongs to a registry; nothing is created before the first write.

        Args:
            directory: The cache of all registries; ``~`` is the home directory.
            url: Address of the registry, without credentials: ids of different registries must not mix.
        """
        self._directory = directory.expanduser() / _sha256(url)[:16]
        self._writable = True

    def schema(self, schema_id: int) -> Schema | None:
        """Return the schema that was stored under an id, None when there is none or its file is damaged."""
        content = self._read(self._schema_file(schema_id))
        return content["schema"] if content and content.get("id") == schema_id else None

    def store_schema(self, schema_id: int, schema: Schema) -> None:
        """Keep the schema of an id."""
        self._write(self._schema_file(schema_id), {"id": schema_id, "schema": schema})

    def schema_id(self, subject: str, schema: Schema) -> int | None:
        """Return the id under which a subject's schema was registered, None when that is not known."""
        content = self._read(self._subject_file(subject, schema))
        known = content and content.get("subject") == subject
        return int(content["id"]) if content and known else None

    def store_schema_id(self, subject: str, schema: Schema, schema_id: int) -> None:
        """Keep the id of a subject's schema."""
        self._write(self._subject_file(subject, schema), {"id": schema_id, "subject": subject})

    def _schema_file(self, schema_id: int) -> Path:
        return self._directory / f"id-{schema_id}.json"

    def _subject_file(self, subject: str, schema: Schema) -> Path:
        return self._directory / f"subject-{_sha256(subject + chr(0) + canonical(schema))}.json"

    def _read(self, file: Path) -> Mapping[str, Any] | None:
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            return self._damaged(file, str(error))
        try:
            stored = json.loads(text)
            content: Mapping[str, Any] = stored["content"]
            intact = stored["sha256"] == _sha256(canonical(content))
        except (ValueError, KeyError, TypeError) as error:
            return self._damaged(file, f"{type(error).__name__}: {error}")
        return content if intact else self._damaged(file, "its digest does not match")

    @staticmethod
    def _damaged(file: Path, reason: str) -> None:
        _log.warning(
            "schema_cache_file_damaged", file=str(file), reason=reason, consequence="asking the registry again"
        )

    def _write(self, file: Path, content: Mapping[str, Any]) -> None:
        if not self._writable:
            return
        text = json.dumps({"content": content, "sha256": _sha256(canonical(content))})
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            _write_whole(file, text)
        except OSError as error:
            self._writable = False
            _log.warning(
                "schema_cache_not_writable",
                directory=str(self._directory),
                reason=str(error),
                consequence="a start during an outage of the registry will wait for it",
            )


def _write_whole(file: Path, text: str) -> None:
    # A temporary name in the same directory, because a rename is atomic only inside one file system.
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
