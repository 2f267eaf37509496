"""Which implementation an address stands for."""

from __future__ import annotations

from schemas.registry.client import SchemaRegistry
from schemas.registry.memory import memory_registry
from schemas.registry.promise import Registry
from schemas.settings import RegistrySettings

_MEMORY_SCHEME = "mock://"


def open_registry(settings: RegistrySettings) -> Registry:
    """Open the registry that the settings name; nothing is sent yet.

    Args:
        settings: With ``url`` ``mock://NAME`` for the registry of that name inside this process.

    Raises:
        RegistryRefused: The address is not a URL, or the certificate file cannot be read.
    """
    if settings.url.startswith(_MEMORY_SCHEME):
        return memory_registry(settings.url.removeprefix(_MEMORY_SCHEME))
    return SchemaRegistry(settings)
