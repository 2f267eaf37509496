"""The first command of a newcomer: what make says, and what it says when Python does not suit."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Return a directory that has the Makefile and the lock files only."""
    if shutil.which("make") is None:
        pytest.skip("no make on the path")
    for file in (ROOT / "Makefile", *ROOT.glob("requirements*.lock")):
        shutil.copy(file, tmp_path)
    return tmp_path


def _make(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=directory, capture_output=True, text=True, check=False)


def test_make_alone_lists_every_target_with_a_sentence(empty: Path) -> None:
    listed = set(re.findall(r"^  make (\S+) +\S", _make(empty).stdout, re.MULTILINE))
    phony = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split()
    assert listed == set(phony)


def test_without_a_suitable_python_make_says_what_to_do(empty: Path) -> None:
    answer = _make(empty, "install", "PYTHON=")
    assert answer.returncode != 0
    assert "auditstream needs Python 3.11 or newer" in answer.stderr


def test_a_python_that_is_too_old_is_not_chosen(empty: Path) -> None:
    old = empty / "bin" / "python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    tools = {tool: shutil.which(tool) for tool in ("sh", "make", "find", "grep", "sed", "awk")}
    for tool, place in tools.items():
        (old.parent / tool).symlink_to(str(place))
    answer = subprocess.run(
        ["make", "install"], cwd=empty, env={"PATH": str(old.parent)}, capture_output=True, text=True, check=False
    )
    assert "auditstream needs Python 3.11 or newer" in answer.stderr


def test_a_python_without_venv_is_named_with_the_package_to_install(empty: Path) -> None:
    bare = empty / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    answer = _make(empty, "install", f"PYTHON={bare}")
    assert answer.returncode != 0
    assert f"{bare} has no venv module" in answer.stderr
    assert "python3-venv" in answer.stderr


def test_ci_runs_what_the_readme_promises_with_everything_required() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    for command in ("make check", "AUDITSTREAM_REQUIRE=kafka,registry,clickhouse,browser make test", "make demo ARGS="):
        assert command in script


def test_the_ci_script_is_sound_bash_and_can_be_run() -> None:
    path = ROOT / ".ci" / "run"
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
