"""The published versions of our own schemas: files that never change once they are out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from schemas.errors import SchemaError
from schemas.settings import KafkaSettings

#: Digests of the published files, in the format of ``sha256sum``.
DIGESTS_FILE = "published.sha256"
_FILE_NAME = re.compile(r"(?P<name>[a-z_]+)\.v(?P<version>[1-9][0-9]*)\.avsc")


@dataclass(frozen=True, slots=True)
class PublishedSchema:
    """One published version.

    Attributes:
        name: ``audit_event`` or ``actor``.
        version: Number of the version, from 1.
        file: Name of its file.
        sha256: SHA-256 of the file, hexadecimal.
        schema: The schema as JSON data.
    """

    name: str
    version: int
    file: str
    sha256: str
    schema: Mapping[str, Any]


def _directory() -> Traversable:
    return resources.files("schemas").joinpath("avro")


def _published(file: Traversable) -> PublishedSchema | None:
    match = _FILE_NAME.fullmatch(file.name)
    if match is None:
        return None
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return PublishedSchema(match["name"], int(match["version"]), file.name, digest, json.loads(content))


def all_versions(directory: Traversable | None = None) -> tuple[PublishedSchema, ...]:
    """Return every published version, by name and version.

    Args:
        directory: Where the files are; our own when None.
    """
    found = [_published(f) for f in (directory or _directory()).iterdir()]
    return tuple(sorted((p for p in found if p), key=lambda p: (p.name, p.version)))


def versions(name: str) -> tuple[PublishedSchema, ...]:
    """Return all published versions of a schema, oldest first.

    Args:
        name: ``audit_event`` or ``actor``.

    Raises:
        KeyError: Nothing of that name is published.
    """
    found = tuple(p for p in all_versions() if p.name == name)
    if not found:
        raise KeyError(name)
    return found


def newest(name: str) -> PublishedSchema:
    """Return the newest published version of a schema.

    Args:
        name: ``audit_event`` or ``actor``.

    Raises:
        KeyError: Nothing of that name is published.
    """
    return versions(name)[-1]


def newest_by_topic(settings: KafkaSettings) -> Mapping[str, PublishedSchema]:
    """Return the schema that belongs on each of our topics; the actors' topic may be switched off."""
    topics = {settings.events_topic: "audit_event", settings.actors_topic: "actor"}
    return {topic: newest(name) for topic, name in topics.items() if topic}


def changed_files(directory: Traversable | None = None) -> Sequence[str]:
    """Return what differs between the files and the digests checked in beside them.

    Args:
        directory: Where files and digests are; our own when None.

    Returns:
        One sentence per difference, naming the file; empty when nothing changed.

    Raises:
        SchemaError: A line of the digest file cannot be read.
    """
    place = directory or _directory()
    recorded = dict(_recorded(line) for line in place.joinpath(DIGESTS_FILE).read_text().splitlines())
    found = {p.file: p.sha256 for p in all_versions(place)}
    missing = [f"{file}: it was published and is gone" for file in recorded.keys() - found.keys()]
    added = [f"{file}: its digest {found[file]} is not in {DIGESTS_FILE}" for file in found.keys() - recorded.keys()]
    changed = [
        f"{file}: it was published with SHA-256 {recorded[file]} and now has {found[file]}; add a new version instead"
        for file in recorded.keys() & found.keys()
        if recorded[file] != found[file]
    ]
    return sorted([*missing, *added, *changed])


def _recorded(line: str) -> tuple[str, str]:
    digest, separator, file = line.partition("  ")
    if not separator:
        raise SchemaError(f"{DIGESTS_FILE}: {line!r} is not a digest, two blanks and a file name")
    return file, digest
