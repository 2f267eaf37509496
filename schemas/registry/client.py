"""A Confluent-compatible schema registry over HTTP, with what it said last kept on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import structlog

from schemas.compatibility import reads
from schemas.errors import (
    RegistryRefused,
    RegistryUnavailable,
    SchemaIncompatible,
    SchemaInvalid,
    SchemaNotFound,
    SchemaUnsupported,
)
from schemas.registry.cache import SchemaCache
from schemas.registry.connection import Answer, Connection, Json
from schemas.registry.promise import Compatibility, RegisteredSchema, Schema, canonical
from schemas.settings import RegistrySettings

_log = structlog.get_logger(__name__)

#: No such subject, version, schema, or level of a subject. Source: Confluent Schema Registry API reference, "Errors".
_NOT_FOUND = frozenset({40401, 40402, 40403, 40408})
_CONFLICT = 409
_UNPROCESSABLE = 422
_UNKNOWN_ADVICE = "check registry.url, and the version of the registry: it must speak the Confluent API"


class SchemaRegistry:
    """The client of a registry, as ``Registry`` promises.

    What the registry says always wins, so that workers with and without a cache decide alike: the disk answers
    only while the registry does not. With something on disk to fall back on, one attempt is made instead of all.
    A schema is asked for once per process, since an id never changes its meaning.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] | None = None,
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            settings: Address, credentials, patience and directory of the cache.
            transport: Replaces the network.
            sleep: Waits that many seconds.
            jitter: Returns a share from 0 to 1 of the longest pause between attempts.

        Raises:
            RegistryRefused: The address is not a URL, or the certificate file cannot be read.
        """
        self._connection = Connection(settings, transport=transport, sleep=sleep, jitter=jitter)
        self._cache = SchemaCache(settings.cache_dir, self._connection.url)
        self._schemas: dict[int, Schema] = {}

    def register(self, subject: str, schema: Schema) -> int:
        """Add a schema to a subject; during an outage return the id if it was added before."""
        return self._id(f"/subjects/{_quoted(subject)}/versions", subject, schema)

    def id_of(self, subject: str, schema: Schema) -> int:
        """Return the id of a subject's schema; during an outage the one that is on disk."""
        return self._id(f"/subjects/{_quoted(subject)}", subject, schema)

    def schema(self, schema_id: int) -> Schema:
        """Return the schema of an id; during an outage the one that is on disk."""
        if schema_id not in self._schemas:
            self._schemas[schema_id] = self._look_up(schema_id)
        return self._schemas[schema_id]

    def latest(self, subject: str) -> RegisteredSchema:
        """Return the newest version of a subject; only the registry knows."""
        body = self._ask("GET", f"/subjects/{_quoted(subject)}/versions/latest", subject=subject)
        return RegisteredSchema(body["subject"], body["version"], body["id"], _avro(body, f"subject {subject}"))

    def subjects(self) -> Sequence[str]:
        """Return all subjects in alphabetical order."""
        return sorted(self._ask("GET", "/subjects"))

    def versions(self, subject: str) -> Sequence[int]:
        """Return the version numbers of a subject, ascending."""
        return sorted(self._ask("GET", f"/subjects/{_quoted(subject)}/versions", subject=subject))

    def check_compatibility(self, subject: str, schema: Schema) -> list[str]:
        """Return why ``register`` would refuse a schema, in the registry's words and in ours."""
        try:
            path = f"/compatibility/subjects/{_quoted(subject)}/versions{self._compared(subject)}?verbose=true"
            body = self._ask("POST", path, _body(schema), subject=subject)
        except SchemaNotFound:
            return []
        return [] if body["is_compatible"] else self._reasons(subject, schema, _messages(body))

    def set_compatibility(self, subject: str, level: Compatibility) -> None:
        """Set how the versions of a subject must relate from now on."""
        self._ask("PUT", f"/config/{_quoted(subject)}", {"compatibility": level}, subject=subject)

    def close(self) -> None:
        """Release connections. Idempotent."""
        self._connection.close()

    def _look_up(self, schema_id: int) -> Schema:
        stored = self._cache.schema(schema_id)
        try:
            body = self._ask("GET", f"/schemas/ids/{schema_id}", schema_id=schema_id, patient=stored is None)
        except RegistryUnavailable as outage:
            if stored is None:
                raise
            _log.warning("schema_from_cache", schema_id=schema_id, reason=outage.detail)
            return stored
        schema = _avro(body, f"schema id {schema_id}")
        if stored is None or canonical(stored) != canonical(schema):
            self._warn_of_change(schema_id, stored)
            self._cache.store_schema(schema_id, schema)
        return schema

    @staticmethod
    def _warn_of_change(schema_id: int, stored: Schema | None) -> None:
        if stored is not None:
            _log.warning(
                "schema_id_changed_its_meaning", schema_id=schema_id, consequence="the registry's answer is used"
            )

    def _id(self, path: str, subject: str, schema: Schema) -> int:
        stored = self._cache.schema_id(subject, schema)
        try:
            body = self._ask("POST", path, _body(schema), subject=subject, patient=stored is None)
        except RegistryUnavailable as outage:
            if stored is None:
                raise
            _log.warning("schema_id_from_cache", subject=subject, schema_id=stored, reason=outage.detail)
            return stored
        schema_id = int(body["id"])
        if schema_id != stored:
            self._cache.store_schema_id(subject, schema, schema_id)
            self._cache.store_schema(schema_id, schema)
        return schema_id

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        schema_id: int = 0,
        subject: str = "",
        patient: bool = True,
    ) -> Json:
        answer = self._connection.ask(method, path, body, patient=patient)
        if answer.status < 400:
            return answer.body
        if answer.error_code in _NOT_FOUND:
            raise SchemaNotFound(schema_id, subject)
        if answer.status == _CONFLICT:
            raise SchemaIncompatible(f"subject {subject}", [answer.message])
        if answer.status == _UNPROCESSABLE:
            raise SchemaInvalid(f"subject {subject}", answer.message)
        raise self._refused(method, path, answer)

    def _refused(self, method: str, path: str, answer: Answer) -> RegistryRefused:
        detail = f"{method} {self._connection.url}{path}: HTTP {answer.status} {answer.message}".rstrip()
        return RegistryRefused(detail, _UNKNOWN_ADVICE, status=answer.status)

    def _compared(self, subject: str) -> str:
        # Without a version Confluent goes by the subject's level, but Apicurio always compares with all versions.
        try:
            body = self._ask("GET", f"/config/{_quoted(subject)}?defaultToGlobal=true", subject=subject)
        except SchemaNotFound:
            return "/latest"
        return "" if str(body["compatibilityLevel"]).endswith("TRANSITIVE") else "/latest"

    def _reasons(self, subject: str, schema: Schema, messages: list[str]) -> list[str]:
        # Registries name the place tersely or not at all; our own comparison says it in words.
        explanation = [p for p in reads(schema, self.latest(subject).schema) if p not in messages]
        return [*explanation, *messages] or ["the registry calls it incompatible and gives no reason"]


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _body(schema: Schema) -> dict[str, Any]:
    # Some registries compare the text and not the data; the canonical text keeps one schema under one id.
    return {"schema": canonical(schema)}


def _messages(body: dict[str, Any]) -> list[str]:
    # Confluent answers a list, Apicurio one text.
    reason = body.get("reason")
    return [str(m) for m in body.get("messages") or ([reason] if reason else [])]


def _avro(body: dict[str, Any], what: str) -> Schema:
    kind = body.get("schemaType") or "AVRO"
    if kind != "AVRO":
        raise SchemaUnsupported(what, f"it is of type {kind}, expected AVRO")
    if body.get("references"):
        raise SchemaUnsupported(what, "it refers to other schemas of the registry, expected a schema in one piece")
    try:
        schema: Json = json.loads(body["schema"])
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaInvalid(what, f"the registry's answer holds no JSON schema: {error}") from error
    if not isinstance(schema, dict):
        raise SchemaUnsupported(what, "it is a union or a bare type, expected a record")
    return schema
