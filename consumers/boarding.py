"""Which ranges are written together: small ones of several partitions, so that parts do not multiply with partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from consumers.partition import PartitionState
from consumers.settings import WorkerSettings

#: Share of a full batch up to which ranges are put together: joining them copies them, and their memory is bounded by
#: that of a full batch. A range that is larger gains nothing by company.
_SHARED = 0.25


@dataclass(slots=True)
class _Convoy:
    """Partitions whose next ranges are going to be written together.

    Attributes:
        rows: Messages of all of them.
        value_bytes: Bytes of their values.
        closed: Takes no further ones.
    """

    rows: int
    value_bytes: int
    closed: bool
    states: list[PartitionState] = field(default_factory=list)


def boarded(
    due: Sequence[PartitionState], ready: Sequence[PartitionState], policy: WorkerSettings, seats: int
) -> list[list[PartitionState]]:
    """Put partitions together whose next ranges are written as one block per table.

    Whoever is due goes, the oldest first, as far as there are seats. Whoever else has messages waiting goes along where
    there is room: then it is not due on its own a moment later.

    Args:
        due: Partitions whose next range should be written now.
        ready: All partitions that have messages and nothing under way, those that are due among them.
        policy: How large a batch may become; together they stay within a quarter of it.
        seats: How many convoys there may be.

    Returns:
        The convoys; a range of which it is not known that nothing is stored goes alone, and so does a large one.
    """
    convoys: list[_Convoy] = []
    urgent = {s.partition for s in due}
    for state in sorted(ready, key=lambda s: (s.partition not in urgent, s.first_at)):
        count = state.plan(policy)
        value_bytes = state.value_bytes * count // state.buffered
        alone = not state.vouched or not _fits(count, value_bytes, policy)
        convoy = None if alone else _with_room(convoys, count, value_bytes, policy)
        if convoy is None:
            if state.partition not in urgent or len(convoys) >= seats:
                continue
            convoy = _Convoy(0, 0, closed=alone)
            convoys.append(convoy)
        convoy.rows += count
        convoy.value_bytes += value_bytes
        convoy.states.append(state)
    return [convoy.states for convoy in convoys]


def _with_room(convoys: Sequence[_Convoy], count: int, value_bytes: int, policy: WorkerSettings) -> _Convoy | None:
    for convoy in convoys:
        if not convoy.closed and _fits(convoy.rows + count, convoy.value_bytes + value_bytes, policy):
            return convoy
    return None


def _fits(count: int, value_bytes: int, policy: WorkerSettings) -> bool:
    return count <= policy.batch_rows * _SHARED and value_bytes <= policy.batch_bytes * _SHARED
