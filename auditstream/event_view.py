"""Events as people read them: who did what to which object, from where, with what result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from query.fields import Row, chosen, shown_fields
from schemas.catalogue import TEMPLATE_NAMES, Catalogue

#: Columns of the table; ``time`` and the others that are no fields are made of several fields.
TABLE_COLUMNS = ("time", "actor", "title", "target", "from", "outcome")

_TITLE_FIELDS = ("event_code", *dict.fromkeys(c for columns in TEMPLATE_NAMES.values() for c in columns))
#: Column that is no field -> the fields that it is made of.
_MADE_OF: Mapping[str, tuple[str, ...]] = {
    "time": ("occurred_at",),
    "actor": ("actor_name", "actor_login", "actor_id", "actor_type", "auth_attempted_login"),
    "title": _TITLE_FIELDS,
    "target": ("target_type", "target_name", "target_id"),
    "from": ("ip", "geo_country"),
}


@dataclass(frozen=True, slots=True)
class EventView:
    """How events are shown.

    Attributes:
        columns: Fields of an event and columns of ``_MADE_OF``, in order.
        zone: Zone of ``time``.
        catalogue: Where titles come from.
    """

    columns: tuple[str, ...]
    zone: ZoneInfo
    catalogue: Catalogue

    @classmethod
    def of(cls, names: Sequence[str], zone: ZoneInfo, catalogue: Catalogue) -> EventView:
        """Return a view of some columns.

        Raises:
            InvalidFilter: There is no column of a name; with the nearest one.
        """
        known = {**shown_fields(), **{name: (name,) for name in _MADE_OF}}
        return cls(chosen(known, names), zone, catalogue)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that have to be read."""
        return tuple(dict.fromkeys(f for column in self.columns for f in _MADE_OF.get(column, (column,))))

    @property
    def headings(self) -> Mapping[str, str]:
        """Headings that differ from the name of the column: the zone is named with the time."""
        return {"time": f"time ({self.zone.key})"}

    def rows(self, events: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows to print, as the events come."""
        made = self._made()
        for event in events:
            yield {c: made[c](event) if c in made else event[c] for c in self.columns}

    def _made(self) -> Mapping[str, Callable[[Row], object]]:
        return {
            "time": self._time,
            "actor": _actor,
            "title": lambda event: self.catalogue.title(event["event_code"], event),
            "target": _target,
            "from": lambda event: " ".join(filter(None, (event["ip"], event["geo_country"]))),
        }

    def _time(self, event: Row) -> str:
        moment = event["occurred_at"].astimezone(self.zone)
        text: str = moment.isoformat(sep=" ", timespec="microseconds")
        return text.removesuffix("+00:00")


def all_fields() -> tuple[str, ...]:
    """Return the columns that machines get when they name none: every field, and the title."""
    return (*shown_fields(), "title")


def _actor(event: Row) -> str:
    names = ("actor_name", "actor_login", "actor_id", "auth_attempted_login", "actor_type")
    return next((event[n] for n in names if event[n] not in ("", "unspecified")), "")


def _target(event: Row) -> str:
    name = event["target_name"] or event["target_id"]
    return " ".join(filter(None, (event["target_type"], name)))
