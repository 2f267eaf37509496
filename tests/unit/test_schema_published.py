"""Published versions never change, and each reads all earlier ones."""

from __future__ import annotations

import io
import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import fastavro
import pytest

from schemas.compatibility import reads
from schemas.errors import SchemaError
from schemas.published import (
    DIGESTS_FILE,
    PublishedSchema,
    all_versions,
    changed_files,
    newest,
    newest_by_topic,
    versions,
)
from schemas.settings import KafkaSettings

EARLIER = [
    pytest.param(new, old, id=f"{new.name} v{new.version} reads v{old.version}")
    for new in all_versions()
    for old in versions(new.name)
    if old.version <= new.version
]


def copied(directory: Path) -> Path:
    with resources.as_file(resources.files("schemas") / "avro") as source:
        return Path(shutil.copytree(source, directory / "avro"))


def full_value(kind: Any, named: dict[str, Any]) -> Any:
    """A value of a type with every optional part present."""
    if isinstance(kind, list):
        kind = kind[-1]
    if isinstance(kind, str):
        kind = named.get(kind, kind)
    name = kind if isinstance(kind, str) else kind["type"]
    simple = {"string": "01934f3e-0000-7000-8000-000000000001", "int": 7, "long": 8, "double": 0.5, "boolean": True}
    match name:
        case "record":
            return {f["name"]: full_value(f["type"], named) for f in kind["fields"]}
        case "enum":
            return kind["symbols"][-1]
        case "array":
            return [full_value(kind["items"], named)] * 2
        case "map":
            return {"k": full_value(kind["values"], named)}
    return simple[name]


@pytest.mark.parametrize(("new", "old"), EARLIER)
def test_each_version_reads_all_earlier_ones(new: PublishedSchema, old: PublishedSchema) -> None:
    named: dict[str, Any] = {}
    writer = fastavro.parse_schema(dict(old.schema), named)
    required = {f["name"]: full_value(f["type"], named) for f in old.schema["fields"] if "default" not in f}
    for value in (full_value(writer, named), required):
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, writer, value)
        stream.seek(0)
        read: Any = fastavro.schemaless_reader(stream, writer, fastavro.parse_schema(dict(new.schema)))
        assert stream.read() == b""
        assert set(read) == {f["name"] for f in new.schema["fields"]}
    assert reads(new.schema, old.schema) == []


def test_published_files_have_not_changed() -> None:
    assert changed_files() == []


def test_a_change_of_a_published_file_is_found(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    file = directory / "actor.v1.avsc"
    file.write_text(file.read_text() + "\n")
    (problem,) = changed_files(directory)
    assert problem.startswith("actor.v1.avsc: it was published with SHA-256")


def test_a_file_that_was_removed_or_never_recorded_is_found(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / "actor.v1.avsc").rename(directory / "actor.v2.avsc")
    found = changed_files(directory)
    assert [p.partition(":")[0] for p in found] == ["actor.v1.avsc", "actor.v2.avsc"]


def test_a_digest_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / DIGESTS_FILE).write_text("nonsense\n")
    with pytest.raises(SchemaError, match="nonsense"):
        changed_files(directory)


def test_versions_are_counted_from_one_without_gap() -> None:
    for name in ("audit_event", "actor"):
        assert [p.version for p in versions(name)] == list(range(1, len(versions(name)) + 1))
        assert newest(name) == versions(name)[-1]


def test_versions_are_sorted_as_numbers(tmp_path: Path) -> None:
    for number in (10, 9):
        (tmp_path / f"x.v{number}.avsc").write_text(json.dumps({"type": "string"}))
    assert [p.version for p in all_versions(tmp_path)] == [9, 10]


def test_a_name_that_was_never_published_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        versions("nonsense")


def test_each_topic_has_its_schema_and_no_topic_has_none() -> None:
    settings = KafkaSettings(events_topic="e", actors_topic="a")
    assert {t: p.name for t, p in newest_by_topic(settings).items()} == {"e": "audit_event", "a": "actor"}
    assert list(newest_by_topic(KafkaSettings(actors_topic=""))) == ["audit.events"]


def test_every_field_of_a_published_schema_is_documented() -> None:
    def undocumented(node: Any, place: str) -> list[str]:
        if isinstance(node, list):
            return [p for part in node for p in undocumented(part, place)]
        if not isinstance(node, dict):
            return []
        own = [f"{place}.{f['name']}" for f in node.get("fields", ()) if not f.get("doc")]
        inner = [p for f in node.get("fields", ()) for p in undocumented(f["type"], f"{place}.{f['name']}")]
        return [*own, *inner, *undocumented(node.get("items"), place)]

    assert [p for s in all_versions() for p in undocumented(s.schema, s.name)] == []
