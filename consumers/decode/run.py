"""One batch on its way through the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.batch import Bytes, Decoded, Int32s, Int64s, Payloads
from consumers.decode import opcodes as op
from consumers.decode.arrays import ArrayBuilder
from consumers.decode.assembler import Program
from consumers.decode.blanks import Blanks
from consumers.decode.buffers import Expectation, address_of
from consumers.decode.dictionaries import Dictionary
from consumers.decode.errors import DecoderError
from consumers.decode.interpreter import decode_messages, revision, settle
from consumers.decode.layout import Kind
from consumers.decode.machine import Machine, Span
from consumers.decode.placement import Placement


@dataclass(frozen=True, slots=True)
class Session:
    """What stays from batch to batch.

    Attributes:
        placement: Which buffers a batch has.
        dictionaries: By column index.
        symbols: Words of the enums, by column index.
        expectation: Sizes of the next batch.
        blanks: Makes columns without values.
        memory: Where the dictionaries lie; int64[slots, 2].
        secret: Seeds of the hash of words; int64[2].
        checked: Every access to memory is compared with its bounds.
    """

    placement: Placement
    dictionaries: Mapping[int, Dictionary]
    symbols: Mapping[int, pa.Array]
    expectation: Expectation
    blanks: Blanks
    memory: Int64s
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
        self._words: Int64s = np.zeros(len(session.placement.layout.columns), np.int64)
        self._violations: Int64s = np.zeros(1, np.int64)
        self._found: Int64s = np.zeros(len(session.placement.strips), np.int64)
        self._begin_dictionaries()
        self._buffers = session.expectation.allocate(self._count, session.memory)
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
        settle(machine, _span(self._buffers.placement.contents), _span(self._found))
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
            "strips": buffers.placement.strips,
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
        spans = {name: _span(array) for name, array in self._arrays.items()}
        return Machine(guard=address_of(self._violations) if self._session.checked else None, **spans)

    def _place(self) -> None:
        self._buffers.set(op.SLOT_PAYLOAD, self._payloads.data)
        self._buffers.set(op.SLOT_LITERALS, self._program.literals)

    def _begin_dictionaries(self) -> None:
        for index, dictionary in self._session.dictionaries.items():
            if dictionary.begin():
                _place(self._session.memory, index, dictionary)
            self._words[index] = dictionary.words

    def _grow(self, what: int, needed: int) -> int:
        """Make room as the interpreter asked; return the column whose buckets must be filled again, or -1."""
        if what < 0:
            self._buffers.grow_level(-1 - what, needed)
            return -1
        column = self._buffers.placement.layout.columns[what]
        if column.kind is Kind.TEXT:
            self._buffers.grow_text(column, needed)
            return -1
        dictionary = self._session.dictionaries[what]
        dictionary.grow(int(self._words[what]), needed)
        _place(self._session.memory, what, dictionary)
        _place(self._buffers.memory, what, dictionary)
        return what

    def _verify(self) -> None:
        if self._count and int(self._outcome[2]) != revision():
            raise DecoderError("the compiled decoder does not belong to its sources; remove numba's cache")
        if self._violations[0]:
            raise DecoderError(f"{self._violations[0]} accesses to memory outside their buffers")

    def _result(self) -> Decoded:
        session, columns = self._session, self._buffers.placement.layout.columns
        counts = self._words.tolist()
        words = {index: d.array(counts[index]) for index, d in session.dictionaries.items()}
        arrays, blank = ArrayBuilder(
            self._buffers, self._found.tolist(), {**words, **session.symbols}, session.blanks
        ).arrays()
        generations = {columns[i].path: d.generation for i, d in session.dictionaries.items()}
        generations |= {columns[i].path: 0 for i in session.symbols}
        return Decoded(arrays, self._rows[: int(self._buffers.counters[0])], self._errors, generations, blank)


def _span(array: npt.NDArray[np.generic]) -> Span:
    return Span(address_of(array), array.nbytes)


def _place(memory: Int64s, index: int, dictionary: Dictionary) -> None:
    for role, buffer in dictionary.buffers().items():
        memory[op.slot_of(index, role)] = address_of(buffer), buffer.nbytes
