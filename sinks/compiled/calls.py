"""Calls of C functions at addresses, for compiled code only.

numba calls what it knows when it compiles; the address of a function of a shared library is another one in every
process, and machine code that contains it could not be kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_WORD = ir.IntType(64)


def _call_two(_: Any, _function: Any, _first: Any, _second: Any) -> Any:
    def generate(__: Any, builder: Any, ___: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_WORD, (_WORD, _WORD)).as_pointer()
        return builder.call(builder.inttoptr(arguments[0], kind), (arguments[1], arguments[2]))

    return types.int64(types.int64, types.int64, types.int64), generate


#: Call the function at an address with two words and return the word that it returns. What a function returns that
#: gives back less than 64 bits has undefined high bits, and nothing when it returns nothing; one that takes a single
#: word ignores the second.
call_two = cast("Callable[[int, int, int], int]", intrinsic(_call_two))
