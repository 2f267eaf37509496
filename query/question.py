"""A question with everything that decides its answer, and what it shares between the kinds of reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from query.condition import condition, find_filter
from query.cursor import digest
from query.expression import EVERYTHING, Expression, Term, canonical, required_terms
from query.parameters import Parameters
from query.period import Clock

SortName: TypeAlias = Literal["time", "user", "ip", "object"]

UTC_ZONE = ZoneInfo("UTC")
#: Rows past their time that no merge has removed yet are gone for readers.
ALIVE = "expires_at > now64(3, 'UTC')"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """Which events are asked for, in which order.

    Attributes:
        expression: What must match.
        sort: By time of the event, by name and id of the actor, by address, or by type, name and id of the object;
            what is equal in that is sorted by time, in the same direction.
        descending: The newest, or the last in the alphabet, first.
        zone: Zone of times in the expression that name none.
        now: The present for relative times.
    """

    expression: Expression = EVERYTHING
    sort: SortName = "time"
    descending: bool = True
    zone: ZoneInfo = UTC_ZONE
    now: datetime = field(default_factory=_now)

    @property
    def clock(self) -> Clock:
        """What times of the expression are read against."""
        return Clock(self.now, self.zone)

    @property
    def fingerprint(self) -> str:
        """Digest of all but ``now``: cursors are bound to it."""
        return digest(canonical(self.expression), self.sort, str(self.descending), self.zone.key)

    @property
    def hint(self) -> str:
        """Which further filter would make the question cheaper."""
        given = {find_filter(term).name for term in required_terms(self.expression)}
        if "since" not in given:
            return "add a period, for example since:7d"
        if "tenant" not in given:
            return "add tenant:ID, or shorten the period"
        if "text" in given:
            return "words are looked for in every event of the period; shorten it, or add another filter"
        return "shorten the period, or add a filter by actor_id, target or ip"

    def where(self, parameters: Parameters) -> str:
        """Return the condition, that rows are not past their time included.

        Raises:
            InvalidFilter: A term is not understood.
        """
        return f"{ALIVE} AND {condition(self.expression, parameters, self.clock)}"

    def required(self, name: str) -> Term | None:
        """Return the term of a filter that every match fulfils, None when there is none."""
        found = (t for t in required_terms(self.expression) if find_filter(t).name == name)
        return next(found, None)
