"""Which pages there are, in the order of the navigation: one line for each module."""

from __future__ import annotations

from types import ModuleType

from query.web import actors, batches, catalogue, event, journal, letters, narrow, runs, sign_in, tail

MODULES: tuple[ModuleType, ...] = (
    journal,
    event,
    actors,
    tail,
    runs,
    catalogue,
    letters,
    batches,
    narrow,
    sign_in,
)
