"""Settings: where they come from, what is refused, and how it is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from auditstream.commands.settings import reference, settings
from auditstream.redaction import hidden
from auditstream.settings import SettingsError, load_settings, read_settings, setting_fields
from schemas.settings import RegistrySettings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return monkeypatch


def _file(tmp_path: Path, environment: pytest.MonkeyPatch, text: str) -> str:
    path = tmp_path / "auditstream.toml"
    path.write_text(text, "utf-8")
    environment.setenv("AUDITSTREAM_CONFIG", str(path))
    return str(path)


def _problems(**overrides: dict[str, object]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    return caught.value.problems


def test_without_environment_and_file_every_setting_has_its_default() -> None:
    loaded = read_settings()
    assert loaded.origins == {}
    assert loaded.settings.worker.batch_rows == 50_000


def test_a_variable_sets_a_value_whose_name_has_underscores(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUDITSTREAM_KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2")
    assert load_settings().kafka.bootstrap_servers == "a:1,b:2"


def test_the_section_validate_is_set_by_variable_and_by_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("AUDITSTREAM_VALIDATE_MAX_ITEMS", "5")
    _file(tmp_path, environment, '[validate]\ncatalogue = "strict"\n')
    found = load_settings().validate_
    assert (found.max_items, found.catalogue) == (5, "strict")


def test_the_environment_wins_over_the_file_and_an_argument_over_both(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = _file(tmp_path, environment, "[worker]\nbatch_rows = 1\nbatch_bytes = 2\nmemory_bytes = 3\n")
    environment.setenv("AUDITSTREAM_WORKER_BATCH_ROWS", "10")
    environment.setenv("AUDITSTREAM_WORKER_BATCH_BYTES", "20")
    loaded = read_settings(worker={"batch_rows": 100})
    worker = loaded.settings.worker
    assert (worker.batch_rows, worker.batch_bytes, worker.memory_bytes) == (100, 20, 3)
    origins = [loaded.origins[f"worker.{key}"] for key in ("batch_rows", "batch_bytes", "memory_bytes")]
    assert origins == ["the command line", "environment", path]


def test_a_whole_section_can_be_given_as_an_argument() -> None:
    section = RegistrySettings(url="mock://here", password=SecretStr("pw"))
    assert load_settings(registry=section).registry == section


@pytest.mark.parametrize("text", ["a.toml,b.toml", '["a.toml", "b.toml"]', " a.toml , b.toml ,"])
def test_a_list_is_written_with_commas_or_as_json(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("AUDITSTREAM_CATALOGUE_FILES", text)
    assert load_settings().catalogue.files == (Path("a.toml"), Path("b.toml"))


@pytest.mark.parametrize("text", ["x.y=1,z=two=2", '{"x.y": "1", "z": "two=2"}'])
def test_a_table_is_written_as_pairs_or_as_json(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("AUDITSTREAM_KAFKA_EXTRA", text)
    assert load_settings().kafka.extra == {"x.y": "1", "z": "two=2"}


def test_a_table_of_tables_is_written_as_json_or_in_the_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = {"acme": {"api": 3, "*": 30}}
    environment.setenv("AUDITSTREAM_RETENTION_TENANTS", json.dumps(wanted))
    assert load_settings().retention.tenants == wanted
    environment.delenv("AUDITSTREAM_RETENTION_TENANTS")
    _file(tmp_path, environment, '[retention.tenants.acme]\napi = 3\n"*" = 30\n')
    assert load_settings().retention.tenants == wanted


def test_an_empty_variable_is_no_value_for_a_path_and_an_empty_text_for_a_text(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("AUDITSTREAM_KAFKA_SSL_CA_FILE", "")
    environment.setenv("AUDITSTREAM_KAFKA_ACTORS_TOPIC", "")
    kafka = load_settings().kafka
    assert kafka.ssl_ca_file is None
    assert kafka.actors_topic == ""


def test_all_problems_are_named_at_once_with_key_value_and_what_was_expected(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = _file(tmp_path, environment, '[clickhouse]\nport = 70000\ncolour = "red"\n[wroker]\n')
    environment.setenv("AUDITSTREAM_WORKER_BATCH_ROWS", "many")
    environment.setenv("AUDITSTREAM_LOG_FORMAT", "xml")
    environment.setenv("AUDITSTREAM_WORKER_BATCH_ROW", "1")
    environment.setenv("AUDITSTREAM_KAFKA_EXTRA", "novalue")
    assert _problems() == [
        f"clickhouse.colour in {path} is not a setting; `auditstream settings` lists them all",
        f"[wroker] in {path} is not a section; did you mean worker?",
        "AUDITSTREAM_KAFKA_EXTRA (environment): expected JSON or name=value with commas between, entry 1 has no =",
        "AUDITSTREAM_WORKER_BATCH_ROW is not a setting; did you mean AUDITSTREAM_WORKER_BATCH_ROWS?",
        f"clickhouse.port = 70000 ({path}): expected less than or equal to 65535",
        "AUDITSTREAM_WORKER_BATCH_ROWS = 'many' (environment): expected a valid integer, "
        "unable to parse string as an integer",
        "AUDITSTREAM_LOG_FORMAT = 'xml' (environment): expected 'json' or 'keyvalue'",
    ]


def test_a_secret_never_shows_in_a_message(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _file(tmp_path, environment, "[kafka]\nsasl_password = 12345678\nextra = {'sasl.password' = 87654321}\n")
    text = "\n".join(_problems())
    assert "kafka.sasl_password = *****" in text
    assert "kafka.extra.sasl.password = *****" in text
    assert "12345678" not in text
    assert "87654321" not in text


def test_a_missing_file_and_a_broken_one_are_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("AUDITSTREAM_CONFIG", str(tmp_path / "none.toml"))
    assert "none.toml': the file cannot be read: No such file or directory" in _problems()[0]
    _file(tmp_path, environment, "[worker\n")
    assert "the file is not TOML" in _problems()[0]


def test_switches_of_the_test_suite_are_not_taken_for_settings(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUDITSTREAM_REQUIRE", "kafka")
    environment.setenv("AUDITSTREAM_TEST_KAFKA", "host:1")
    assert read_settings().origins == {}


def test_every_setting_has_a_reason_and_a_name_of_its_own() -> None:
    fields = setting_fields().values()
    assert [f.name for f in fields if not f.reason] == []
    assert len({f.variable for f in fields}) == len(fields)


def test_no_section_has_an_underscore_so_that_a_variable_has_one_reading() -> None:
    assert [f.section for f in setting_fields().values() if "_" in f.section] == []


def test_the_listing_shows_value_origin_and_default_and_hides_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AUDITSTREAM_KAFKA_SASL_PASSWORD", "pa55")
    environment.setenv("AUDITSTREAM_KAFKA_EXTRA", "ssl.key.pem=pa55,client.id=me")
    environment.setenv("AUDITSTREAM_WORKER_BATCH_AGE_S", "0.5")
    result = CliRunner().invoke(settings, ["--changed", "--format", "json"], catch_exceptions=False)
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert list(rows) == ["kafka.sasl_password", "kafka.extra", "worker.batch_age_s"]
    age = rows["worker.batch_age_s"]
    assert (age["value"], age["default"], age["unit"], age["source"]) == ("0.5", "1.0", "seconds", "environment")
    assert '"client.id": "me"' in rows["kafka.extra"]["value"]
    assert "pa55" not in result.output


def test_the_listing_has_every_setting() -> None:
    result = CliRunner().invoke(settings, ["--format", "json"], catch_exceptions=False)
    assert [row["name"] for row in json.loads(result.stdout)] == list(setting_fields())


def test_the_reference_page_is_what_the_fields_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text("utf-8") == reference(), "run `make docs`"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("sasl_password", "x", "*****"),
        ("password", "", ""),
        ("token", "x", "*****"),
        ("dedup_token", "x", "x"),
        ("config", {"sasl.password": "x", "client.id": "y"}, {"sasl.password": "*****", "client.id": "y"}),
        ("url", "https://me:pw@registry:1/x", "https://*****@registry:1/x"),
        ("hosts", ("http://u:p@h",), ["http://*****@h"]),
    ],
)
def test_secrets_are_hidden_by_name_and_in_urls(name: str, value: object, shown: object) -> None:
    assert hidden(name, value) == shown
