"""The promise of a schema registry, kept by the one inside the process and by the client of a real one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SchemaIncompatible, SchemaInvalid, SchemaNotFound
from schemas.published import newest
from schemas.registry import Registry, open_registry, value_subject
from schemas.settings import RegistrySettings

ABSENT_ID = 2_000_000_000


@pytest.fixture(params=["memory", "real"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    is_memory = request.param == "memory"
    url = f"mock://{uuid.uuid4()}" if is_memory else request.getfixturevalue("schema_registry_url")
    opened = open_registry(RegistrySettings(url=url, cache_dir=tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def subject(registry: Registry) -> str:
    """A subject that nobody has used, with the level BACKWARD."""
    name = value_subject(f"test.{uuid.uuid4()}")
    registry.set_compatibility(name, "BACKWARD")
    return name


def schema(*fields: str, **more: Any) -> dict[str, Any]:
    """A record of required text fields, and one with a default for each name that ends in ``?``."""
    parts = [{"name": f.rstrip("?"), "type": "string", **({"default": ""} if f.endswith("?") else {})} for f in fields]
    return {"type": "record", "name": f"R{uuid.uuid4().hex}", "fields": parts, **more}


def test_a_schema_that_was_registered_is_found_by_its_id(registry: Registry, subject: str) -> None:
    given = schema("a", doc='Текст "quoted" \\ and\nlines')
    assert registry.schema(registry.register(subject, given)) == given


def test_registering_again_changes_nothing(registry: Registry, subject: str) -> None:
    given = schema("a")
    ids = {registry.register(subject, given) for _ in range(3)}
    assert len(ids) == 1
    assert list(registry.versions(subject)) == [1]


def test_the_order_of_keys_makes_no_other_schema(registry: Registry, subject: str) -> None:
    given = schema("a")
    turned = dict(reversed(given.items()))
    assert registry.register(subject, given) == registry.register(subject, turned) == registry.id_of(subject, turned)


def test_one_schema_has_one_id_in_all_subjects(registry: Registry, subject: str) -> None:
    given, other = schema("a"), value_subject(f"test.{uuid.uuid4()}")
    assert registry.register(subject, given) == registry.register(other, given)
    assert {subject, other} <= set(registry.subjects())


def test_another_schema_has_another_id_and_is_the_newest_version(registry: Registry, subject: str) -> None:
    first = schema("a")
    second = {**first, "fields": [*first["fields"], {"name": "b", "type": "string", "default": ""}]}
    old, new = registry.register(subject, first), registry.register(subject, second)
    latest = registry.latest(subject)
    assert old != new
    assert (latest.subject, latest.version, latest.schema_id, latest.schema) == (subject, 2, new, second)
    assert list(registry.versions(subject)) == [1, 2]
    assert registry.id_of(subject, first) == old


def test_a_subject_that_does_not_exist_is_not_found(registry: Registry) -> None:
    absent = value_subject(f"test.{uuid.uuid4()}")
    for ask in (registry.latest, registry.versions, lambda s: registry.id_of(s, schema("a"))):
        with pytest.raises(SchemaNotFound) as caught:
            ask(absent)
        assert caught.value.subject == absent


def test_a_schema_of_another_subject_is_not_found_under_this_one(registry: Registry, subject: str) -> None:
    registry.register(subject, schema("a"))
    with pytest.raises(SchemaNotFound):
        registry.id_of(subject, schema("a"))


def test_an_id_that_does_not_exist_is_not_found(registry: Registry) -> None:
    with pytest.raises(SchemaNotFound) as caught:
        registry.schema(ABSENT_ID)
    assert caught.value.schema_id == ABSENT_ID


def test_a_version_that_cannot_read_the_one_before_is_refused_with_the_place(registry: Registry, subject: str) -> None:
    first = schema("a")
    second = {**first, "fields": [{"name": "b", "type": "string"}]}
    registry.register(subject, first)
    problems = registry.check_compatibility(subject, second)
    assert f"{first['name']}.b: the writer has no such field, and the reader has no default for it" in problems
    with pytest.raises(SchemaIncompatible) as caught:
        registry.register(subject, second)
    assert subject in str(caught.value)
    assert caught.value.problems
    assert list(registry.versions(subject)) == [1]


def test_a_version_that_reads_the_one_before_is_compatible(registry: Registry, subject: str) -> None:
    first = schema("a", "b")
    registry.register(subject, first)
    assert registry.check_compatibility(subject, {**first, "fields": first["fields"][:1]}) == []


def test_anything_is_compatible_with_a_subject_that_is_empty(registry: Registry) -> None:
    assert registry.check_compatibility(value_subject(f"test.{uuid.uuid4()}"), schema("a")) == []


def test_the_level_decides_what_is_compatible(registry: Registry, subject: str) -> None:
    first = schema("a?", "b")
    without_b = {**first, "fields": first["fields"][:1]}
    registry.register(subject, first)
    registry.set_compatibility(subject, "FORWARD")
    assert registry.check_compatibility(subject, without_b) != []
    registry.set_compatibility(subject, "FULL")
    assert registry.check_compatibility(subject, without_b) != []
    registry.set_compatibility(subject, "NONE")
    assert registry.check_compatibility(subject, without_b) == []
    assert registry.register(subject, without_b)


def test_a_transitive_level_looks_at_all_versions(registry: Registry, subject: str) -> None:
    first, name = schema("a"), {"name": "b", "type": "string", "default": ""}
    second = {**first, "fields": [*first["fields"], name]}
    third = {**first, "fields": [*first["fields"], {"name": "b", "type": "string"}]}
    registry.register(subject, first)
    registry.register(subject, second)
    assert registry.check_compatibility(subject, third) == []
    registry.set_compatibility(subject, "BACKWARD_TRANSITIVE")
    assert registry.check_compatibility(subject, third) != []
    with pytest.raises(SchemaIncompatible):
        registry.register(subject, third)
    registry.set_compatibility(subject, "BACKWARD")
    assert registry.register(subject, third)


def test_what_is_not_a_schema_is_refused(registry: Registry, subject: str) -> None:
    with pytest.raises(SchemaInvalid):
        registry.register(subject, {"type": "nonsense"})


def test_a_subject_may_have_any_characters(registry: Registry) -> None:
    odd = f"a/b ä%2F?#{uuid.uuid4()}-value"
    registry.register(odd, schema("a"))
    assert odd in registry.subjects()
    assert registry.latest(odd).subject == odd


def test_threads_that_register_at_once_get_one_id(registry: Registry, subject: str) -> None:
    given = schema("a")
    registry.register(subject, given)
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: registry.register(subject, given), range(24)))
    assert len(ids) == 1
    assert list(registry.versions(subject)) == [1]


@pytest.mark.parametrize("name", ["audit_event", "actor"])
def test_our_own_schemas_come_back_as_they_are(registry: Registry, subject: str, name: str) -> None:
    published = newest(name).schema
    schema_id = registry.register(subject, published)
    assert registry.schema(schema_id) == published == registry.latest(subject).schema
    assert registry.check_compatibility(subject, published) == []


def test_closing_twice_is_harmless(registry: Registry) -> None:
    registry.close()
    registry.close()
