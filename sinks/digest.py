"""SHA-256 of rows in a canonical form; docs/tables.md specifies it byte by byte."""

from __future__ import annotations

import ctypes
import hashlib
import secrets
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.columns import Column
from sinks.compiled.canonical import build_survey, build_writer
from sinks.compiled.jit import cache_misses, digest_of_sources
from sinks.compiled.task import TASK_WIDTH, Task
from sinks.digest_plan import Plan, flatten, plan_of
from sinks.sink import DayDigest

__all__ = ["COMPILED_MODULES", "MILLIS_PER_DAY", "ROWS_MAGIC", "digest_by_day", "flatten", "prepare"]

ROWS_MAGIC = b"auditstream-rows-2\0"
MILLIS_PER_DAY = 86_400_000
#: Modules whose source ends up in the machine code.
COMPILED_MODULES = tuple(
    f"sinks.compiled.{m}" for m in ("access", "arrow", "canonical", "jit", "task", "vectors", "words")
)

#: Bytes that are written before they are hashed: few enough to stay in a cache of the processor.
_OUT_BYTES = 1 << 20
_LEAST_BUCKETS = 64
#: Where the C structure of an array holds the address of its children.
_CHILDREN = 48
#: Fields of a task that are set after the survey.
_LATER = ("order", "chosen", "out", "end", "items", "numbers", "starts", "lengths", "hashes", "buckets", "seen")
#: Days that fit 16 bits, which numpy sorts in one pass.
_NEAR_DAYS = 1 << 16

Numbers = npt.NDArray[np.int64]


def digest_by_day(rows: pa.Table, columns: Sequence[Column]) -> tuple[DayDigest, ...]:
    """Digest rows per day of expiry.

    Args:
        rows: Rows in offset order with all of ``columns``, in any encoding and chunking.
        columns: Columns of the table as stored, ``expires_at`` among them.

    Returns:
        One digest per day of ``expires_at``, ascending; empty without rows.

    Raises:
        ValueError: A dictionary-encoded column has a code without an entry.
    """
    if rows.num_rows == 0:
        return ()
    days = flatten(rows["expires_at"]).cast(pa.int64()).to_numpy(zero_copy_only=False) // MILLIS_PER_DAY
    order = _order(days)
    ordered = days[order]
    starts = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), rows.num_rows]
    plan = plan_of(columns, rows.schema)
    writer = _Writer(plan, plan.batch(rows), order)
    return tuple(writer.digest(int(ordered[a]), a, b) for a, b in pairwise(starts))


def prepare() -> bool:
    """Load the machine code, or compile it (some fifteen seconds), so that no batch waits for it.

    Returns:
        Whether it was compiled.
    """
    before = _misses()
    column = Column("expires_at", "DateTime64(3, 'UTC')", "computed", "", "")
    digest_by_day(pa.table({"expires_at": pa.array([0], pa.timestamp("ms", tz="UTC"))}), (column,))
    return _misses() > before


def _misses() -> int:
    return cache_misses((_survey(), _write_columns()))


def _order(days: Numbers) -> Numbers:
    """Return the rows sorted by day, else as they are; int64[n]."""
    first = int(days.min())
    if int(days.max()) - first < _NEAR_DAYS:
        days = (days - first).astype(np.uint16)
    order: Numbers = np.argsort(days, kind="stable")
    return order


@cache
def _revision() -> int:
    return digest_of_sources(COMPILED_MODULES) | 1


@cache
def _survey() -> Callable[[int], int]:
    return build_survey(_revision())


@cache
def _write_columns() -> Callable[[int, int], tuple[int, int]]:
    return build_writer(_revision())


@cache
def _secret() -> Numbers:
    """Return the seeds by which distinct texts are found; digests do not depend on them."""
    return np.frombuffer(secrets.token_bytes(16), np.int64)


_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def _address(array: npt.NDArray[Any]) -> int:
    # Several times cheaper than array.ctypes.data, which counts where a batch is one event.
    address: int = pa.py_buffer(array).address
    return address


class _Writer:
    """Writes the rows of one batch in canonical form, piece by piece, and hashes them."""

    def __init__(self, plan: Plan, batch: pa.RecordBatch, order: Numbers) -> None:
        self._columns, self._order = len(plan.forms), order
        _, self._exported = batch.__arrow_c_array__()
        # Compiled code knows addresses only; what lies there is kept by this list.
        self._memory: list[npt.NDArray[Any]] = [plan.forms, plan.heads, order]
        self._outcome, self._given = np.zeros(3, np.int64), np.zeros(TASK_WIDTH, np.int64)
        self._task = self._begin(plan, batch.num_rows)
        _survey()(self._give(self._task))
        self._task = self._with_room(int(self._outcome[1]), int(self._outcome[2]))
        self._out = np.empty(_OUT_BYTES, np.uint8)

    def digest(self, day: int, start: int, stop: int) -> DayDigest:
        """Digest the rows of one day, ``start`` to ``stop`` of the ordered rows."""
        self._task = self._task._replace(order=_address(self._order) + 8 * start, chosen=stop - start)
        sha = hashlib.sha256(ROWS_MAGIC + struct.pack("<iQ", day, stop - start))
        for piece in self._pieces():
            sha.update(piece)
        return DayDigest(day, stop - start, sha.digest())

    def _pieces(self) -> Iterator[memoryview]:
        column = 0
        while column < self._columns:
            out = _address(self._out)
            behind, used = _write_columns()(self._give(self._task._replace(out=out, end=out + len(self._out))), column)
            if self._outcome[0]:
                raise ValueError("a dictionary-encoded column has a code without an entry")
            if behind == column:
                self._out = np.empty(2 * len(self._out), np.uint8)
            else:
                yield self._out.data[:used]
            column = behind

    def _begin(self, plan: Plan, rows: int) -> Task:
        root = _pointer_of(self._exported, b"arrow_array")
        return Task(
            columns=self._columns,
            arrays=ctypes.c_int64.from_address(root + _CHILDREN).value,
            plan=_address(plan.forms),
            heads=_address(plan.heads),
            alike=self._place(np.zeros(self._columns, np.uint8)),
            rows=rows,
            turn=self._place(np.ones(1, np.int64)),
            secret=_address(_secret()),
            outcome=_address(self._outcome),
            **dict.fromkeys(_LATER, 0),
        )

    def _with_room(self, entries: int, items: int) -> Task:
        """Return the task with memory for the work, by what the survey found."""
        rows = self._task.rows
        most = max(rows, items)
        buckets = max(_LEAST_BUCKETS, 1 << (2 * rows - 1).bit_length())
        room = self._place(np.empty(items + 4 * most + buckets // 2, np.int64))
        numbers = room + 8 * items
        starts, lengths, hashes, end = (numbers + 8 * most * k for k in (1, 2, 3, 4))
        return self._task._replace(
            items=room,
            numbers=numbers,
            starts=starts,
            lengths=lengths,
            hashes=hashes,
            buckets=end,
            seen=self._place(np.zeros(entries, np.int64)),
        )

    def _place(self, array: npt.NDArray[Any]) -> int:
        self._memory.append(array)
        return _address(array)

    def _give(self, task: Task) -> int:
        self._given[:] = list(task)
        return _address(self._given)
