"""The filters on the command line: one option each, the text form as an argument, and how they are put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from auditstream.output import escape_text
from query.condition import check, find_filter
from query.errors import DatabaseUnreachable, InvalidQuery, QueryError
from query.expression import All, AnyOf, Expression, Not, Term, conjunction
from query.filters import Filter, all_filters
from query.period import Clock, parse_zone
from query.question import Question, SortName
from query.syntax import parse
from schemas.errors import CatalogueError

Command = TypeVar("Command", bound=Callable[..., Any])

#: Filters whose options are shown in --help; the others work too and are listed by --filters.
_SHOWN = frozenset(
    [
        "since",
        "until",
        "action",
        "category",
        "kind",
        "outcome",
        "severity",
        "text",
        "actor",
        "actor_id",
        "login",
        "email",
        "ip",
        "country",
        "origin",
        "object",
        "target",
        "object_type",
        "object_id",
        "parent",
        "tenant",
        "project",
        "request",
        "session",
        "event",
        "task_status",
        "export_state",
        "webhook_status",
    ]
)
#: The period is never an alternative to other filters: "or since yesterday" is nobody's question.
_PERIOD = frozenset({"since", "until"})
_UNREACHABLE = (
    "Is the database running, and are clickhouse.interface, host, port and path right (`auditstream settings`)? "
    "A data directory of the embedded engine can be open in one process only."
)
#: Filters whose plain name is another option of a command.
_TAKEN = frozenset({"event"})


def filter_options(command: Command) -> Command:
    """Add EXPRESSION, an option for every filter, ``--any``, ``--not``, ``--tz`` and ``--filters`` to a command.

    The command gets them as ``filters``, a ``Filters``, as its only keyword besides its own options.
    """
    decorated: Any = command
    for found in reversed(all_filters()):
        decorated = _option(found)(decorated)
    for option in reversed(_SHARED):
        decorated = option(decorated)
    result: Command = decorated
    return result


def _option(found: Filter) -> Callable[[Any], Any]:
    name = f"{found.name}_id" if found.name in _TAKEN else found.name
    return click.option(
        f"--{name.replace('_', '-')}",
        f"filter_{found.name}",
        multiple=True,
        metavar="TIME" if found.name in _PERIOD else "VALUE",
        hidden=found.name not in _SHOWN,
        help=found.doc,
    )


def _print_filters(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    if not value or ctx.resilient_parsing:
        return
    for found in all_filters():
        names = ", ".join((found.name, *found.aliases))
        click.echo(f"{names}\n    {found.doc} Takes {found.expected}.")
    ctx.exit()


_SHARED: tuple[Callable[[Any], Any], ...] = (
    click.argument("expression", nargs=-1),
    click.option("--any", "any_of", is_flag=True, help="One of the filters suffices; the period always holds."),
    click.option("--not", "excluded", multiple=True, metavar="EXPRESSION", help="Leave out what this matches."),
    click.option("--tz", default="UTC", show_default=True, help="Time zone of times without offset, and of the table."),
    click.option(
        "--filters",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_filters,
        help="List all filters and end; each is also an option.",
    ),
)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the filter options of a command were given.

    Attributes:
        texts: The EXPRESSION argument: none or one.
        terms: Name of a filter and the values of its option.
        any_of: One of the filters suffices.
        excluded: Text forms of what is left out.
        zone_name: Zone of times without offset.
    """

    texts: Sequence[str]
    terms: Sequence[tuple[str, Sequence[str]]]
    any_of: bool
    excluded: Sequence[str]
    zone_name: str

    @classmethod
    def take(cls, given: dict[str, Any]) -> Filters:
        """Take what ``filter_options`` added out of the keywords of a command."""
        terms = [(f.name, given.pop(f"filter_{f.name}")) for f in all_filters()]
        names = ("expression", "any_of", "excluded", "tz")
        texts, any_of, excluded, zone = (given.pop(name) for name in names)
        return cls(texts, [(name, values) for name, values in terms if values], any_of, excluded, zone)

    def question(self, *, sort: SortName = "time", descending: bool = True) -> Question:
        """Return the question that they ask.

        Raises:
            InvalidQuery: A filter, the expression or the zone is not understood.
        """
        zone, now = parse_zone(self.zone_name), datetime.now(UTC)
        expression = self._expression()
        check(expression, Clock(now, zone))
        return Question(expression, sort, descending=descending, zone=zone, now=now)

    def _expression(self) -> Expression:
        if len(self.texts) > 1:
            whole = " ".join(self.texts)
            raise InvalidQuery(f"the expression is one argument; put it in quotes: '{whole}'")
        text = parse(self.texts[0]) if self.texts else All()
        parts = [*(text.parts if isinstance(text, All) else (text,)), *map(_one_of, self.terms)]
        left_out = [Not(parse(e)) for e in self.excluded]
        if not self.any_of:
            return conjunction(*parts, *left_out)
        period = [p for p in parts if _is_period(p)]
        others = tuple(p for p in parts if not _is_period(p))
        return conjunction(*period, *([AnyOf(others)] if others else []), *left_out)


def _one_of(given: tuple[str, Sequence[str]]) -> Expression:
    name, values = given
    found = tuple(Term(name, v) for v in values)
    return found[0] if len(found) == 1 else AnyOf(found)


def _is_period(part: Expression) -> bool:
    return isinstance(part, Term) and find_filter(part).name in _PERIOD


@contextmanager
def reported_errors() -> Iterator[None]:
    """Print what a read raises and end with 2 when the question or the catalogue's files are wrong, else with 1."""
    try:
        yield
    except CatalogueError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except QueryError as error:
        click.echo(f"Error: {escape_text(str(error))}", err=True)
        if isinstance(error, DatabaseUnreachable):
            click.echo(_UNREACHABLE, err=True)
        sys.exit(2 if isinstance(error, InvalidQuery) else 1)
