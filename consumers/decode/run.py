"""One batch on its way through the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consumers.batch import Bytes, Decoded, Int32s, Int64s, Payloads
from consumers.decode import opcodes as op
from consumers.decode.arrays import build_arrays
from consumers.decode.assembler import Program
from consumers.decode.buffers import Expectation
from consumers.decode.dictionaries import Dictionary
from consumers.decode.errors import DecoderError
from consumers.decode.interpreter import decode_messages, revision
from consumers.decode.layout import Kind, Layout
from consumers.decode.machine import Machine, Span


@dataclass(frozen=True, slots=True)
class Session:
    """What stays from batch to batch.

    Attributes:
        layout: The columns.
        dictionaries: By column index.
        expectation: Sizes of the next batch.
        secret: Seeds of the hash of words; int64[2].
        checked: Every access to memory is compared with its bounds.
    """

    layout: Layout
    dictionaries: Mapping[int, Dictionary]
    expectation: Expectation
    secret: Int64s
    checked: bool


class Run:
    """Decodes one batch."""

    def __init__(self, session: Session, program: Program, payloads: Payloads, entries: Int32s, errors: Bytes) -> None:
        """Allocate for the batch.

        Args:
            session: What stays; its dictionaries grow.
            program: Compiled schemas.
            payloads: Values of n messages.
            entries: Start of each message's program, -1 for those that are left alone; int32[n].
            errors: Error of each message so far; uint8[n], written to.
        """
        self._session, self._program, self._payloads = session, program, payloads
        self._entries, self._errors = entries, errors
        self._count = len(entries)
        self._rows: Int32s = np.zeros(self._count, np.int32)
        self._outcome: Int64s = np.zeros(3, np.int64)
        self._words: Int64s = np.zeros(len(session.layout.columns), np.int64)
        self._violations: Int64s = np.zeros(1, np.int64)
        self._buffers = session.expectation.allocate(self._count)
        self._arrays = self._working_arrays()

    def decode(self) -> Decoded:
        """Decode all messages and build the columns.

        Raises:
            BatchTooLarge: A column would need more than 2 GiB.
            DecoderError: The machine code does not belong to the sources, or touched memory it must not.
        """
        self._place()
        machine = self._machine()
        position, refill = 0, -1
        while (position := decode_messages(machine, position, self._count, refill)) < self._count:
            refill = self._grow(int(self._outcome[0]), int(self._outcome[1]))
        self._verify()
        if self._count:
            self._session.expectation.learn(self._buffers, self._count)
        return self._result()

    def _working_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        buffers = self._buffers
        return {
            "code": self._program.code,
            "tables": self._program.tables,
            "memory": buffers.memory,
            "counters": buffers.counters,
            "before": np.zeros_like(buffers.counters),
            "limits": buffers.limits,
            "words": self._words,
            "strips": buffers.strips,
            "stack": np.zeros(op.MAX_DEPTH, np.int64),
            "outcome": self._outcome,
            "secret": self._session.secret,
            "starts": np.ascontiguousarray(self._payloads.starts, np.int64),
            "lengths": np.ascontiguousarray(self._payloads.lengths, np.int64),
            "entries": self._entries,
            "rows": self._rows,
            "errors": self._errors,
        }

    def _machine(self) -> Machine:
        spans = {name: Span(array.ctypes.data, array.nbytes) for name, array in self._arrays.items()}
        return Machine(guard=self._violations.ctypes.data if self._session.checked else None, **spans)

    def _place(self) -> None:
        self._buffers.set(op.SLOT_PAYLOAD, self._payloads.data)
        self._buffers.set(op.SLOT_LITERALS, self._program.literals)
        for index, dictionary in self._session.dictionaries.items():
            dictionary.begin()
            self._place_dictionary(index, dictionary)

    def _place_dictionary(self, index: int, dictionary: Dictionary) -> None:
        self._words[index] = dictionary.words
        for role, buffer in dictionary.buffers().items():
            self._buffers.set(op.slot_of(index, role), buffer)

    def _grow(self, what: int, needed: int) -> int:
        """Make room as the interpreter asked; return the column whose buckets must be filled again, or -1."""
        if what < 0:
            self._buffers.grow_level(-1 - what, needed)
            return -1
        column = self._session.layout.columns[what]
        if column.kind is Kind.TEXT:
            self._buffers.grow_text(column, needed)
            return -1
        dictionary = self._session.dictionaries[what]
        dictionary.grow(int(self._words[what]), needed)
        self._place_dictionary(what, dictionary)
        return what

    def _verify(self) -> None:
        if self._count and int(self._outcome[2]) != revision():
            raise DecoderError("the compiled decoder does not belong to its sources; remove numba's cache")
        if self._violations[0]:
            raise DecoderError(f"{self._violations[0]} accesses to memory outside their buffers")

    def _result(self) -> Decoded:
        layout, dictionaries = self._session.layout, self._session.dictionaries
        words = {index: d.array(int(self._words[index])) for index, d in dictionaries.items()}
        columns = build_arrays(layout, self._buffers, words)
        generations = {layout.columns[i].path: d.generation for i, d in dictionaries.items()}
        generations |= {c.path: 0 for c in layout.columns if c.symbols}
        return Decoded(columns, self._rows[: int(self._buffers.counters[0])], self._errors, generations)
