"""docs/access.md: its settings are settings, its roles are the roles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditstream.settings import load_settings
from query.access import ROLES, Right
from schemas.catalogue import Catalogue

TEXT = (Path(__file__).parents[2] / "docs" / "access.md").read_text("utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_is_accepted(number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "auditstream.toml"
    file.write_text(EXAMPLES[number], encoding="utf-8")
    monkeypatch.setenv("AUDITSTREAM_CONFIG", str(file))
    settings = load_settings().oidc
    assert settings.enabled
    assert len(settings.rules) >= 2


def test_the_table_of_roles_is_true() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (shown|masked) \| (shown|masked) \|([^|]*)\|$", TEXT, re.MULTILINE)
    assert [role for role, *_ in rows] == list(ROLES)
    for role, _, personal, bodies, besides in rows:
        rights = ROLES[role]
        assert (personal == "shown", bodies == "shown") == (Right.PERSONAL in rights, Right.BODIES in rights)
        named = {Right.EXPORT: "exports", Right.TOKENS: "tokens", Right.ERASE: "erasure", Right.LEDGER: "dead letters"}
        assert {right for right, word in named.items() if word in besides} == rights & set(named)


def test_the_codes_it_names_exist() -> None:
    table = re.search(r"\| what \| event code .*?\n\n", TEXT, re.DOTALL)
    assert table
    codes = re.findall(r"`((?:access|auth)\.[a-z_]+)`", table[0])
    catalogue = Catalogue.load()
    assert len(codes) >= 8
    assert [code for code in codes if catalogue.get(code) is None] == []
