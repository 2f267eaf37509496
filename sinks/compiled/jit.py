"""How functions are compiled: typed doors to numba, the only module that imports its decorators."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

#: numpy's error model: a division by zero cannot raise, so no code for it is generated.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def digest_of_sources(modules: Iterable[str]) -> int:
    """Return a digest of the sources of modules, 32 bits, to be part of the key of machine code on disk.

    numba looks at the module of the outermost function only, and would run old code of the others.

    Args:
        modules: Full names.
    """
    digest = 0
    for module in modules:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise ImportError(f"the source of {module} is not there")
        digest = zlib.crc32(Path(spec.origin).read_bytes(), digest)
    return digest


def cache_misses(functions: Iterable[Callable[..., Any]]) -> int:
    """Return how often compiled functions were not found on disk, and so were compiled, in this process.

    Args:
        functions: Made by ``cached``.
    """
    return sum(sum(cast("Any", function).stats.cache_misses.values()) for function in functions)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into each of its callers."""
    return cast("Callable[P, R]", numba.njit(function, forceinline=True, **_OPTIONS))


def called(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that its callers call, without the GIL."""
    return cast("Callable[P, R]", numba.njit(function, **_OPTIONS))


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function called from Python, without the GIL; the machine code is kept on disk."""
    return cast("Callable[P, R]", numba.njit(function, cache=True, **_OPTIONS))
