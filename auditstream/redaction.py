"""What is secret in logs and listings, and how it is hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "*****"

#: Words in a name whose value is never shown. A deduplication token is no secret.
_SECRET_NAME = re.compile(
    r"passw|secret|authorization|credential|private.?key|api.?key|access.?key|key\.pem|jaas|(?<!dedup)(?<!deduplication)(^|[_.-])token$",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def hidden(name: str, value: object) -> object:
    """Return a value with stars in place of its secrets: by its name, by names inside it, and passwords in URLs."""
    if is_secret_name(name):
        return HIDDEN if value else value
    match value:
        case str():
            return _PASSWORD_IN_URL.sub(f"{HIDDEN}@", value)
        case Mapping():
            return {key: hidden(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [hidden("", inner) for inner in value]
        case _:
            return value
