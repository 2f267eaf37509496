"""What the README says of commands and settings is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditstream.cli import COMMANDS
from auditstream.commands.settings import with_summary
from auditstream.setting_fields import PREFIX
from auditstream.settings import setting_fields

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_the_one_that_make_docs_writes() -> None:
    assert with_summary(README) == README


def test_every_variable_named_is_a_setting() -> None:
    known = {field.variable for field in setting_fields().values()} | {f"{PREFIX}CONFIG"}
    named = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", README)) - {PREFIX.rstrip("_")}
    assert named - known == set()


def test_every_command_named_exists() -> None:
    assert set(re.findall(r"auditstream ([a-z-]+)", README)) - set(COMMANDS) == set()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_make_targets_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:\$ |`|^)make ([a-z-]+)", README, re.MULTILINE)) - targets == set()
