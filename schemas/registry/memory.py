"""A schema registry inside this process: what ``mock://`` addresses."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

from schemas.compatibility import reads
from schemas.errors import SchemaIncompatible, SchemaNotFound
from schemas.parsing import parse
from schemas.registry.promise import Compatibility, RegisteredSchema, Schema, canonical

_DEFAULT_LEVEL: Compatibility = "BACKWARD"


class MemoryRegistry:
    """A registry as ``Registry`` promises, gone with its process.

    Like Confluent's, it gives equal schemas one id in all subjects, counts ids and versions from 1, and starts
    subjects with the level BACKWARD.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._subjects: dict[str, list[int]] = {}
        self._levels: dict[str, Compatibility] = {}

    def register(self, subject: str, schema: Schema) -> int:
        """Add a schema as the newest version of a subject, unless it is a version already."""
        parse(schema, f"subject {subject}")
        with self._lock:
            text = canonical(schema)
            versions = self._subjects.get(subject, [])
            if self._ids.get(text) in versions:
                return self._ids[text]
            problems = self._problems(subject, schema)
            if problems:
                raise SchemaIncompatible(f"subject {subject}", problems)
            schema_id = self._ids.setdefault(text, len(self._ids) + 1)
            self._texts[schema_id] = text
            self._subjects[subject] = [*versions, schema_id]
            return schema_id

    def id_of(self, subject: str, schema: Schema) -> int:
        """Return the id of a schema that is a version of a subject."""
        schema_id = self._ids.get(canonical(schema), 0)
        if schema_id not in self._subjects.get(subject, []):
            raise SchemaNotFound(subject=subject)
        return schema_id

    def schema(self, schema_id: int) -> Schema:
        """Return the schema of an id."""
        if schema_id not in self._texts:
            raise SchemaNotFound(schema_id)
        schema: Schema = json.loads(self._texts[schema_id])
        return schema

    def latest(self, subject: str) -> RegisteredSchema:
        """Return the newest version of a subject."""
        ids = self._known(subject)
        return RegisteredSchema(subject, len(ids), ids[-1], self.schema(ids[-1]))

    def subjects(self) -> Sequence[str]:
        """Return all subjects in alphabetical order."""
        return sorted(self._subjects)

    def versions(self, subject: str) -> Sequence[int]:
        """Return the version numbers of a subject, ascending."""
        return list(range(1, len(self._known(subject)) + 1))

    def check_compatibility(self, subject: str, schema: Schema) -> list[str]:
        """Return why ``register`` would refuse a schema as incompatible."""
        parse(schema, f"subject {subject}")
        return self._problems(subject, schema)

    def set_compatibility(self, subject: str, level: Compatibility) -> None:
        """Set how the versions of a subject must relate from now on."""
        self._levels[subject] = level

    def compatibility(self, subject: str) -> Compatibility:
        """Return how the versions of a subject must relate."""
        return self._levels.get(subject, _DEFAULT_LEVEL)

    def close(self) -> None:
        """Do nothing: others in the process may use the same registry."""

    def _known(self, subject: str) -> list[int]:
        if subject not in self._subjects:
            raise SchemaNotFound(subject=subject)
        return self._subjects[subject]

    def _problems(self, subject: str, schema: Schema) -> list[str]:
        level = self.compatibility(subject)
        ids = self._subjects.get(subject, [])
        compared = ids if level.endswith("TRANSITIVE") else ids[-1:]
        return [p for i in compared for p in _relation(level, schema, self.schema(i))]


def _relation(level: Compatibility, new: Schema, old: Schema) -> list[str]:
    backward = reads(new, old) if level.startswith(("BACKWARD", "FULL")) else []
    forward = reads(old, new) if level.startswith(("FORWARD", "FULL")) else []
    return [*backward, *forward]


_REGISTRIES: dict[str, MemoryRegistry] = {}
_REGISTRIES_LOCK = threading.Lock()


def memory_registry(name: str) -> MemoryRegistry:
    """Return the process's registry of a name, empty the first time."""
    with _REGISTRIES_LOCK:
        return _REGISTRIES.setdefault(name, MemoryRegistry())
