"""Loads and stores of the interpreter, each with its bounds at hand.

The functions take a ``guard``. With None they compile to bare machine instructions: what keeps them inside their
buffers are the explicit capacity checks of the kernel. With the address of a counter the same source compiles to
code that compares every access with its buffer, leaves an access outside undone and counts it: the mode in which the
decoder is fuzzed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from consumers.decode.jit import inlined

_BYTE, _HALF, _WORD, _WIDE = (ir.IntType(bits) for bits in (8, 32, 64, 128))
_VECTOR = ir.VectorType(_BYTE, 16)
_SINGLE, _DOUBLE = ir.FloatType(), ir.DoubleType()


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _loader(kind: Any, *, signed: bool) -> Callable[[int], int]:
    def load(_: Any, _address: Any) -> Any:
        def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
            value = builder.load(_pointer(builder, arguments[0], kind))
            value.align = 1
            extend = builder.sext if signed else builder.zext
            return extend(value, _WORD) if kind.width < _WORD.width else value

        return types.int64(types.int64), generate

    return cast("Callable[[int], int]", intrinsic(load))


def _storer(kind: Any) -> Callable[[int, int], None]:
    def store(_: Any, _address: Any, _value: Any) -> Any:
        def generate(context: Any, builder: Any, ___: Any, arguments: Any) -> Any:
            narrow = builder.trunc(arguments[1], kind) if kind.width < _WORD.width else arguments[1]
            builder.store(narrow, _pointer(builder, arguments[0], kind)).align = 1
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return cast("Callable[[int, int], None]", intrinsic(store))


load8 = _loader(_BYTE, signed=False)
load32 = _loader(_HALF, signed=True)
load64 = _loader(_WORD, signed=True)
store8 = _storer(_BYTE)
store32 = _storer(_HALF)
store64 = _storer(_WORD)


def _copy16(_: Any, _target: Any, _source: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        value = builder.load(_pointer(builder, arguments[1], _VECTOR))
        value.align = 1
        builder.store(value, _pointer(builder, arguments[0], _VECTOR)).align = 1
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _copy_bytes(_: Any, _target: Any, _source: Any, _count: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        pointers = (_pointer(builder, a, _BYTE) for a in arguments[:2])
        raw_memcpy: Any = cgutils.raw_memcpy
        raw_memcpy(builder, *pointers, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _zero_bytes(_: Any, _target: Any, _count: Any) -> Any:
    def generate(context: Any, builder: Any, __: Any, arguments: Any) -> Any:
        memset: Any = cgutils.memset
        memset(builder, _pointer(builder, arguments[0], _BYTE), arguments[1], 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


def _fold(_: Any, _left: Any, _right: Any) -> Any:
    def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
        wide = (builder.zext(a, _WIDE) for a in arguments)
        product = builder.mul(*wide)
        high = builder.lshr(product, ir.Constant(_WIDE, 64))
        return builder.xor(builder.trunc(product, _WORD), builder.trunc(high, _WORD))

    return types.uint64(types.uint64, types.uint64), generate


#: Copy 16 bytes to an address from another one.
copy16 = cast("Callable[[int, int], None]", intrinsic(_copy16))
#: Copy to an address, from another one, a number of bytes.
copy_bytes = cast("Callable[[int, int, int], None]", intrinsic(_copy_bytes))
#: Set to 0, from an address on, a number of bytes.
zero_bytes = cast("Callable[[int, int], None]", intrinsic(_zero_bytes))
#: Multiply two 64-bit numbers and fold the 128 bits of the product into 64.
fold = cast("Callable[[np.uint64, np.uint64], np.uint64]", intrinsic(_fold))


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
