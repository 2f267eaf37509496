"""How functions are compiled: typed doors to numba, the only module that imports its decorators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

#: numpy's error model: a division by zero cannot raise, so no code for it is generated.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into each of its callers."""
    return cast("Callable[P, R]", numba.njit(function, forceinline=True, **_OPTIONS))


def called(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that its callers call, without the GIL."""
    return cast("Callable[P, R]", numba.njit(function, **_OPTIONS))


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function called from Python, without the GIL; the machine code is kept on disk."""
    return cast("Callable[P, R]", numba.njit(function, cache=True, **_OPTIONS))
