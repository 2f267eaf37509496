"""What is installed: the wheel, whole, and nothing of anybody else's."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: Sequence[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(directory.glob("*.whl")))


def _in_tree() -> set[str]:
    files = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {file.as_posix() for file in files if "__pycache__" not in file.parts}


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == _in_tree()


@pytest.mark.parametrize(
    "pattern",
    [
        r"schemas/avro/.+\.avsc",
        r"schemas/.*catalogue/.+",
        r"sinks/migrations/.+\.sql",
        r"query/web/templates/.+\.html",
        r"query/web/static/.+\.(css|js|svg)",
    ],
)
def test_the_wheel_holds_the_data_files(wheel: zipfile.ZipFile, pattern: str) -> None:
    assert [name for name in wheel.namelist() if re.fullmatch(pattern, name)] != []


def test_the_wheel_holds_the_licence(wheel: zipfile.ZipFile) -> None:
    assert [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")] != []


def test_data_files_are_found_where_the_package_is_installed() -> None:
    assert importlib.resources.files("schemas").joinpath("avro/audit_event.v1.avsc").is_file()


@pytest.mark.skipif("AUDITSTREAM_TEST_WHEEL" not in os.environ, reason="only `make test` installs the wheel")
@pytest.mark.parametrize("package", PACKAGES)
def test_make_test_tests_what_the_wheel_installed(package: str) -> None:
    module = importlib.import_module(package)
    assert Path(str(module.__file__)).is_relative_to(sysconfig.get_path("purelib"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_one_of_our_package_names(package: str) -> None:
    owners = importlib.metadata.packages_distributions().get(package, ["auditstream"])
    assert set(owners) == {"auditstream"}


def test_the_distribution_cannot_be_uploaded_by_mistake() -> None:
    assert importlib.metadata.metadata("auditstream").get_all("Classifier") == ["Private :: Do Not Upload"]


def _locked(lock: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def _names(requirements: Sequence[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ]", requirement)[0].lower() for requirement in requirements}


def test_every_dependency_is_locked() -> None:
    runtime = _names(PROJECT["project"]["dependencies"])
    groups = PROJECT["dependency-groups"]
    assert runtime <= set(_locked(ROOT / "requirements.lock"))
    assert _names(groups["build"]) <= set(_locked(ROOT / "requirements-build.lock"))
    assert runtime | _names(groups["build"]) | _names(groups["dev"]) <= set(_locked(ROOT / "requirements-dev.lock"))


def test_the_locks_agree_with_each_other() -> None:
    development = _locked(ROOT / "requirements-dev.lock")
    for lock in LOCKS:
        assert {name: development.get(name) for name in _locked(lock)} == _locked(lock)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_hashes_and_names_no_place(lock: Path) -> None:
    text = lock.read_text("utf-8")
    entries = re.split(r"\n(?=[a-z0-9-]+==)", text)[1:]
    assert [entry.partition("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"://|index-url|find-links|file:|@ ", text) == []


def test_every_dependency_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.findall(r'^  "([A-Za-z0-9_-]+)[^"]*",(.*)$', text.partition("[project.scripts]")[0], re.MULTILINE)
    assert [name for name, comment in listed if not comment.strip().startswith("# ")] == []


def test_every_dependency_has_a_licence_that_allows_its_use() -> None:
    allowed = re.compile(r"MIT|BSD|Apache|ISC|MPL|PSF|Python Software Foundation|Unlicense|Zlib|0BSD", re.IGNORECASE)
    refused = []
    for name in _locked(ROOT / "requirements.lock"):
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:  # for another platform or another version of Python
            continue
        classifiers = " ".join(c for c in metadata.get_all("Classifier") or [] if c.startswith("License"))
        named = [*(metadata.get_all("License-Expression") or []), *(metadata.get_all("License") or [])]
        said = " ".join([*named, classifiers])
        if not allowed.search(said):
            refused.append(f"{name}: {said[:80]}")
    assert refused == []
