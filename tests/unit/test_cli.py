"""The command line as a whole: every command, its help, its exit codes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from auditstream import __version__
from auditstream.cli import COMMANDS, cli


def _command(name: str) -> click.Command:
    if importlib.util.find_spec(COMMANDS[name].target.partition(":")[0]) is None:
        pytest.skip(f"auditstream {name} is planned")
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    return command


def _leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    return [leaf for name, inner in command.commands.items() for leaf in _leaves(inner, (*path, name))]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_where_the_table_says(name: str) -> None:
    assert _command(name).name == name


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_its_subcommands_have_a_help_with_an_example_of_their_use(name: str) -> None:
    for path in _leaves(_command(name), (name,)):
        result = CliRunner().invoke(cli, [*path, "--help"], catch_exceptions=False)
        assert result.exit_code == 0
        example = result.output.partition("Example")[2]
        assert f"auditstream {name}" in example, result.output


def test_the_help_lists_every_command_with_a_sentence() -> None:
    result = CliRunner().invoke(cli, ["--help"], catch_exceptions=False)
    listed = dict(line.split(maxsplit=1) for line in result.output.partition("Commands:")[2].splitlines() if line)
    assert listed == {name: entry.sentence for name, entry in COMMANDS.items()}


def test_an_unknown_command_is_refused_by_name() -> None:
    result = CliRunner().invoke(cli, ["wroker"])
    assert result.exit_code == 2
    assert "wroker" in result.output


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("auditstream")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **environment}, check=False
    )


def test_a_wrong_setting_ends_with_2_and_without_a_traceback() -> None:
    result = _run("settings", AUDITSTREAM_WORKER_BATCH_ROWS="0")
    assert result.returncode == 2
    assert "AUDITSTREAM_WORKER_BATCH_ROWS = '0'" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_usage_ends_with_2() -> None:
    assert _run("settings", "--no-such-option").returncode == 2
    assert _run("no-such-command").returncode == 2


def test_the_version_is_the_one_of_the_package() -> None:
    result = _run("--version")
    assert (result.returncode, result.stdout.split()[-1]) == (0, __version__)


def test_the_listing_of_commands_imports_none_of_the_heavy_libraries() -> None:
    heavy = "numba pyarrow chdb confluent_kafka pydantic clickhouse_connect"
    code = (
        "import sys, auditstream.cli; from click.testing import CliRunner; "
        f"CliRunner().invoke(auditstream.cli.cli, ['--help'], catch_exceptions=False); "
        f"print([m for m in {heavy.split()!r} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
