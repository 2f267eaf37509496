"""The event catalogue: every code there is, the users' own included, searchable, each with its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from starlette.responses import Response

from query.access.rights import Right
from query.expression import Term
from query.web.page import PageRoute
from query.web.related import journal_address
from query.web.visit import Visit
from schemas.catalogue import CatalogueEntry, shipped_files

#: Entries of files that users add.
OWN = "own"
#: File that ships -> what its entries are about.
AREAS: Mapping[str, str] = {
    "api": "API calls",
    "audit_access": "Reads of the audit log",
    "authorization": "Sign-in and tokens",
    "campaigns": "Campaigns, loyalty and promotions",
    "enterprise": "Enterprise administration",
    "exports": "Data exports",
    "objects": "Objects of an account",
    "resources": "Resources of a project",
    "runs": "Run logs",
    "system": "The pipeline itself",
    "tasks": "Background tasks",
    "webhooks": "Webhooks",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that the codes can be narrowed to.

    Attributes:
        value: The value, as it stands in the address.
        label: In words.
        codes: How many codes have it, of those that match everything else that is chosen.
    """

    value: str
    label: str
    codes: int


@dataclass(frozen=True, slots=True)
class _Narrowing:
    """One way to narrow the codes down.

    Attributes:
        name: Parameter of the address.
        label: In words.
        value: Its value of an entry.
    """

    name: str
    label: str
    value: Callable[[CatalogueEntry], str]


def area(entry: CatalogueEntry) -> str:
    """Return what an entry is about: a key of ``AREAS``, the name of a further file that ships, or ``own``."""
    place = entry.place.rpartition(":")[0] or entry.place
    stem = PurePosixPath(place).stem
    return stem if place.startswith("schemas/catalogue/") and stem in _shipped() else OWN


@cache
def _shipped() -> frozenset[str]:
    return frozenset(PurePosixPath(f.name).stem for f in shipped_files())


_NARROWINGS = (
    _Narrowing("area", "Area", area),
    _Narrowing("category", "Category", lambda entry: entry.category),
    _Narrowing("object_type", "Object type", lambda entry: entry.object_type),
    _Narrowing("kind", "Kind of record", lambda entry: entry.record_kind),
    _Narrowing("product", "Product", lambda entry: entry.product),
    _Narrowing("retention_class", "Retention class", lambda entry: entry.retention_class),
)


async def catalogue(visit: Visit) -> Response:
    """List the event codes; the words of ``q`` must all occur in a code, its title or its description."""
    entries = list(visit.service.catalogue)
    words = (visit.values.text("q") or "").lower().split()
    chosen = {n.name: visit.values.text(n.name) or "" for n in _NARROWINGS}
    found = [e for e in _with_words(entries, words) if _fits(e, chosen)]
    return visit.page(
        "catalogue.html",
        found=found,
        total=len(entries),
        chosen=chosen,
        narrowings=[(n.name, n.label, choices(entries, words, chosen, n)) for n in _NARROWINGS],
        area=lambda entry: label_of("area", area(entry)),
        events_of=lambda code: journal_address(Term("action", code)),
    )


def choices(
    entries: Iterable[CatalogueEntry], words: Sequence[str], chosen: Mapping[str, str], narrowing: _Narrowing
) -> list[Choice]:
    """Return the values of one way to narrow down, in alphabetical order, each with the codes it would leave."""
    others = {name: value for name, value in chosen.items() if name != narrowing.name}
    counts = Counter(narrowing.value(e) for e in _with_words(entries, words) if _fits(e, others))
    found = [Choice(value, label_of(narrowing.name, value), n) for value, n in counts.items() if value]
    return sorted(found, key=lambda choice: choice.label.lower())


def label_of(name: str, value: str) -> str:
    """Return a value in words."""
    return {**AREAS, OWN: "Your own codes"}.get(value, value) if name == "area" else value


def _with_words(entries: Iterable[CatalogueEntry], words: Sequence[str]) -> list[CatalogueEntry]:
    texts = ((e, f"{e.code} {e.title.template} {e.description} {e.object_type}".lower()) for e in entries)
    return [entry for entry, text in texts if all(word in text for word in words)]


def _fits(entry: CatalogueEntry, chosen: Mapping[str, str]) -> bool:
    return all(n.value(entry) == chosen[n.name] for n in _NARROWINGS if chosen.get(n.name))


PAGES = (
    PageRoute("/catalogue", catalogue, name="catalogue", section="Event catalogue", right=Right.EVENTS, group="Log"),
)
