"""Which pages there are, in the order of the navigation: one line for each module."""

from __future__ import annotations

from types import ModuleType

from query.web import journal, sign_in

MODULES: tuple[ModuleType, ...] = (
    journal,
    sign_in,
)
