"""What an endpoint takes in its URL: declared once, read and documented from the same declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from query.aggregates import MAX_FACET_VALUES, Interval
from query.errors import nearest
from query.filters import all_filters, by_name
from query.http.problems import Problem
from query.question import SortName

TRUE, FALSE = ("true", "1"), ("false", "0")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an endpoint.

    Attributes:
        name: Its name.
        doc: What it does.
        schema: JSON Schema of one value.
        many: It may be given several times.
        where: In the query part of the URL or in its path.
    """

    name: str
    doc: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    many: bool = False
    where: Literal["query", "path"] = "query"


def _texts(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


QUESTION = (
    Parameter("q", "The question in text form, for example `actor:ann@x.com -outcome:success`."),
    Parameter("any", "One of the filters suffices; the period always holds.", {"type": "boolean"}),
    Parameter("not", "Leave out what this text form matches.", many=True),
    Parameter("tz", "IANA time zone of times without offset; default UTC."),
)
ORDER = (
    Parameter("sort", "Order; default time.", _texts(*get_args(SortName))),
    Parameter("order", "Direction; default desc, the newest first.", _texts("asc", "desc")),
)
PAGE = (
    Parameter("limit", "Rows of the page.", {"type": "integer", "minimum": 1}),
    Parameter("cursor", "`next_cursor` of the page before; repeat its other parameters."),
    Parameter("fields", "Names of fields with commas between; all by default."),
)
TOTAL = Parameter("total", "Also count all that match, exactly.", {"type": "boolean"})
INTERVAL = Parameter("interval", "Length of an interval; default day.", _texts(*get_args(Interval)))
TOP = Parameter("top", "Values at most; default 10.", {"type": "integer", "minimum": 1, "maximum": MAX_FACET_VALUES})


def filter_parameters() -> tuple[Parameter, ...]:
    """Return a parameter for every filter; its other names are understood too."""
    return tuple(
        Parameter(f.name, f"{f.doc} Takes {f.expected}. Given twice, either value matches.", many=True)
        for f in all_filters()
    )


def check_names(given: Iterable[str], known: Sequence[Parameter], *, filters: bool) -> None:
    """Prove that every parameter given is known.

    Raises:
        Problem: One is not; with the nearest name.
    """
    names = {p.name for p in known if p.where == "query"} | (set(by_name()) if filters else set())
    for name in given:
        if name not in names:
            near = nearest(name, names)
            detail = f'there is no parameter "{name}"' + (f'; did you mean "{near}"?' if near else "")
            raise Problem("invalid-parameter", detail, parameter=name, suggestion=near)


class Values:
    """The values of a URL's query part, read with their types.

    Every method raises ``Problem`` that names the parameter when the value is not understood.

    Attributes:
        asked: Names that were asked for, given or not.
    """

    def __init__(self, given: Mapping[str, Sequence[str]]) -> None:
        """Wrap values.

        Args:
            given: Name to values, in order.
        """
        self._given = given
        self.asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        self.asked.add(name)
        return name in self._given

    def unasked(self) -> list[str]:
        """Return the names that are given and that nobody asked for, in their order."""
        return [name for name in self._given if name not in self.asked]

    def all(self, name: str) -> Sequence[str]:
        """Return the values of a parameter that may be given several times."""
        self.asked.add(name)
        return self._given.get(name, ())

    def text(self, name: str) -> str | None:
        """Return the value of a parameter, None when it is not given."""
        values = self.all(name)
        if len(values) > 1:
            raise _wrong(name, f"{len(values)} values", "one")
        return values[0] if values else None

    def flag(self, name: str) -> bool:
        """Return whether a parameter is true; false when it is not given."""
        text = self.text(name)
        if text is not None and text not in (*TRUE, *FALSE):
            raise _wrong(name, text, "true or false")
        return text in TRUE

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within limits."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
            raise _wrong(name, text, f"a whole number from {least} to {most}")
        return int(text)

    def chosen(self, name: str, values: Sequence[str], default: str) -> str:
        """Return one of some values."""
        text = self.text(name)
        if text is None:
            return default
        if text not in values:
            raise _wrong(name, text, "one of " + ", ".join(values), nearest(text, values))
        return text

    def names(self, name: str) -> tuple[str, ...]:
        """Return names with commas between, none when the parameter is not given."""
        return tuple(part.strip() for part in (self.text(name) or "").split(",") if part.strip())


def _wrong(name: str, found: str, expected: str, suggestion: str = "") -> Problem:
    detail = f'{name} is "{found[:80]}"; expected {expected}'
    return Problem("invalid-parameter", detail, parameter=name, expected=expected, suggestion=suggestion)
