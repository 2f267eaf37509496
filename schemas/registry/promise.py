"""What every schema registry promises, whoever keeps the schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

#: A schema as JSON data: a record is an object; unions are lists and primitive types strings.
Schema = Mapping[str, Any]

#: How versions of a subject must relate. BACKWARD: a new version reads what the one before wrote.
Compatibility = Literal[
    "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"
]


def canonical(schema: object) -> str:
    """Return the text that identifies a schema: two schemas are the same when their JSON data is."""
    return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def value_subject(topic: str) -> str:
    """Return the subject of a topic's message values, by the TopicNameStrategy of Confluent's serialisers."""
    return f"{topic}-value"


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """One version of a subject.

    Attributes:
        subject: Its subject.
        version: Number within the subject, from 1.
        schema_id: Id across the registry: what stands in the first five bytes of a message.
        schema: The schema as JSON data.
    """

    subject: str
    version: int
    schema_id: int
    schema: Schema


class Registry(Protocol):
    """Keeps schemas under ids that never change their meaning, and versions of them under subjects.

    Safe for use by several threads. Every method may raise ``RegistryUnavailable`` (wait and repeat: repeating is
    harmless) and ``RegistryRefused`` (address, credentials or certificate are wrong). Closing is the business of
    whoever opened it.
    """

    def register(self, subject: str, schema: Schema) -> int:
        """Add a schema as the newest version of a subject, unless it is a version already.

        Returns:
            Its id.

        Raises:
            SchemaIncompatible: The subject's compatibility level forbids it.
            SchemaInvalid: It is not a schema.
        """
        ...

    def id_of(self, subject: str, schema: Schema) -> int:
        """Return the id of a schema that is a version of a subject.

        Raises:
            SchemaNotFound: The subject has no such version, or there is no such subject.
        """
        ...

    def schema(self, schema_id: int) -> Schema:
        """Return the schema of an id.

        Raises:
            SchemaNotFound: The registry answered that it has none of that id.
            SchemaUnsupported: It is not Avro, or is put together from references.
        """
        ...

    def latest(self, subject: str) -> RegisteredSchema:
        """Return the newest version of a subject.

        Raises:
            SchemaNotFound: There is no such subject.
        """
        ...

    def subjects(self) -> Sequence[str]:
        """Return all subjects in alphabetical order."""
        ...

    def versions(self, subject: str) -> Sequence[int]:
        """Return the version numbers of a subject, ascending.

        Raises:
            SchemaNotFound: There is no such subject.
        """
        ...

    def check_compatibility(self, subject: str, schema: Schema) -> list[str]:
        """Return why ``register`` would refuse a schema as incompatible; empty when it would not.

        Raises:
            SchemaInvalid: It is not a schema.
        """
        ...

    def set_compatibility(self, subject: str, level: Compatibility) -> None:
        """Set how the versions of a subject must relate from now on."""
        ...

    def close(self) -> None:
        """Release connections. Idempotent."""
        ...
