"""The question of a journal as its address holds it, piece by piece: what is shown as chips, changed and passed on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from query.expression import AnyOf, Expression, Term, conjunction
from query.filters import by_name
from query.syntax import to_text
from query.web.presets import Preset

#: Names in an address that are parts of the question, beside filters.
_ORDER = ("sort", "order")
_QUESTION = ("q", "any", "not", "tz", *_ORDER)
#: Filters that are its period.
PERIOD = ("since", "until")
_PERIODS = (*PERIOD, "after", "from", "before", "to", "stored_since", "stored_until")
#: Says that no period is meant, where otherwise the last day would be.
ALL_TIMES = "all"
DEFAULT_SINCE = "24h"

#: Names in the address of a journal beside filters; pages that a journal leads to get them too.
ADDRESS = frozenset((*_QUESTION, *_PERIODS, "period", "view", "draft", "cursor"))

Pairs = Sequence[tuple[str, str]]


def of_question(pairs: Iterable[tuple[str, str]], *, order: bool = True) -> list[tuple[str, str]]:
    """Return what of an address is its question; forms send what is left empty, and journals what only they understand.

    Args:
        pairs: Names and values of the address.
        order: Whether its order belongs to it.
    """
    known = by_name().keys() | set(_QUESTION if order else _QUESTION[: -len(_ORDER)])
    return [(name, value) for name, value in pairs if value and name in known]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition that is not applied yet: ``actor`` ``is`` ``ann``.

    Attributes:
        name: Name of the filter.
        negated: Leave out what matches.
        value: Its value.
    """

    name: str
    negated: bool
    value: str

    @property
    def pair(self) -> tuple[str, str]:
        """The condition as part of an address."""
        return ("not", to_text(Term(self.name, self.value))) if self.negated else (self.name, self.value)

    def as_draft(self) -> str:
        """Return it as the text that ``of_draft`` reads."""
        return f"{self.name}:{'not' if self.negated else 'is'}:{self.value}"

    @classmethod
    def of_draft(cls, text: str) -> Condition | None:
        """Return the condition of a text, None when it is none."""
        name, _, rest = text.partition(":")
        sign, _, value = rest.partition(":")
        return cls(name, sign == "not", value) if name in by_name() and sign in ("is", "not") and value else None


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The question of an address.

    Attributes:
        preset: The journal.
        pairs: Names and values of the address, in order.
    """

    preset: Preset
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, preset: Preset, pairs: Iterable[tuple[str, str]]) -> Narrowing:
        """Return the narrowing of an address; what is empty counts as not given."""
        return cls(preset, tuple((name, value) for name, value in pairs if value != ""))

    def values(self, name: str) -> list[str]:
        """Return the values of a name."""
        return [v for n, v in self.pairs if n == name]

    def value(self, name: str) -> str:
        """Return the first value of a name, ``""`` without one."""
        return next(iter(self.values(name)), "")

    @property
    def has_period(self) -> bool:
        """Whether the address says which period it means."""
        return bool(self.value("period")) or any(self.value(name) for name in _PERIODS)

    @property
    def question(self) -> Pairs:
        """The question, with the period that is meant where the address names none; without the fixed filter."""
        own = of_question(self.pairs)
        return own if self.has_period else [("since", DEFAULT_SINCE), *own]

    @property
    def passed_on(self) -> Pairs:
        """The question, with the fixed filter, as other pages take it."""
        if not self.preset.fixed:
            return self.question
        if self.value("any") not in ("", "false", "0"):
            # A filter would be one of the alternatives; what is left out always holds.
            return [*self.question, ("not", f"-({to_text(self.fixed)})")]
        if {name for name, _ in self.preset.fixed} & {name for name, _ in self.question}:
            return [*self.question, ("not", f"-({to_text(self.fixed)})")]
        return [*self.preset.fixed, *self.question]

    @property
    def fixed(self) -> Expression:
        """What always holds."""
        names = dict.fromkeys(name for name, _ in self.preset.fixed)
        terms = {name: tuple(Term(n, v) for n, v in self.preset.fixed if n == name) for name in names}
        return conjunction(*(found[0] if len(found) == 1 else AnyOf(found) for found in terms.values()))

    @property
    def drafts(self) -> list[Condition]:
        """Conditions that were added and not applied yet."""
        found = (Condition.of_draft(text) for text in self.values("draft"))
        return [condition for condition in found if condition]

    def chips(self) -> Iterator[Chip]:
        """Yield what narrows, the period and the text form excepted."""
        known = by_name()
        for index, (name, value) in enumerate(self.pairs):
            if name == "not":
                yield Chip(index, "not", value, negated=True)
            elif name in known and name not in ("q", *PERIOD):
                yield Chip(index, name, value, negated=False)

    def without(self, index: int) -> Pairs:
        """Return the address without one of its pairs, and from the first page."""
        return [pair for i, pair in enumerate(self.pairs) if i != index and pair[0] != "cursor"]

    def taken_out(self, name: str, value: str) -> Pairs:
        """Return the address without a filter, from the first page."""
        return [pair for pair in self.pairs if pair != (name, value) and pair[0] != "cursor"]

    def also(self, name: str, value: str) -> Pairs:
        """Return the address with one more filter, from the first page."""
        pair = (name, value)
        return [*(p for p in self.pairs if p[0] != "cursor" and p != pair), pair]


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition that narrows.

    Attributes:
        index: Which pair of the address it is.
        name: Name of the filter; ``not`` with a text form as its value.
        value: Its value.
        negated: Whether it leaves out.
    """

    index: int
    name: str
    value: str
    negated: bool
