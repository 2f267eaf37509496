"""Schema registries: one promise, an HTTP client with a cache on disk, and one inside the process."""

from schemas.registry.client import SchemaRegistry
from schemas.registry.memory import MemoryRegistry
from schemas.registry.opening import open_registry
from schemas.registry.promise import Compatibility, RegisteredSchema, Registry, Schema, value_subject

__all__ = [
    "Compatibility",
    "MemoryRegistry",
    "RegisteredSchema",
    "Registry",
    "Schema",
    "SchemaRegistry",
    "open_registry",
    "value_subject",
]
