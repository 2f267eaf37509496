"""Bare loads, stores and copies at addresses, for compiled code only. Nothing here is bounded: callers are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_BYTE, _SHORT, _HALF, _WORD, _WIDE = (ir.IntType(bits) for bits in (8, 16, 32, 64, 128))
_VECTOR = ir.VectorType(_BYTE, 16)


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


#: Load an unsigned 8- or 16-bit number, a signed 32- or 64-bit number, from an address of any alignment.
load8 = _loader(_BYTE, signed=False)
load16 = _loader(_SHORT, signed=False)
load32 = _loader(_HALF, signed=True)
load64 = _loader(_WORD, signed=True)
#: Store the low 8, 16, 32 or 64 bits of a number at an address of any alignment.
store8 = _storer(_BYTE)
store16 = _storer(_SHORT)
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


#: Copy 16 bytes to an address from another one.
copy16 = cast("Callable[[int, int], None]", intrinsic(_copy16))
#: Copy to an address, from another one, a number of bytes.
copy_bytes = cast("Callable[[int, int, int], None]", intrinsic(_copy_bytes))
#: Set to 0, from an address on, a number of bytes.
zero_bytes = cast("Callable[[int, int], None]", intrinsic(_zero_bytes))


def _fold(_: Any, _left: Any, _right: Any) -> Any:
    def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
        wide = (builder.zext(a, _WIDE) for a in arguments)
        product = builder.mul(*wide)
        high = builder.lshr(product, ir.Constant(_WIDE, 64))
        return builder.xor(builder.trunc(product, _WORD), builder.trunc(high, _WORD))

    return types.uint64(types.uint64, types.uint64), generate


#: Multiply two 64-bit numbers and fold the 128 bits of the product into 64.
fold = cast("Callable[[np.uint64, np.uint64], np.uint64]", intrinsic(_fold))
