"""What is exported, for whom and how: all that is needed to make an export again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from query.condition import find_filter
from query.errors import InvalidFilter, nearest
from query.exports.errors import InvalidExport
from query.exports.rights import ReadRights
from query.expression import All, AnyOf, Expression, Not, Term, canonical, required_terms
from query.period import parse_moment, parse_zone
from query.question import Question
from query.syntax import to_text

Format: TypeAlias = Literal["csv", "xlsx", "ndjson", "parquet"]

#: Names that a format may be asked by. The old binary format is not written: its name gives the one that replaced it.
FORMAT_NAMES: Mapping[str, Format] = {**{name: name for name in get_args(Format)}, "xls": "xlsx"}
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


def format_of(name: str) -> Format:
    """Return the format of a name, in either case.

    Raises:
        InvalidExport: There is no such format.
    """
    found = FORMAT_NAMES.get(name.lower())
    if found:
        return found
    near = nearest(name, FORMAT_NAMES)
    hint = f'; did you mean "{near}"?' if near else ""
    raise InvalidExport(f'there is no export format "{name}"; expected one of {", ".join(FORMAT_NAMES)}{hint}')


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, as the audit events name them.

    Attributes:
        id: Stable id of the actor.
        type: Kind of actor as in the Avro schema: user, api_token, service, …
        name: Name or login, for people.
        origin: Where it was asked: dashboard, api, command_line.
        owner: Under which name the exports of the requester are kept, see ``query.access.Token.owner``; empty for the
            command line.
        ip: Address of the client, empty when it is not known.
        request_id: Id of the request over HTTP.
    """

    id: str
    type: str = "user"
    name: str = ""
    origin: str = "api"
    owner: str = ""
    ip: str = ""
    request_id: str = ""

    def to_shown(self) -> dict[str, str]:
        """Return what others may know of the requester."""
        return {"id": self.id, "type": self.type, "name": self.name, "origin": self.origin}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """One export as asked for.

    Attributes:
        question: Which events, in which order, in which zone; its ``now`` fixes relative times for repetitions too.
        requester: Who asks.
        format: Name of the format, see FORMAT_NAMES.
        full: All rows, instead of the newest ``export.interactive_rows``.
        columns: Fields of an event and derived columns, in order; empty for all.
        bom: Begin a CSV with a byte order mark, by which some spreadsheets recognise UTF-8.
        purpose: Why, in the words of the requester.
        scope: The rights under which the rows are read, see ``query.exports.rights``; empty for the command line, which
            reads everything.
        again_of: Id of the export that this one repeats.
    """

    question: Question
    requester: Requester
    format: str = "csv"
    full: bool = False
    columns: tuple[str, ...] = ()
    bom: bool = False
    purpose: str = ""
    scope: str = ""
    again_of: str = ""

    @property
    def tenant(self) -> str:
        """The tenant that every exported row belongs to, empty when it is not one.

        Never one outside of the rights of the requester, whatever the question names: the audit events of the export
        are events of this tenant.
        """
        term = self.question.required("tenant")
        named, tenants = term.value if term else "", ReadRights.from_text(self.scope).tenants
        if not tenants or named in tenants:
            return named
        return tenants[0] if len(tenants) == 1 else ""

    def to_data(self) -> dict[str, Any]:
        """Return the request as JSON data."""
        asked = self.question
        return {
            "filter": to_text(asked.expression),
            "filter_tree": to_tree(asked.expression),
            "sort": asked.sort,
            "descending": asked.descending,
            "time_zone": asked.zone.key,
            "asked_at": asked.now.isoformat(),
            "requester": asdict(self.requester),
            "format": self.format,
            "full": self.full,
            "columns": list(self.columns),
            "bom": self.bom,
            "purpose": self.purpose,
            "scope": self.scope,
            "again_of": self.again_of,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> ExportRequest:
        """Return the request of ``to_data``.

        Raises:
            KeyError: A value is missing.
            ValueError: A time or zone is wrong.
            InvalidQuery: The zone is wrong.
        """
        zone, now = parse_zone(data["time_zone"]), datetime.fromisoformat(data["asked_at"])
        question = Question(from_tree(data["filter_tree"]), data["sort"], data["descending"], zone, now)
        plain = {name: data[name] for name in ("format", "full", "bom", "purpose", "scope", "again_of")}
        return cls(question, Requester(**data["requester"]), columns=tuple(data["columns"]), **plain)


@dataclass(frozen=True, slots=True)
class Window:
    """The period that every row of an answer lies in.

    Attributes:
        since: Its first moment; None when it is open.
        until: The moment after its last; None when it is open.
    """

    since: datetime | None = field(default=None)
    until: datetime | None = field(default=None)

    @classmethod
    def of(cls, question: Question) -> Window:
        """Return the window of a question whose filters are understood.

        Raises:
            InvalidFilter: A time is not understood.
        """
        return cls(max(_moments(question, "since"), default=None), min(_moments(question, "until"), default=None))

    def to_data(self) -> dict[str, str | None]:
        """Return the window as JSON data, times in UTC."""
        return {
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
        }


def to_tree(expression: Expression) -> list[Any]:
    """Return an expression as JSON data: ``["term", name, value]``, ``["not", part]``, ``["all", …]``, ``["any", …]``."""
    tree: list[Any] = json.loads(canonical(expression))
    return tree


def from_tree(tree: Sequence[Any]) -> Expression:
    """Return the expression of ``to_tree``; unlike the text form it has no limit of length.

    Raises:
        ValueError: The data is no such tree.
    """
    match tree:
        case ["term", str(name), str(value)]:
            return Term(name, value)
        case ["not", part]:
            return Not(from_tree(part))
        case ["all", *parts]:
            return All(tuple(map(from_tree, parts)))
        case ["any", *parts]:
            return AnyOf(tuple(map(from_tree, parts)))
    raise ValueError(f"this is no filter: {tree!r}")


def _moments(question: Question, name: str) -> list[datetime]:
    found = [t.value for t in required_terms(question.expression) if find_filter(t).name == name]
    try:
        return [parse_moment(value, question.clock) for value in found]
    except ValueError as error:
        raise InvalidFilter(name, str(error), "a time") from None
