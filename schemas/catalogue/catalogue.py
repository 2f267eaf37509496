"""The catalogue: every event code there is, from the files that ship and those that users add."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from schemas.catalogue.entry import RETENTION_CLASSES, CatalogueEntry
from schemas.catalogue.reading import read_file
from schemas.errors import CatalogueError

_PACKAGE = "schemas/catalogue"


class Catalogue:
    """Entries by code; iteration goes through the codes in alphabetical order. Never changes, safe for threads.

    Attributes:
        codes: All codes in alphabetical order; ``column`` returns values in the same order.
        digest: SHA-256 over all entries, hexadecimal: the same entries give the same digest, wherever they are
            defined.
    """

    def __init__(self, entries: Iterable[CatalogueEntry]) -> None:
        """Put entries together.

        Args:
            entries: In the order in which they were defined.

        Raises:
            CatalogueError: A code is defined more than once; names both places of each.
        """
        given = tuple(entries)
        problems = _repeated((e.code, e.place) for e in given)
        if problems:
            raise CatalogueError(problems)
        self._entries = {e.code: e for e in given}
        self.codes: tuple[str, ...] = tuple(sorted(self._entries))
        self.digest = _digest(self)

    @classmethod
    def load(
        cls, extra_files: Sequence[Path] = (), *, retention_classes: Iterable[str] = RETENTION_CLASSES
    ) -> Catalogue:
        """Read the catalogue that ships, and further files.

        Args:
            extra_files: Users' files, as ``settings.catalogue.files`` names them.
            retention_classes: Classes that an entry may name: ``settings.retention.classes``. Those that ship are
                always allowed.

        Raises:
            CatalogueError: With every problem of every file, codes defined twice included.
        """
        classes = tuple(dict.fromkeys((*RETENTION_CLASSES, *retention_classes)))
        shipped = [read_file(f, f"{_PACKAGE}/{f.name}", classes) for f in shipped_files()]
        contents = [*shipped, *(read_file(f, str(f), classes) for f in extra_files)]
        repeated = _repeated(place for c in contents for place in c.places)
        problems = [*(p for c in contents for p in c.problems), *repeated]
        if problems:
            raise CatalogueError(problems)
        return cls(e for c in contents for e in c.entries)

    def get(self, code: str) -> CatalogueEntry | None:
        """Return the entry of a code, None when there is none."""
        return self._entries.get(code)

    def __contains__(self, code: object) -> bool:
        return code in self._entries

    def __iter__(self) -> Iterator[CatalogueEntry]:
        return (self._entries[c] for c in self.codes)

    def __len__(self) -> int:
        return len(self._entries)

    def column(self, attribute: str) -> list[str]:
        """Return one text attribute of all entries, in the order of ``codes``.

        Args:
            attribute: For example ``retention_class``, ``category`` or ``object_type``.
        """
        return [getattr(entry, attribute) for entry in self]

    def title(self, code: str, row: Mapping[str, object]) -> str:
        """Return the sentence for one stored row; the code itself when the catalogue does not know it.

        Args:
            code: Event code of the row.
            row: Values by column of ``audit_events``; columns may be missing.
        """
        entry = self._entries.get(code)
        return entry.title.render(row) if entry else code

    def titles(self, rows: Iterable[Mapping[str, object]]) -> list[str]:
        """Return the sentence of each stored row, by its ``event_code``."""
        return [self.title(str(row.get("event_code", "")), row) for row in rows]


def shipped_files() -> list[Traversable]:
    """Return the files that ship, in alphabetical order."""
    directory = resources.files("schemas").joinpath("catalogue")
    return sorted((f for f in directory.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)


def _repeated(places: Iterable[tuple[str, str]]) -> list[str]:
    first: dict[str, str] = {}
    problems = []
    for code, place in places:
        if code in first:
            problems.append(f"{place}: code {code} is already defined at {first[code]}")
        first.setdefault(code, place)
    return problems


def _digest(entries: Iterable[CatalogueEntry]) -> str:
    text = json.dumps([e.as_row() for e in entries], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
