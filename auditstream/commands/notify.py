"""``auditstream notify``: tell people of chosen events, check the rules, try them, look up what was told."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
import structlog

from auditstream.logs import configure_logging
from auditstream.notify.channels import INBOX, AppriseChannel, Channel, ChannelFailed, Inbox
from auditstream.notify.delivery_log import LISTED, DeliveryLog, LogQuestion
from auditstream.notify.drafts import Drafts, present
from auditstream.notify.events import EventUnreadable, event_of_json, sample_event
from auditstream.notify.notices import Message, State
from auditstream.notify.rules import Rule, Rules
from auditstream.notify.rules_file import RulesError, load_rules
from auditstream.output import escape_text, format_option, print_rows
from auditstream.settings import Settings, load_settings
from query.errors import InvalidFilter
from query.fields import Row
from query.period import EXPECTED, Clock, parse_moment
from query.question import UTC_ZONE
from schemas.catalogue import Catalogue
from schemas.errors import CatalogueError
from sinks.connection import Connections
from sinks.errors import SinkError, SinkMisconfigured

if TYPE_CHECKING:
    from auditstream.notify.service import NotifierService

log = structlog.get_logger(__name__)

_STATES: tuple[State, ...] = ("pending", "sent", "failed", "duplicate", "test")
_RULES = click.Path(path_type=Path, dir_okay=False)


@click.group(
    invoke_without_command=True,
    epilog="Example: auditstream notify --rules rules.toml",
)
@click.option("--rules", type=_RULES, help="TOML file of the rules.  [default: setting notify.rules]")
@click.pass_context
def notify(ctx: click.Context, rules: Path | None) -> None:
    """Tell people of chosen events by e-mail, SMS, chat or system message, until told to stop.

    Runs in a consumer group of its own until SIGTERM or Ctrl-C. Metrics and health are served on notify.http_port.
    Exit codes: 0 stopped on request, 1 stopped by a refusal that waiting does not mend, 2 wrong settings or rules.
    """
    ctx.obj = rules
    if ctx.invoked_subcommand is None:
        settings = load_settings()
        with _reported():
            _serve(settings, _loaded(settings, rules))


@notify.command(epilog="Example: auditstream notify check rules.toml")
@click.argument("rules", type=_RULES)
def check(rules: Path) -> None:
    """Check a rules file and print every mistake in it, each with its rule, key, value and what was expected.

    Exit codes: 0 no mistake, 2 at least one.
    """
    with _reported():
        found = load_rules(rules)
    for rule in found.rules:
        click.echo(f"{rule.name}: {rule.filter.text or 'every event'} -> {', '.join(rule.channels)}")


@notify.command(epilog="Example: auditstream notify test failed-logins --rules rules.toml --event event.json")
@click.argument("rule")
@click.option("--rules", type=_RULES, help="TOML file of the rules.  [default: setting notify.rules]")
@click.option(
    "--event",
    "event_file",
    metavar="FILE",
    help="JSON of an event, as `auditstream query --format json` prints it; - for standard input.  [default: an example]",
)
@click.option("--dry-run", is_flag=True, help="Print only, send nothing.")
@click.pass_obj
def test(inherited: Path | None, rule: str, rules: Path | None, event_file: str | None, *, dry_run: bool) -> None:
    """Print what RULE would say of an event, and send it at once, marked as a test.

    Quiet hours, digest, rate limit and de-duplication do not hold it back. Exit codes: 0 every channel took it, 1 one
    did not, or the rule does not match the event; 2 wrong settings or rules.
    """
    settings = load_settings()
    with _reported():
        found = _loaded(settings, rules or inherited)
        chosen = _chosen(found, rule)
        event = _event(event_file) if event_file is not None else sample_event()
        if event_file is not None and not chosen.filter.matches(event):
            raise click.ClickException(f"the rule does not match this event; its filter: {chosen.filter.text}")
        messages = _messages(settings, chosen, event)
        for message in messages:
            _print_message(message)
        if not dry_run:
            sys.exit(_send_all(settings, found, messages))


@notify.command("log", epilog="Example: auditstream notify log --rule failed-logins --state failed --format json")
@click.option("--rule", default="", help="Only of this rule.")
@click.option("--channel", default="", help="Only through this channel; inbox for system messages.")
@click.option("--state", type=click.Choice(_STATES), help="Only in this state.")
@click.option("--event", "event_id", type=click.UUID, help="Only of this event.")
@click.option("--message", "message_id", type=click.UUID, help="Only of this message.")
@click.option("--since", default="", help="Only at this time or later: a date, a time, 24h, 7d.")
@click.option("--until", default="", help="Only before this time.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Entries at most.")
@format_option
def show_log(*, rule: str, channel: str, state: str | None, limit: int, fmt: str, **asked: Any) -> None:  # noqa: ANN401 - click's values
    """Print entries of the delivery log, the newest first. Times are UTC."""
    question = LogQuestion(
        rule=rule,
        channel=channel,
        state=state or "",
        event_id=str(asked["event_id"] or ""),
        message_id=str(asked["message_id"] or ""),
        since=_time("--since", asked["since"]),
        until=_time("--until", asked["until"]),
        limit=limit,
    )
    settings = load_settings()
    with _reported(), _delivery_log(settings) as delivery_log:
        print_rows(delivery_log.entries(question), LISTED, fmt)


def _loaded(settings: Settings, given: Path | None) -> Rules:
    path = given or settings.notify.rules
    if path is None:
        raise click.UsageError("no rules: give --rules FILE, or set notify.rules")
    return load_rules(path)


def _chosen(rules: Rules, name: str) -> Rule:
    found = rules.rule(name)
    if found is None:
        raise click.UsageError(f'there is no rule "{name}"; there are: {", ".join(r.name for r in rules.rules)}')
    return found


def _event(file: str) -> Row:
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            return event_of_json(json.load(opened))
    except (EventUnreadable, ValueError, OSError) as error:
        raise click.UsageError(f"--event: {error}") from None


def _messages(settings: Settings, rule: Rule, event: Row) -> list[Message]:
    catalogue = Catalogue.load(settings.catalogue.files, retention_classes=settings.retention.classes)

    def refused(name: str, reason: str) -> None:
        click.echo(f"{name}: the template did not bear the event ({reason}); the default words are used", err=True)

    drafts = Drafts(catalogue, refused)
    notice = drafts.notice(rule, event, present())
    marked = replace(notice, text=replace(notice.text, title=f"[test] {notice.text.title}"))
    return list(drafts.messages(rule, (marked,)))


def _print_message(message: Message) -> None:
    click.echo(f"to {message.channel}: {escape_text(message.text.title)}")
    for line in message.text.text.splitlines():
        click.echo(f"  {escape_text(line)}")


def _send_all(settings: Settings, rules: Rules, messages: list[Message]) -> int:
    code = 0
    with _delivery_log(settings) as delivery_log:
        for message in messages:
            error = _sent(_channel(rules, message.channel), message)
            click.echo(f"{message.channel}: {escape_text(error) or 'sent'}", err=True)
            delivery_log.end(message, "test", present(), attempts=1, error=error)
            code = 1 if error else code
    return code


def _channel(rules: Rules, name: str) -> Channel:
    return Inbox() if name == INBOX else AppriseChannel(rules.channels[name])


def _sent(channel: Channel, message: Message) -> str:
    try:
        channel.send(message.text)
    except ChannelFailed as error:
        return f"not sent: {error}"
    return ""


def _time(option: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        return parse_moment(text, Clock(present(), UTC_ZONE))
    except (ValueError, InvalidFilter) as error:
        raise click.BadParameter(f"{text!r}: {error}; expected {EXPECTED}", param_hint=option) from None


@contextmanager
def _delivery_log(settings: Settings) -> Iterator[DeliveryLog]:
    connections = Connections(settings.clickhouse)
    try:
        yield DeliveryLog(connections, settings.kafka.events_topic, settings.notify.log_days)
    finally:
        connections.close()


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except (RulesError, CatalogueError) as error:
        click.echo(_escaped(str(error)), err=True)
        sys.exit(2)
    except SinkError as error:
        click.echo(
            f"Error: the delivery log cannot be reached or is not there (auditstream migrate): {error}", err=True
        )
        sys.exit(1)


def _escaped(text: str) -> str:
    return "\n".join(map(escape_text, text.splitlines()))


def _serve(settings: Settings, rules: Rules) -> None:
    # `check`, `test` and `log` need neither decoder nor Kafka, which take seconds to import.
    from auditstream.notify.service import RUNNING_ERRORS, NotifierService, working_parts  # noqa: PLC0415

    configure_logging(settings.log)
    code = 1
    try:
        with working_parts(settings) as (registry, sink), NotifierService(settings, rules, registry, sink) as service:
            _stop_on_signals(service)
            service.run()
        code = 0
    except SinkMisconfigured as error:
        log.error("notifier_refused", reason=str(error))
        click.echo(str(error), err=True)
        code = 2
    except RUNNING_ERRORS as error:
        log.error("notifier_failed", reason=str(error), kind=type(error).__name__)
        click.echo(f"auditstream notify stopped: {error}", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # A channel that hangs in a dead connection is not waited for: its message is pending in the log.
    os._exit(code)


def _stop_on_signals(service: NotifierService) -> None:
    def received(number: int, frame: FrameType | None) -> None:
        del frame
        if service.notifier.stopping:
            os._exit(128 + number)
        service.notifier.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, received)
