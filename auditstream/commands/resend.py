"""``auditstream resend``: ask services to send their webhooks again."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import click

from auditstream.filter_options import reported_errors
from auditstream.logs import configure_logging
from auditstream.output import escape_text, format_option, print_rows
from auditstream.resending import opened_resender
from auditstream.settings import load_settings
from query import Question, Reader, Term, open_reader, parse
from query.expression import conjunction
from query.period import parse_zone
from query.resend import FAILED, Ask, Asker, AskInvalid, Resender, ResendError, Sendout, find_sendout
from query.resend.sendout import FIELDS

_COLUMNS = ("sendout_id", "tenant_id", "webhook_type", "state", "outcome", "detail", "resend_id")
_MOST_ROWS = 10_000
Row = dict[str, object]

_EPILOG = r"""
Examples:

\b
  auditstream resend so-1 --reason 'the receiver was down'
  auditstream resend --failed 'webhook_type:order.* since:1d' --dry-run
  auditstream resend --failed 'tenant:acme since:1d' --limit 500 --reason 'the receiver was down' --yes
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Options of the command.

    Attributes:
        sendout_ids: Sendouts named one by one.
        failed: Text form of a question about those that have failed; None when they are named.
        zone_name: Zone of times in it.
        tenant: Tenant of the sendouts named.
        limit: Sendouts at most.
        force: Pass over their state.
    """

    sendout_ids: Sequence[str]
    failed: str | None
    zone_name: str
    tenant: str
    limit: int
    force: bool


@click.command(epilog=_EPILOG)
@click.argument("sendout_ids", metavar="[SENDOUT_ID]…", nargs=-1)
@click.option(
    "--failed", metavar="EXPRESSION", help="All sendouts in error that match a question, '' for all; see query."
)
@click.option("--tz", "zone_name", default="UTC", show_default=True, help="Time zone of times without offset.")
@click.option("--tenant", default="", help="Tenant of the sendouts named, when several have one of the same id.")
@click.option("--limit", type=click.IntRange(1, _MOST_ROWS), default=100, show_default=True, help="Sendouts at most.")
@click.option("--reason", default="", help="Why; it becomes part of the audit event and is told to the service.")
@click.option(
    "--key", default="", help="Idempotency key: repeated, it asks for no sendout twice.  [default: a new one]"
)
@click.option("--force", is_flag=True, help="Also what has not failed, or was asked for already.")
@click.option("--dry-run", is_flag=True, help="Only show what would be asked.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@format_option
def resend(
    sendout_ids: tuple[str, ...],
    *,
    failed: str | None,
    zone_name: str,
    tenant: str,
    limit: int,
    reason: str,
    key: str,
    force: bool,
    dry_run: bool,
    yes: bool,
    fmt: str,
) -> None:
    """Ask the services that sent webhooks to send them again, by the routes of the setting resend.routes.

    Each request is audited with the account that runs the command. Exit codes: 0 all were taken, or would be asked; 1
    one was not; 2 wrong usage or settings.
    """
    if bool(sendout_ids) == (failed is not None):
        raise click.UsageError("name sendouts, or give --failed with a question")
    if not dry_run and not reason.strip():
        raise click.UsageError("give --reason: it is asked of everybody who sends something again")
    asked = _Asked(sendout_ids, failed, zone_name, tenant, limit, force)
    settings = load_settings()
    configure_logging(settings.log)
    with reported_errors(), open_reader(settings.clickhouse) as reader:
        found = _found(reader, asked)
    with opened_resender(settings) as resender, _reported():
        planned = [_planned(resender, one, force=force) for one in found.sendouts]
        rows = [*planned, *found.missing]
        if not dry_run:
            if not yes:
                _confirm(planned, found)
            rows = [*_sent(resender, found.sendouts, reason, key or str(uuid4()), force=force), *found.missing]
    print_rows(rows, _COLUMNS, fmt)
    if found.more:
        click.echo(f"there are more than {limit}; raise --limit, or repeat the command", err=True)
    sys.exit(0 if all(row["outcome"] in ("accepted", "possible") for row in rows) else 1)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the command is about.

    Attributes:
        sendouts: Their latest states.
        missing: Rows about those that are not there.
        more: Whether there are more than the limit.
        by_question: Whether they were found rather than named.
    """

    sendouts: Sequence[Sendout]
    missing: Sequence[Row]
    more: bool
    by_question: bool


def _found(reader: Reader, asked: _Asked) -> _Found:
    if asked.failed is not None:
        return _matching(reader, asked, asked.failed)
    sendouts: list[Sendout] = []
    missing: list[Row] = []
    for sendout_id in dict.fromkeys(asked.sendout_ids):
        try:
            sendouts.append(find_sendout(reader, sendout_id, tenant=asked.tenant))
        except ResendError as error:
            missing.append({"sendout_id": sendout_id, "outcome": "not found", "detail": str(error)})
    return _Found(sendouts, missing, more=False, by_question=False)


def _matching(reader: Reader, asked: _Asked, text: str) -> _Found:
    narrowed = [Term("webhook_status", FAILED), *([Term("tenant", asked.tenant)] if asked.tenant else [])]
    expression = conjunction(*narrowed, parse(text))
    # The oldest first: that is the order in which they were to be received.
    question = Question(expression, descending=False, zone=parse_zone(asked.zone_name), now=datetime.now(UTC))
    page = reader.latest_states("webhook", question, limit=asked.limit, fields=FIELDS)
    return _Found([Sendout.of(row) for row in page.rows], (), more=page.next_cursor is not None, by_question=True)


def _planned(resender: Resender, sendout: Sendout, *, force: bool) -> Row:
    try:
        route = resender.check(sendout, force=force)
    except ResendError as error:
        return {**_row(sendout), "outcome": "not possible", "detail": str(error)}
    return {**_row(sendout), "outcome": "possible", "detail": f"by route {route}"}


def _confirm(planned: Sequence[Row], found: _Found) -> None:
    possible = sum(row["outcome"] == "possible" for row in planned)
    if possible and found.by_question:
        click.confirm(f"Ask for {possible} of {len(planned)} failed webhooks to be sent again?", abort=True, err=True)


def _sent(resender: Resender, sendouts: Sequence[Sendout], reason: str, key: str, *, force: bool) -> Iterator[Row]:
    account = getpass.getuser()
    ask = Ask(Asker("user", account, account, origin="other"), reason, key, force, request_id=str(uuid4()))
    for sendout in sendouts:
        try:
            done = resender.resend(sendout, ask)
        except ResendError as error:
            yield {**_row(sendout), "outcome": "not asked", "detail": str(error)}
            continue
        detail = done.outcome.detail + (" (asked before, under this key)" if done.repeated else "")
        yield {**_row(sendout), "outcome": done.outcome.state, "detail": detail, "resend_id": str(done.resend_id)}


def _row(sendout: Sendout) -> Row:
    return {
        "sendout_id": sendout.sendout_id,
        "tenant_id": sendout.tenant_id,
        "webhook_type": sendout.event_type,
        "state": sendout.status,
    }


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except AskInvalid as error:
        raise click.UsageError(str(error)) from None
    except ResendError as error:
        click.echo(f"Error: {escape_text(str(error))}", err=True)
        sys.exit(1)
