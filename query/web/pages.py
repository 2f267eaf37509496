"""Which pages there are, in the order of the navigation: one line for each module."""

from __future__ import annotations

from types import ModuleType

from query.web import (
    access,
    actors,
    batches,
    catalogue,
    data_exports,
    event,
    exports,
    journal,
    letters,
    narrow,
    runs,
    saved,
    sign_in,
    tail,
    tasks,
    webhooks,
)

MODULES: tuple[ModuleType, ...] = (
    journal,
    event,
    actors,
    tail,
    runs,
    tasks,
    webhooks,
    data_exports,
    exports,
    saved,
    catalogue,
    letters,
    batches,
    narrow,
    access,
    sign_in,
)
