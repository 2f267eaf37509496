"""What a filter can be given: from the schema, the catalogue, and what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from query.access.errors import Forbidden
from query.access.scoped_reader import ScopedReader
from query.aggregates import FACETS
from query.errors import QueryTooExpensive
from query.filters import Filter, by_name
from query.question import Question
from schemas.catalogue import Catalogue

#: Facet -> filter that narrows to one of its values, where their names differ.
FACET_FILTERS = {"actor": "actor_id", "object": "object_id"}
#: Filters that take what another one's facet holds.
_FILTER_FACETS = {"actor_id": "actor", "object_id": "object", "target": "object", "user_id": "actor"}
_MOST_STORED = 30


@dataclass(frozen=True, slots=True)
class Choice:
    """One value.

    Attributes:
        value: As the filter takes it.
        label: What it means, in words; empty when it speaks for itself.
        group: What it belongs to: the product of a code.
        events: How many events of the question have it; None when they were not counted.
    """

    value: str
    label: str = ""
    group: str = ""
    events: int | None = None


def of_schema(found: Filter) -> Sequence[Choice]:
    """Return the values of a filter that takes one of a few, none for others."""
    start, _, values = found.expected.partition("one of ")
    return [] if start or not values else [Choice(value, value.replace("_", " ")) for value in values.split(", ")]


def of_catalogue(name: str, catalogue: Catalogue, kinds: Iterable[str] = ()) -> Sequence[Choice]:
    """Return what the catalogue knows for a filter: codes, object types or products.

    Args:
        name: Name of the filter.
        catalogue: The event codes.
        kinds: Only of these record kinds; empty for all.
    """
    wanted = frozenset(kinds)
    entries = [e for e in catalogue if not wanted or e.record_kind in wanted]
    if name == "action":
        return [Choice(e.code, e.description, e.product) for e in entries]
    column = {"object_type": "object_type", "product": "product"}.get(name, "")
    values = sorted({getattr(e, column) for e in entries} - {""}) if column else []
    return [Choice(value, value.replace("_", " ")) for value in values]


def stored(reader: ScopedReader, question: Question, name: str) -> Sequence[Choice]:
    """Return the most frequent values of a filter in the events of a question, none where nothing is counted.

    What the visitor may not see is not offered, and neither is what would be too expensive to count.
    """
    facet = _FILTER_FACETS.get(name, name)
    if facet not in FACETS:
        return []
    try:
        values = reader.facet(question, facet, top=_MOST_STORED)
    except (Forbidden, QueryTooExpensive):
        return []
    return [Choice(v.value, events=v.events) for v in values if v.value]


def merged(stored_ones: Iterable[Choice], known: Iterable[Choice]) -> Sequence[Choice]:
    """Return what is stored first, in words as far as they are known, then what is only known."""
    by_value = {choice.value: choice for choice in known}
    first = [
        Choice(c.value, by_value[c.value].label, by_value[c.value].group, c.events) if c.value in by_value else c
        for c in stored_ones
    ]
    seen = {choice.value for choice in first}
    return [*first, *(choice for value, choice in by_value.items() if value not in seen)]


def attributes() -> Sequence[Filter]:
    """Return the filters that the builder offers: all but the period, which has a place of its own."""
    return [f for name, f in by_name().items() if name == f.name and name not in ("since", "until")]
