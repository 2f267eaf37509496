"""The command line: one group whose subcommands are imported only when they run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import NamedTuple

import click

from auditstream import __version__
from auditstream.imports import leave_out_needless


class Entry(NamedTuple):
    """Where a subcommand is, and what the list of commands says of it.

    Attributes:
        target: "module:attribute" of its click command.
        sentence: What it does; stands here so that ``--help`` imports none of them.
    """

    target: str
    sentence: str


#: The subcommands in the order of ``auditstream --help``.
COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("auditstream.commands.demo:demo", "Run everything in one process tree and show it at work."),
    "emit": Entry("auditstream.commands.emit:emit", "Send events from JSON lines to Kafka."),
    "generate": Entry(
        "auditstream.commands.generate:generate", "Send a realistic load of every kind of event to Kafka."
    ),
    "schemas": Entry(
        "auditstream.commands.schemas:schemas", "Register the Avro schemas and check their compatibility."
    ),
    "catalogue": Entry("auditstream.commands.catalogue:catalogue", "Show and check the catalogue of event codes."),
    "migrate": Entry(
        "auditstream.commands.migrate:migrate", "Create the tables in ClickHouse or bring them up to date."
    ),
    "worker": Entry("auditstream.commands.worker:worker", "Carry events from Kafka to ClickHouse, each exactly once."),
    "query": Entry("auditstream.commands.query:query", "Find events."),
    "tail": Entry("auditstream.commands.tail:tail", "Follow events as they arrive."),
    "export": Entry("auditstream.commands.export:export", "Write events into files, with a manifest beside each."),
    "resend": Entry("auditstream.commands.resend:resend", "Ask services to send their webhooks again."),
    "serve": Entry("auditstream.commands.serve:serve", "Answer reads over HTTP."),
    "notify": Entry("auditstream.commands.notify:notify", "Tell people of chosen events, by rules."),
    "tokens": Entry("auditstream.commands.tokens:tokens", "Make, list and revoke the tokens of the HTTP API."),
    "settings": Entry(
        "auditstream.commands.settings:settings", "List every setting, its value and where it comes from."
    ),
    "warm": Entry("auditstream.commands.warm:warm", "Compile the decoder ahead of the first start."),
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
        module, attribute = COMMANDS[cmd_name].target.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.sentence) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="auditstream")
def cli() -> None:
    """Audit events from Kafka to ClickHouse, each exactly once, and back to those who ask.

    Settings come from AUDITSTREAM_* variables and the TOML file named by AUDITSTREAM_CONFIG;
    `auditstream settings` lists them.
    """


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 failed or a problem was found, 2 wrong usage or settings."""
    leave_out_needless()
    # The one place that turns a wrong setting into exit code 2 without a traceback.
    from auditstream.settings import SettingsError  # noqa: PLC0415 - keeps `--help` free of pydantic

    try:
        cli()
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
