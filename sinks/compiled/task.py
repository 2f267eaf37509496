"""What compiled code is told of rows before it writes their canonical form."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from sinks.compiled.access import load64
from sinks.compiled.jit import inlined


class Kind(IntEnum):
    """How the values of a column lie in memory."""

    FIXED = 0
    BITS = 1
    TEXT = 2
    WORDS = 3
    LIST = 4
    MAP = 5


#: Numbers per column in a plan, see ``Form``.
PLAN_WIDTH = 10
#: Numbers of a task, see ``Task``.
TASK_WIDTH = 20


class Form(NamedTuple):
    """What is known of a column before its rows are: one line of a plan.

    Attributes:
        kind: A ``Kind``.
        width: Bytes of a value, or of an offset.
        nullable: 1 where null is told apart from the default.
        code_width: Bytes of a code of WORDS, 0 without dictionary.
        item_kind: Kind of the items of a LIST, or of the keys of a MAP.
        item_width: Their width.
        value_kind: Kind of the values of a MAP.
        value_width: Their width.
        head: Where name and type of the column start among the heads.
        head_bytes: How long they are.
    """

    kind: int
    width: int
    nullable: int
    code_width: int
    item_kind: int
    item_width: int
    value_kind: int
    value_width: int
    head: int
    head_bytes: int


class Task(NamedTuple):
    """What compiled code is given: numbers and addresses.

    Attributes:
        columns: Number of columns.
        arrays: Addresses of their arrays; int64[columns].
        plan: Their forms; int64[columns, PLAN_WIDTH].
        heads: Their names and types.
        alike: Per column 1 when all rows are surely alike in it; uint8[columns].
        rows: Number of all rows.
        order: The rows to write; int64[chosen].
        chosen: Number of rows to write, at least 1.
        out: Where to write.
        end: End of the room there.
        items: Room for the items of lists; int64[greatest number of items].
        numbers: See ``words.Room``, but as long as ``items`` if that is longer; likewise the next ones.
        starts: See there.
        lengths: See there.
        hashes: See there.
        buckets: See there.
        seen: See there.
        turn: See there.
        secret: See there.
        outcome: What is returned beside: 1 if a code was astray; of the survey the entries of the largest dictionary
            and the greatest number of items; int64[3].
    """

    columns: int
    arrays: int
    plan: int
    heads: int
    alike: int
    rows: int
    order: int
    chosen: int
    out: int
    end: int
    items: int
    numbers: int
    starts: int
    lengths: int
    hashes: int
    buckets: int
    seen: int
    turn: int
    secret: int
    outcome: int


@inlined
def read_task(a: int) -> Task:
    """Read a task; as a tuple it would cost more to hand over than many a batch to write."""
    return Task(
        load64(a),
        load64(a + 8),
        load64(a + 16),
        load64(a + 24),
        load64(a + 32),
        load64(a + 40),
        load64(a + 48),
        load64(a + 56),
        load64(a + 64),
        load64(a + 72),
        load64(a + 80),
        load64(a + 88),
        load64(a + 96),
        load64(a + 104),
        load64(a + 112),
        load64(a + 120),
        load64(a + 128),
        load64(a + 136),
        load64(a + 144),
        load64(a + 152),
    )


@inlined
def read_form(t: Task, column: int) -> Form:
    """Read what the plan says of a column."""
    a = t.plan + column * PLAN_WIDTH * 8
    return Form(
        load64(a),
        load64(a + 8),
        load64(a + 16),
        load64(a + 24),
        load64(a + 32),
        load64(a + 40),
        load64(a + 48),
        load64(a + 56),
        load64(a + 64),
        load64(a + 72),
    )
