"""What a client keeps on disk, and when the disk answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from schemas.errors import RegistryRefused, RegistryUnavailable, SchemaInvalid, SchemaNotFound, SchemaUnsupported
from schemas.registry import SchemaRegistry
from schemas.registry.cache import SchemaCache
from schemas.settings import RegistrySettings

URL = "http://registry.test"
SCHEMA = {"type": "record", "name": "R", "fields": [{"name": "ключ", "type": "string"}]}
OTHER = {"type": "record", "name": "R", "fields": []}


class Answers:
    """A registry's side of the wire: one answer to everything, or none during an outage."""

    def __init__(self, status: int = 200, body: object = None) -> None:
        self.status, self.body, self.is_away, self.asked = status, body, False, 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.is_away:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(self.status, json=self.body)


def schema_answer(schema: object, **more: object) -> dict[str, object]:
    return {"schema": json.dumps(schema), **more}


def client(directory: Path, answers: Answers, url: str = URL) -> SchemaRegistry:
    settings = RegistrySettings(url=url, cache_dir=directory, retries=2)
    transport = httpx.MockTransport(answers.handle)
    return SchemaRegistry(settings, transport=transport, sleep=lambda _: None, jitter=lambda: 0.0)


def only_file(directory: Path, pattern: str) -> Path:
    (file,) = directory.rglob(pattern)
    return file


def away() -> Answers:
    answers = Answers()
    answers.is_away = True
    return answers


def test_a_worker_restarts_during_an_outage_with_the_schemas_it_has_seen(tmp_path: Path) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    restarted, outage = away(), None
    with capture_logs() as logs:
        outage = client(tmp_path, restarted).schema(7)
    assert outage == SCHEMA
    assert [entry["event"] for entry in logs] == ["schema_from_cache"]
    assert restarted.asked == 1, "with an answer on disk one attempt is enough"


def test_an_id_never_seen_is_an_outage_and_not_bad_data(tmp_path: Path) -> None:
    answers = away()
    with pytest.raises(RegistryUnavailable):
        client(tmp_path, answers).schema(7)
    assert answers.asked == 3, "without an answer on disk all attempts are made"


def test_a_schema_is_asked_for_once_in_a_process(tmp_path: Path) -> None:
    answers = Answers(body=schema_answer(SCHEMA))
    opened = client(tmp_path, answers)
    assert opened.schema(7) == opened.schema(7) == SCHEMA
    assert answers.asked == 1


@pytest.mark.parametrize("code", [40403, 40401, 40402])
def test_an_id_the_registry_does_not_have_is_not_found_even_with_something_on_disk(tmp_path: Path, code: int) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    with pytest.raises(SchemaNotFound) as caught:
        client(tmp_path, Answers(404, {"error_code": code, "message": "none"})).schema(7)
    assert caught.value.schema_id == 7


@pytest.mark.parametrize("body", [{"error_code": 404}, {"detail": "Not Found"}, {"error_code": 0}, []])
def test_a_404_that_is_not_the_registrys_own_is_a_wrong_address(tmp_path: Path, body: object) -> None:
    with pytest.raises(RegistryRefused, match=r"check registry\.url"):
        client(tmp_path, Answers(404, body)).schema(7)


def test_the_registry_wins_over_the_disk_and_the_difference_is_told(tmp_path: Path) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    with capture_logs() as logs:
        assert client(tmp_path, Answers(body=schema_answer(OTHER))).schema(7) == OTHER
    assert [entry["event"] for entry in logs] == ["schema_id_changed_its_meaning"]
    assert client(tmp_path, away()).schema(7) == OTHER


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"content": 5}', b"\xff", b'{"content": {"id": 7}, "sha256": "x"}']
)
def test_a_damaged_file_is_told_and_asked_for_again(tmp_path: Path, content: bytes) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    only_file(tmp_path, "id-7.json").write_bytes(content)
    with capture_logs() as logs:
        assert client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7) == SCHEMA
    assert [entry["event"] for entry in logs] == ["schema_cache_file_damaged"]
    assert client(tmp_path, away()).schema(7) == SCHEMA


def test_a_flipped_character_is_noticed(tmp_path: Path) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    file = only_file(tmp_path, "id-7.json")
    file.write_text(file.read_text().replace('"string"', '"binary"'))
    with pytest.raises(RegistryUnavailable):
        client(tmp_path, away()).schema(7)


def test_a_file_under_the_name_of_another_id_does_not_count(tmp_path: Path) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    file = only_file(tmp_path, "id-7.json")
    file.rename(file.with_name("id-8.json"))
    with pytest.raises(RegistryUnavailable):
        client(tmp_path, away()).schema(8)


def test_registries_do_not_share_their_ids(tmp_path: Path) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    with pytest.raises(RegistryUnavailable):
        client(tmp_path, away(), url="http://other.test").schema(7)


def test_credentials_and_a_trailing_slash_do_not_make_another_registry(tmp_path: Path) -> None:
    client(tmp_path, Answers(body=schema_answer(SCHEMA))).schema(7)
    assert client(tmp_path, away(), url="http://ann:pw@registry.test/").schema(7) == SCHEMA


def test_a_producer_starts_during_an_outage_with_the_id_it_was_given(tmp_path: Path) -> None:
    assert client(tmp_path, Answers(body={"id": 9})).register("s-value", SCHEMA) == 9
    with capture_logs() as logs:
        restarted = client(tmp_path, away())
        assert restarted.id_of("s-value", SCHEMA) == 9
        assert restarted.register("s-value", SCHEMA) == 9
        assert restarted.schema(9) == SCHEMA
    assert {entry["event"] for entry in logs} == {"schema_id_from_cache", "schema_from_cache"}


def test_the_id_on_disk_is_that_of_one_subject_and_one_schema(tmp_path: Path) -> None:
    client(tmp_path, Answers(body={"id": 9})).register("s-value", SCHEMA)
    restarted = client(tmp_path, away())
    for subject, schema in (("s-value", OTHER), ("t-value", SCHEMA)):
        with pytest.raises(RegistryUnavailable):
            restarted.id_of(subject, schema)


def test_what_only_the_registry_knows_waits_for_it(tmp_path: Path) -> None:
    opened = client(tmp_path, away())
    for ask in (opened.subjects, lambda: opened.latest("s"), lambda: opened.versions("s")):
        with pytest.raises(RegistryUnavailable):
            ask()


def test_a_directory_that_cannot_be_written_is_told_once_and_does_no_harm(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with capture_logs() as logs:
        opened = client(blocked, Answers(body=schema_answer(SCHEMA)))
        assert opened.schema(7) == opened.schema(8) == SCHEMA
    told = [entry for entry in logs if entry["event"] == "schema_cache_not_writable"]
    assert len(told) == 1


def test_writing_leaves_no_temporary_files_and_readers_see_whole_ones(tmp_path: Path) -> None:
    cache = SchemaCache(tmp_path, URL)
    large = {"type": "record", "name": "R", "doc": "x" * 100_000, "fields": []}
    cache.store_schema(7, large)
    seen: list[Mapping[str, Any] | None] = []
    reader = threading.Thread(target=lambda: seen.extend(cache.schema(7) for _ in range(50)))
    reader.start()
    for _ in range(50):
        cache.store_schema(7, large)
    reader.join()
    assert seen == [large] * 50
    assert [f.name for f in tmp_path.rglob("*") if f.is_file()] == ["id-7.json"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (schema_answer(SCHEMA, schemaType="PROTOBUF"), SchemaUnsupported),
        (schema_answer(SCHEMA, references=[{"name": "x"}]), SchemaUnsupported),
        (schema_answer(["null", "string"]), SchemaUnsupported),
        (schema_answer("string"), SchemaUnsupported),
        ({"schema": "{"}, SchemaInvalid),
        ({"schema": 5}, SchemaInvalid),
        ({}, SchemaInvalid),
    ],
)
def test_an_answer_that_is_not_an_avro_record_is_refused_and_not_kept(
    tmp_path: Path, body: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="schema id 7"):
        client(tmp_path, Answers(body=body)).schema(7)
    assert not list(tmp_path.rglob("*.json"))


def test_an_empty_list_of_references_is_no_reference(tmp_path: Path) -> None:
    assert client(tmp_path, Answers(body=schema_answer(SCHEMA, schemaType="AVRO", references=[]))).schema(7) == SCHEMA
