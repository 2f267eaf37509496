"""Migration files: how they are split, what they may contain, what they say."""

from __future__ import annotations

import re

import pytest

from sinks.migrate import Migration, shipped, split, substitute

REPEATABLE = re.compile(
    r"(CREATE (TABLE|DATABASE|DICTIONARY) IF NOT EXISTS"
    r"|CREATE OR REPLACE VIEW"
    r"|ALTER TABLE \S+ (ADD (COLUMN|INDEX|PROJECTION) IF NOT EXISTS|MODIFY ))"
)


def test_versions_are_numbered_without_gaps_from_one() -> None:
    assert [m.version for m in shipped()] == list(range(1, len(shipped()) + 1))


@pytest.mark.parametrize("migration", shipped(), ids=lambda m: m.name)
def test_every_shipped_statement_can_be_repeated(migration: Migration) -> None:
    for statement in migration.statements("audit"):
        code = re.sub(r"--[^\n]*", "", statement).strip()
        assert REPEATABLE.match(code), code[:80]


@pytest.mark.parametrize("migration", shipped(), ids=lambda m: m.name)
def test_every_shipped_table_lies_in_the_named_database(migration: Migration) -> None:
    for statement in migration.statements("audit"):
        assert "`audit`." in statement
        assert "${" not in statement


def test_statements_end_at_semicolons_outside_of_quotes_and_comments() -> None:
    sql = "SELECT ';' -- not ; here\n, `a;b`, \"c;d\", 'it''s;', '\\';'; /* ; */ SELECT 2 - 1 / 1;\n-- the end;\n"
    assert len(Migration(1, "x", sql).statements("audit")) == 2
    assert "".join(split(sql)).count("SELECT") == 2


@pytest.mark.parametrize("name", ["a-b", "a;DROP DATABASE b", "`a`", "", "1a", "a b"])
def test_a_database_that_is_not_an_identifier_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="database"):
        substitute("CREATE TABLE ${database}.t", name)


def test_an_unknown_placeholder_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="cluster"):
        substitute("CREATE TABLE ${database}.t ON CLUSTER ${cluster}", "audit")


def test_the_digest_changes_with_the_text() -> None:
    assert Migration(1, "x", "SELECT 1").sha256 != Migration(1, "x", "SELECT 2").sha256
