"""The command line: one group whose subcommands are imported only when they run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from auditstream import __version__

#: Subcommand -> "module:attribute" of its click command, in the order of ``auditstream --help``.
COMMANDS: Mapping[str, str] = {
    "demo": "auditstream.commands.demo:demo",
    "emit": "auditstream.commands.emit:emit",
    "generate": "auditstream.commands.generate:generate",
    "schemas": "auditstream.commands.schemas:schemas",
    "catalogue": "auditstream.commands.catalogue:catalogue",
    "migrate": "auditstream.commands.migrate:migrate",
    "worker": "auditstream.commands.worker:worker",
    "query": "auditstream.commands.query:query",
    "tail": "auditstream.commands.tail:tail",
    "settings": "auditstream.commands.settings:settings",
    "warm": "auditstream.commands.warm:warm",
}


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is asked for, so that ``--help`` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the subcommands in the order of the path of an event."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand, None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="auditstream")
def cli() -> None:
    """Audit events from Kafka to ClickHouse, each exactly once, and back to those who ask.

    Settings come from AUDITSTREAM_* variables and the TOML file named by AUDITSTREAM_CONFIG;
    `auditstream settings` lists them.
    """


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 failed or a problem was found, 2 wrong usage or settings."""
    # The one place that turns a wrong setting into exit code 2 without a traceback.
    from auditstream.settings import SettingsError  # noqa: PLC0415 - keeps `--help` free of pydantic

    try:
        cli()
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
