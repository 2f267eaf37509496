"""What the event catalogue says of each code, joined to the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa

from consumers.batch import Int32s
from consumers.coded import Coded, CodeTable, Filler, Grown, Words
from consumers.enrich.retention import RetentionPolicy

#: Column of the event -> attribute of the catalogue's entry that fills it.
FILLED: Mapping[str, str] = {"event_category": "category", "crud": "crud", "target_type": "object_type"}


class Meaning(Protocol):
    """An entry of the event catalogue, as far as rows need it."""

    @property
    def category(self) -> str:
        """Normal form of the action."""

    @property
    def crud(self) -> str:
        """Coarse verb."""

    @property
    def object_type(self) -> str:
        """Type of the main object."""

    @property
    def retention_class(self) -> str:
        """Class that sets how long events are kept."""


class Meanings(Protocol):
    """The event catalogue, as far as rows need it."""

    def __contains__(self, code: object, /) -> bool:
        """Tell whether a code is known."""

    def get(self, code: str, /) -> Meaning | None:
        """Return the entry of a code, None when it is not known."""


class MeaningJoin:
    """Joins category, verb, type of object and retention class by event code. Not thread-safe.

    Args:
        catalogue: The known codes.
        policy: Knows which retention classes there are.
    """

    def __init__(self, catalogue: Meanings, policy: RetentionPolicy) -> None:
        self._catalogue, self._policy = catalogue, policy
        self._table = CodeTable(self._number)
        self._numbers: dict[str, int] = {}
        self._words = {column: Words() for column in FILLED}
        self._codes = {column: Grown(np.int32) for column in FILLED}
        self._classes = Grown(np.int32)
        self._fillers = {column: Filler({"", "unspecified"}) for column in FILLED}
        self._add("", "", "", policy.default_code)

    def join(self, event_code: Coded, coded: Mapping[str, Coded]) -> tuple[dict[str, pa.Array], Int32s]:
        """Return the filled columns, and the retention class of each row's code.

        Args:
            event_code: Code of each row; n rows.
            coded: The columns named in ``FILLED`` as received.
        """
        numbers = self._table.rows(event_code)
        filled = {
            column: filler.fill(coded[column], self._codes[column].view[numbers], self._words[column].array)
            for column, filler in self._fillers.items()
        }
        return filled, self._classes.view[numbers]

    def _number(self, code: str) -> int:
        entry = self._catalogue.get(code) if code in self._catalogue else None
        if entry is None:
            return 0
        if code not in self._numbers:
            class_code = self._policy.class_code(entry.retention_class)
            self._numbers[code] = self._add(entry.category, entry.crud, entry.object_type, class_code)
        return self._numbers[code]

    def _add(self, category: str, crud: str, object_type: str, class_code: int) -> int:
        for column, text in zip(FILLED, (category, crud, object_type), strict=True):
            self._codes[column].append(self._words[column].code(text))
        self._classes.append(class_code)
        return len(self._classes) - 1
