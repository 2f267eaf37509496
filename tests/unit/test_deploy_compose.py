"""docker-compose.yml and the image: the same settings names, pinned versions, nothing that does not exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditstream import __version__
from auditstream.cli import COMMANDS
from auditstream.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")


def _without_defaults(value: object) -> str:
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", str(value))


def _load(environment: Mapping[str, object], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, _without_defaults(value))
    return load_settings()


def test_every_service_of_the_path_is_there() -> None:
    wanted = {"kafka", "registry", "clickhouse", "migrate", "schemas", "worker", "prometheus", "grafana", "generator"}
    assert wanted <= set(SERVICES)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_a_service_are_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(SERVICES[name]["environment"], monkeypatch)
    assert settings.kafka.bootstrap_servers.partition(":")[0] in SERVICES
    assert settings.registry.url.split("/")[2].partition(":")[0] in SERVICES
    assert settings.clickhouse.host in SERVICES


def test_the_password_of_the_database_is_the_same_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    database = SERVICES["clickhouse"]["environment"]
    settings = _load(SERVICES["worker"]["environment"], monkeypatch).clickhouse
    assert settings.user == database["CLICKHOUSE_USER"]
    assert settings.password.get_secret_value() == _without_defaults(database["CLICKHOUSE_PASSWORD"])


@pytest.mark.parametrize("name", OURS)
def test_the_command_of_a_service_is_a_command(name: str) -> None:
    assert SERVICES[name]["command"][0] in COMMANDS


def test_the_topics_that_are_made_are_those_of_the_settings() -> None:
    made = re.findall(r"--topic (\S+)", SERVICES["topics"]["command"][0])
    kafka = Settings().kafka
    assert made == [kafka.events_topic, kafka.actors_topic]


def test_a_stop_of_the_worker_has_time_to_end_in_order() -> None:
    grace = float(str(SERVICES["worker"]["stop_grace_period"]).removesuffix("s"))
    assert grace > Settings().worker.stop_budget_s


def test_the_page_is_reached_from_outside_of_its_container_and_keeps_what_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = SERVICES["page"]
    image = dict(re.findall(r"(AUDITSTREAM_[A-Z_]+)=(\S+)", DOCKERFILE))
    settings = _load({**image, **page["environment"]}, monkeypatch)
    assert settings.http.host == "0.0.0.0"
    assert page["ports"] == [f"127.0.0.1:{settings.http.port}:{settings.http.port}"]
    assert page["healthcheck"]["test"][-1] == f"http://127.0.0.1:{settings.http.port}/health/ready"
    assert float(str(page["stop_grace_period"]).removesuffix("s")) > settings.http.stop_s
    kept = [volume.partition(":")[2] for volume in page["volumes"]]
    places = (settings.access.spool_dir, settings.resend.spool_dir, settings.export.audit_spool_dir)
    assert [str(place) for place in places if not any(str(place).startswith(f"{path}/") for path in kept)] == []
    assert settings.export.storage.startswith("/var/lib/auditstream/")


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.search(r"\d+\.\d+", tag), SERVICES[name]["image"]


def test_our_image_has_the_version_of_the_package() -> None:
    assert {SERVICES[name]["image"] for name in OURS} == {f"auditstream:{__version__}"}


@pytest.mark.parametrize("name", [n for n, s in SERVICES.items() if s["restart"] != "no" and n != "generator"])
def test_every_server_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_exists_and_can_come_true(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_loopback_only(name: str) -> None:
    assert [port for port in SERVICES[name].get("ports", []) if not port.startswith("127.0.0.1:")] == []


def test_every_volume_is_named_or_a_path_of_the_repository() -> None:
    sources = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    paths = {source for source in sources if source.startswith("./")}
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert sources - paths == set(COMPOSE["volumes"])


def test_docker_compose_accepts_the_file() -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker on the path")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker has no compose")
    command = ["docker", "compose", "-f", str(ROOT / "docker-compose.yml"), "--profile", "load", "config", "--quiet"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_the_image_is_built_from_what_exists_and_is_not_ignored() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").split()
    let_in = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == let_in
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_the_image_holds_every_package_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [p for p in packages if f"COPY {p} {p}\n" not in DOCKERFILE] == []


def test_the_image_installs_locked_hashes_runs_without_root_and_is_warm() -> None:
    assert DOCKERFILE.count("--require-hashes") == 2
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\S+)$", last_stage, re.MULTILINE)
    assert user == ["10001"]
    assert last_stage.index("USER 10001") < last_stage.index("RUN auditstream warm")
    assert "NUMBA_CACHE_DIR=" in last_stage
    assert "HEALTHCHECK" in last_stage


def test_the_environment_of_the_image_holds_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = dict(re.findall(r"(AUDITSTREAM_[A-Z_]+)=(\S+)", DOCKERFILE))
    assert _load(environment, monkeypatch).worker.http_host == "0.0.0.0"
