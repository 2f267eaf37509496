"""The registry of this process, served to other processes and asked by the ordinary client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.columns import avro_schema
from schemas.errors import SchemaIncompatible, SchemaNotFound
from schemas.registry import MemoryRegistry, SchemaRegistry
from schemas.registry.serving import RegistryServer
from schemas.settings import RegistrySettings

NUMBER = {"type": "record", "name": "N", "fields": [{"name": "n", "type": "long"}]}
OTHER = {"type": "record", "name": "N", "fields": [{"name": "n", "type": "long"}, {"name": "m", "type": "long"}]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[SchemaRegistry]:
    server = RegistryServer(MemoryRegistry())
    opened = SchemaRegistry(RegistrySettings(url=server.url, cache_dir=tmp_path, retries=0))
    yield opened
    opened.close()
    server.close()


def test_a_schema_comes_back_under_the_id_it_was_registered_with(client: SchemaRegistry) -> None:
    schema = avro_schema("audit_event", 1)
    schema_id = client.register("audit.events-value", schema)
    assert client.id_of("audit.events-value", schema) == schema_id
    assert client.schema(schema_id) == schema
    assert client.latest("audit.events-value").version == 1
    assert client.subjects() == ["audit.events-value"]
    assert client.versions("audit.events-value") == [1]


def test_refusals_cross_the_wire_as_what_they_are(client: SchemaRegistry) -> None:
    client.register("s", NUMBER)
    with pytest.raises(SchemaIncompatible):
        client.register("s", OTHER)
    assert client.check_compatibility("s", OTHER)
    with pytest.raises(SchemaNotFound):
        client.schema(99)
    client.set_compatibility("s", "NONE")
    assert client.register("s", OTHER) == 2
