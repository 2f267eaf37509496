"""Where compiled programs are collected: instructions, tables and literals of all writer schemas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from consumers.batch import Bytes, Int32s
from consumers.decode.errors import SchemaUnsupported
from consumers.decode.opcodes import SLACK_BYTES, WIDTH

#: Instructions of one program at most. Named types used again and again unfold; a schema of some hundred bytes
#: could ask for 2^30 instructions otherwise.
MAX_INSTRUCTIONS = 1 << 16


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to which an assembler can go back."""

    code: int
    tables: int
    literals: int


@dataclass(frozen=True, slots=True)
class Program:
    """What the interpreter runs.

    Attributes:
        code: Instructions; int32[k, WIDTH].
        tables: Jump targets and enum codes; int32[t].
        literals: Encoded defaults, with slack behind them; uint8[l].
    """

    code: Int32s
    tables: Int32s
    literals: Bytes


class Assembler:
    """Collects instructions; jumps are patched when their target is known."""

    def __init__(self) -> None:
        self._code: list[list[int]] = []
        self._tables: list[int] = []
        self._literals = bytearray()
        self._limit = MAX_INSTRUCTIONS

    @property
    def position(self) -> int:
        """Index of the next instruction."""
        return len(self._code)

    def emit(self, op: int, *operands: int) -> int:
        """Append an instruction and return its index.

        Raises:
            SchemaUnsupported: The program has grown too long.
        """
        if len(self._code) >= self._limit:
            raise SchemaUnsupported("schema", f"it unfolds to more than {MAX_INSTRUCTIONS} instructions")
        self._code.append([op, *operands, *(0,) * (WIDTH - 1 - len(operands))])
        return len(self._code) - 1

    def patch(self, index: int, operand: int, value: int) -> None:
        """Set an operand, counted from 0, of an instruction already emitted."""
        self._code[index][1 + operand] = value

    def table(self, values: list[int]) -> int:
        """Append a table and return its position."""
        self._tables += values
        return len(self._tables) - len(values)

    def patch_table(self, position: int, value: int) -> None:
        """Set one entry of a table."""
        self._tables[position] = value

    def literal(self, data: bytes) -> int:
        """Append encoded bytes and return where they start."""
        self._literals += data
        return len(self._literals) - len(data)

    def begin(self) -> Mark:
        """Begin a program and remember its start."""
        self._limit = len(self._code) + MAX_INSTRUCTIONS
        return self.mark()

    def mark(self) -> Mark:
        """Remember the present state."""
        return Mark(len(self._code), len(self._tables), len(self._literals))

    def rewind(self, mark: Mark) -> None:
        """Forget what was emitted since a mark."""
        del self._code[mark.code :], self._tables[mark.tables :], self._literals[mark.literals :]

    def finish(self) -> Program:
        """Return all programs as arrays."""
        code = np.array(self._code, np.int32).reshape(-1, WIDTH)
        literals = np.frombuffer(bytes(self._literals) + bytes(SLACK_BYTES), np.uint8)
        return Program(code, np.array([*self._tables, 0], np.int32), literals)
