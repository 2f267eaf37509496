"""Events as one reader may see them: chosen fields, titles, personal data masked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from query.access.personal import PersonalData, masked
from query.fields import Row, chosen, shown_fields
from schemas.catalogue import TEMPLATE_NAMES, Catalogue

#: Field that is no column: the sentence of the catalogue.
TITLE = "title"
_TITLE_FIELDS = ("event_code", *dict.fromkeys(c for columns in TEMPLATE_NAMES.values() for c in columns))


@dataclass(frozen=True, slots=True)
class EventView:
    """What is shown of events.

    Attributes:
        catalogue: Where titles come from.
        personal: What is hidden; None to hide nothing.
        names: Fields of a row, in order.
    """

    catalogue: Catalogue
    personal: PersonalData | None
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str], catalogue: Catalogue, personal: PersonalData | None) -> EventView:
        """Return a view of some fields, of all when none is named.

        Raises:
            InvalidFilter: There is no field of a name.
        """
        known = {TITLE: (TITLE,), **shown_fields()}
        return cls(catalogue, personal, chosen(known, names))

    @property
    def fields(self) -> tuple[str, ...]:
        """Columns to read: those that are shown, and those that decide how."""
        needed = [*(n for n in self.names if n != TITLE), "event_code"]
        return tuple(dict.fromkeys([*needed, *(_TITLE_FIELDS if TITLE in self.names else ())]))

    def rows(self, events: Iterable[Row]) -> list[Row]:
        """Return rows as they are shown."""
        return [self.row(event) for event in events]

    def row(self, event: Row) -> Row:
        """Return one row as it is shown."""
        code = str(event["event_code"])
        names = self.personal.hidden_in(code) if self.personal else ()
        shown = masked(event, names)
        if TITLE in self.names:
            shown[TITLE] = self.catalogue.title(code, masked(event, names, blank=True))
        return {name: shown[name] for name in self.names}
