"""Every published version reads what the versions before it have written, by our decoder as by fastavro."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

import pytest

from avro_reference import compare, mutate, write
from avro_schemas import event, without_logical_types
from consumers.decode import Decoder, SchemaIncompatible
from schemas.published import PublishedSchema, all_versions, newest

PAIRS = [
    (writer, reader)
    for reader in all_versions()
    for writer in all_versions()
    if writer.name == reader.name and writer.version <= reader.version
]
DICTIONARIES = {"audit_event": frozenset({"tenant_id", "user_agent", "actor_roles"}), "actor": frozenset({"tenant_id"})}


def pair_name(value: object) -> str:
    assert isinstance(value, PublishedSchema)
    return value.file


def read_alike(name: str, writer: Mapping[str, Any], reader: Mapping[str, Any]) -> int:
    chance = random.Random(f"{name} is read")
    decoder = Decoder(reader, DICTIONARIES[name], checked=True)
    decoder.add_writer(7, writer)
    plain_writer, plain_reader = without_logical_types(writer), without_logical_types(reader)
    bodies = [write(plain_writer, event(chance, plain_writer)) for _ in range(150)]
    bodies += [mutate(chance, chance.choice(bodies)) for _ in range(150)]
    return compare(decoder, plain_writer, plain_reader, bodies)


@pytest.mark.parametrize(("writer", "reader"), PAIRS, ids=pair_name)
def test_what_an_earlier_version_wrote_is_read_alike(writer: PublishedSchema, reader: PublishedSchema) -> None:
    assert read_alike(writer.name, writer.schema, reader.schema) >= 150


@pytest.mark.parametrize("name", ["audit_event", "actor"])
def test_a_version_to_come_may_add_a_field_with_a_default(name: str) -> None:
    published = newest(name).schema
    added = {"name": "added_later", "type": {"type": "array", "items": "string"}, "default": ["x"], "doc": "Added."}
    to_come = copy.deepcopy(dict(published)) | {"fields": [*published["fields"], added]}
    assert read_alike(name, published, to_come) >= 150


@pytest.mark.parametrize("name", ["audit_event", "actor"])
def test_a_version_to_come_may_not_ask_for_what_earlier_ones_lack(name: str) -> None:
    published = newest(name).schema
    to_come = dict(published) | {"fields": [*published["fields"], {"name": "asked", "type": "string", "doc": "Asked."}]}
    with pytest.raises(SchemaIncompatible, match="asked"):
        Decoder(to_come, DICTIONARIES[name]).add_writer(7, published)
