"""The five bytes in front of each event: which registry id the schema of a version has."""

from __future__ import annotations

from schemas.columns import avro_schema
from schemas.registry import Registry, value_subject
from schemas.wire import frame


class SchemaHeaders:
    """Wire headers by version of the AuditEvent schema, asked from the registry once each."""

    def __init__(self, registry: Registry, topic: str, *, auto_register: bool) -> None:
        """Remember where to ask.

        Args:
            registry: Registry client, with its own cache for outages.
            topic: Topic of the events; the subject follows from its name.
            auto_register: Register a schema that the registry does not have.
        """
        self._registry, self._subject = registry, value_subject(topic)
        self._auto_register = auto_register
        self._headers: dict[int, bytes] = {}

    def known(self, version: int) -> bytes | None:
        """Return a header without asking anyone, None when it is not known yet."""
        return self._headers.get(version)

    def resolve(self, version: int) -> bytes:
        """Return a header, asking the registry if need be.

        Raises:
            RegistryUnavailable: An outage, and the id was never seen on this machine.
            RegistryRefused: Address or credentials are wrong.
            SchemaNotFound: The schema is not registered and ``auto_register`` is off.
            SchemaIncompatible: The registry does not take the schema.
        """
        header = self._headers.get(version)
        if header is None:
            schema = avro_schema("audit_event", version)
            ask = self._registry.register if self._auto_register else self._registry.id_of
            header = self._headers[version] = frame(ask(self._subject, schema), b"")
        return header
