"""Typed objects that remember only what they were given, so that emitting one costs no more than emitting a dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, TypeVar

_T = TypeVar("_T")
_SPARSE: set[type[Any]] = set()


def sparse(of: type[_T]) -> type[_T]:
    """Let a dataclass without slots keep only the fields that are given; the others are the defaults of the class.

    Equality, ``repr``, ``replace`` and pickling stay those of the dataclass.

    Raises:
        TypeError: It is no dataclass.
    """
    described = fields(of)  # type: ignore[arg-type]
    names = frozenset(f.name for f in described)
    required = frozenset(f.name for f in described if f.default is MISSING)

    @wraps(of.__init__)
    def initialise(self: _T, **given: object) -> None:
        if not names.issuperset(given) or (required and not required <= given.keys()):
            raise TypeError(_misfit(of.__name__, required - given.keys(), given.keys() - names))
        self.__dict__ = given

    setattr(of, "__init__", initialise)  # noqa: B010 - assigned by name, a type checker goes on seeing the dataclass
    _SPARSE.add(of)
    return of


def given_to(value: object) -> Mapping[str, Any] | None:
    """Return what a sparse object was given, misspelt attributes set later included; None for any other object."""
    return value.__dict__ if type(value) in _SPARSE else None


def _misfit(name: str, missing: frozenset[str], unknown: set[str]) -> str:
    parts = [f"needs {', '.join(sorted(missing))}"] if missing else []
    parts += [f"has no {', '.join(sorted(unknown))}"] if unknown else []
    return f"{name} {' and '.join(parts)}"
