"""Loads and stores of the interpreter, each with its bounds at hand.

The functions take a ``guard``. With None they compile to bare machine instructions: what keeps them inside their
buffers are the explicit capacity checks of the kernel. With the address of a counter the same source compiles to
code that compares every access with its buffer, leaves an access outside undone and counts it: the mode in which the
decoder is fuzzed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from sinks.compiled.access import load8, load32, load64, store8, store32, store64
from sinks.compiled.jit import inlined

_HALF, _WORD = ir.IntType(32), ir.IntType(64)
_SINGLE, _DOUBLE = ir.FloatType(), ir.DoubleType()


def _converter(convert: Callable[[Any, Any], Any]) -> Callable[[int], int]:
    def bits(_: Any, _value: Any) -> Any:
        def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
            return convert(builder, arguments[0])

        return types.int64(types.int64), generate

    return cast("Callable[[int], int]", intrinsic(bits))


def _single_of_int(builder: Any, value: Any) -> Any:
    return builder.zext(builder.bitcast(builder.sitofp(value, _SINGLE), _HALF), _WORD)


def _double_of_int(builder: Any, value: Any) -> Any:
    return builder.bitcast(builder.sitofp(value, _DOUBLE), _WORD)


def _double_of_single(builder: Any, value: Any) -> Any:
    single = builder.bitcast(builder.trunc(value, _HALF), _SINGLE)
    return builder.bitcast(builder.fpext(single, _DOUBLE), _WORD)


#: Bits of the float nearest to an integer, of the double nearest to it, of the double equal to a float's bits.
single_of_int = _converter(_single_of_int)
double_of_int = _converter(_double_of_int)
double_of_single = _converter(_double_of_single)


def inside(guard: int | None, offset: int, width: int, size: int) -> bool:
    """Tell whether an access may be done: always without a guard, else when it lies inside its buffer."""
    raise NotImplementedError("only compiled code asks")


@overload(inside, jit_options={"forceinline": True})
def _inside(guard: Any, offset: Any, width: Any, size: Any) -> Any:  # noqa: ARG001 - the compiled forms use them
    def bare(guard: Any, offset: Any, width: Any, size: Any) -> Any:  # noqa: ARG001 - same signature as guarded
        return True

    def guarded(guard: Any, offset: Any, width: Any, size: Any) -> Any:
        if offset < 0 or width < 0 or offset + width > size:
            store64(guard, load64(guard) + 1)
            return False
        return True

    return bare if isinstance(guard, types.NoneType) else guarded


@inlined
def fetch8(guard: int | None, base: int, size: int, offset: int) -> int:
    """Load an unsigned byte at an offset of the buffer at base, of size bytes."""
    return load8(base + offset) if inside(guard, offset, 1, size) else 0


@inlined
def fetch32(guard: int | None, base: int, size: int, offset: int) -> int:
    """Load a signed 32-bit number."""
    return load32(base + offset) if inside(guard, offset, 4, size) else 0


@inlined
def fetch64(guard: int | None, base: int, size: int, offset: int) -> int:
    """Load a 64-bit number."""
    return load64(base + offset) if inside(guard, offset, 8, size) else 0


@inlined
def put8(guard: int | None, base: int, size: int, offset: int, value: int) -> None:
    """Store the low byte of a number."""
    if inside(guard, offset, 1, size):
        store8(base + offset, value)


@inlined
def put32(guard: int | None, base: int, size: int, offset: int, value: int) -> None:
    """Store the low 32 bits of a number."""
    if inside(guard, offset, 4, size):
        store32(base + offset, value)


@inlined
def put64(guard: int | None, base: int, size: int, offset: int, value: int) -> None:
    """Store a 64-bit number."""
    if inside(guard, offset, 8, size):
        store64(base + offset, value)
