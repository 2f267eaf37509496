"""The filter form of a journal: what its fields show, and how what was filled in becomes an address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from query.aggregates import FacetValue
from query.condition import check
from query.errors import InvalidFilter
from query.expression import Term
from query.filters import Filter, by_name
from query.period import Clock, parse_moment
from query.web import choices, links
from query.web.choices import Choice
from query.web.narrowing import ALL_TIMES, DEFAULT_SINCE, PERIOD, Chip, Condition, Narrowing, Pairs
from query.web.presets import QuickFilter
from query.web.zones import ShownZone
from schemas.catalogue import Catalogue

#: Periods by name -> what the page calls them, and the filters that they are.
PERIODS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "1h": ("Last hour", {"since": "1h"}),
    DEFAULT_SINCE: ("Last 24 hours", {"since": DEFAULT_SINCE}),
    "7d": ("Last 7 days", {"since": "7d"}),
    "30d": ("Last 30 days", {"since": "30d"}),
    "today": ("Today", {"since": "today"}),
    "yesterday": ("Yesterday", {"since": "yesterday", "until": "today"}),
    ALL_TIMES: ("All times", {}),
}
CUSTOM = "custom"
#: Names of the form itself begin so; everything else in it is part of the question.
_OWN = "_"
_LOCAL = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True, slots=True)
class Draft:
    """A condition that was added and not applied yet.

    Attributes:
        condition: The condition.
        without: Address without it.
        problem: What is wrong with it, ``""`` when nothing is.
    """

    condition: Condition
    without: str
    problem: str


@dataclass(frozen=True, slots=True)
class FilterForm:
    """What the form shows for one address.

    Attributes:
        narrowing: The question of the address.
        shown: The zone in which times are shown and read.
        catalogue: The event codes.
    """

    narrowing: Narrowing
    shown: ShownZone
    catalogue: Catalogue

    @property
    def clock(self) -> Clock:
        """What times are read against."""
        return Clock(datetime.now(UTC), self.shown.zone)

    @property
    def period(self) -> str:
        """Which of PERIODS is meant, or CUSTOM."""
        given = {name: self.narrowing.value(name) for name in PERIOD if self.narrowing.value(name)}
        if not given:
            return ALL_TIMES if self.narrowing.has_period else DEFAULT_SINCE
        return next((name for name, (_, filters) in PERIODS.items() if filters == given), CUSTOM)

    @property
    def since(self) -> datetime | None:
        """Beginning of the period; None when it has none, or when it is not understood."""
        return self._moment(self.narrowing.value("since") or ("" if self.narrowing.has_period else DEFAULT_SINCE))

    @property
    def until(self) -> datetime | None:
        """End of the period; None when it has none, or when it is not understood."""
        return self._moment(self.narrowing.value("until"))

    def local(self, moment: datetime | None) -> str:
        """Return a moment as a field for times takes it, in the shown zone."""
        return moment.astimezone(self.shown.zone).strftime(_LOCAL) if moment else ""

    @property
    def periods(self) -> Mapping[str, tuple[str, Mapping[str, str]]]:
        """The periods that the form offers."""
        return PERIODS

    @property
    def attributes(self) -> Sequence[Filter]:
        """The filters that can be added."""
        return choices.attributes()

    def options(self, quick: QuickFilter, facets: Mapping[str, Sequence[FacetValue]] | None) -> Sequence[Choice]:
        """Return the values of a filter that has a field of its own, the one that is chosen among them.

        Args:
            quick: The filter.
            facets: What is counted beside the rows, by name of the facet.
        """
        counted = [Choice(v.value, events=v.events) for v in (facets or {}).get(quick.name, ()) if v.value]
        if quick.choices == "schema":
            return choices.merged([], choices.of_schema(by_name()[quick.name]))
        known = choices.of_catalogue(quick.name, self.catalogue, self._kinds())
        if quick.choices == "codes" and (product := self.narrowing.value("product")):
            known = [choice for choice in known if choice.group == product]
        chosen = [Choice(value) for value in self.narrowing.values(quick.name)]
        return sorted(choices.merged([*counted, *chosen], known), key=lambda choice: (choice.group, choice.value))

    def chosen(self, quick: QuickFilter) -> str:
        """Return the value of a filter that has a field of its own, ``""`` when it has none or several."""
        values = self.narrowing.values(quick.name)
        return values[0] if len(values) == 1 else ""

    @property
    def hidden(self) -> Pairs:
        """What the form sends along without a field for it."""
        fields = {quick.name for quick in self.narrowing.preset.filters if self.chosen(quick)}
        gone = {*PERIOD, "period", "q", "any", "cursor", *fields}
        return [pair for pair in self.narrowing.pairs if pair[0] not in gone]

    def drafts(self) -> Iterator[Draft]:
        """Yield the conditions that were added and not applied yet."""
        for condition in self.narrowing.drafts:
            text = condition.as_draft()
            kept = [pair for pair in self.narrowing.pairs if pair != ("draft", text)]
            yield Draft(condition, links.address(self.narrowing.preset.path, kept), self._problem(condition))

    def chip_links(self) -> list[tuple[Chip, str]]:
        """Return the conditions that narrow, each with the address without it."""
        return [(chip, self.address(self.narrowing.without(chip.index))) for chip in self.narrowing.chips()]

    def passed_on(self, path: str) -> str:
        """Return the address of another page that is asked the same question."""
        zone = [] if self.narrowing.value("tz") else [("tz", self.shown.name)]
        return links.address(path, [*self.narrowing.passed_on, *zone])

    def address(self, pairs: Pairs) -> str:
        """Return the address of the journal with other pairs."""
        return links.address(self.narrowing.preset.path, pairs)

    def _kinds(self) -> list[str]:
        return [value for name, value in self.narrowing.preset.fixed if name == "kind"]

    def _problem(self, condition: Condition) -> str:
        try:
            check(Term(condition.name, condition.value), self.clock)
        except InvalidFilter as error:
            return str(error)
        return ""

    def _moment(self, text: str) -> datetime | None:
        try:
            return parse_moment(text, self.clock) if text else None
        except (ValueError, InvalidFilter):
            return None


def filled_in(pairs: Pairs) -> Pairs:
    """Return the address that a filled-in form means.

    Args:
        pairs: Everything that the form sent.
    """
    own = {name: value for name, value in pairs if name.startswith(_OWN)}
    kept = [(n, v) for n, v in pairs if not n.startswith(_OWN) and v != "" and n not in (*PERIOD, "period", "at")]
    added = _added(own)
    if own.get("_step") == "add":
        drafts = [("draft", added.as_draft())] if added else []
        return list(dict.fromkeys([*_period(own), *kept, *drafts]))
    ready = [c for n, v in kept if n == "draft" and (c := Condition.of_draft(v))]
    applied = [(n, v) for n, v in kept if n != "draft"]
    conditions = [*ready, *([added] if added else [])]
    return list(dict.fromkeys([*_period(own), *applied, *(c.pair for c in conditions)]))


def _added(own: Mapping[str, str]) -> Condition | None:
    name, value = own.get("_attribute", ""), own.get("_value", "").strip()
    return Condition(name, own.get("_criterion") == "not", value) if name in by_name() and value else None


def _period(own: Mapping[str, str]) -> Pairs:
    chosen = own.get("_period", DEFAULT_SINCE)
    dates = {name: own.get(f"_{name}", "") for name in PERIOD}
    # Whoever changes a date means it, also when the list still names a period.
    changed = any(dates[name] != own.get(f"_{name}_was", "") for name in PERIOD)
    if chosen == own.get("_period_was") and changed:
        chosen = CUSTOM
    if chosen == ALL_TIMES:
        return [("period", ALL_TIMES)]
    if chosen in PERIODS:
        return list(PERIODS[chosen][1].items())
    if not any(dates.values()):
        return [("period", ALL_TIMES)]
    # What was not touched stays as exact as it was: fields for times have no fractions and no offset.
    exact = {name: own.get(f"_{name}_exact", "") if dates[name] == own.get(f"_{name}_was") else "" for name in PERIOD}
    return [(name, exact[name] or dates[name]) for name in PERIOD if dates[name]]
