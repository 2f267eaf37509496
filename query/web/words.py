"""Alignment of two sequences: what they share, what only one of them has. Its cost is bounded."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal, TypeAlias

Mark: TypeAlias = Literal["same", "removed", "added"]

#: Pairs of elements that are compared for one event at most, all its fields together: about a tenth of a second.
MOST_PAIRS = 400_000
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text.

    Attributes:
        text: The part.
        mark: Whether the other text has it too.
    """

    text: str
    mark: Mark


@dataclass(slots=True)
class Budget:
    """How many pairs may still be compared; what is beyond is not aligned but told as a whole.

    Attributes:
        pairs: The rest.
    """

    pairs: int = MOST_PAIRS

    def allows(self, pairs: int) -> bool:
        """Take pairs out of the budget, unless it holds fewer."""
        if pairs > self.pairs:
            return False
        self.pairs -= pairs
        return True


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbours of two sequences that belong together: ``same`` on both sides, or different.

    Attributes:
        same: Whether both sides are equal.
        before: Indexes in the first sequence.
        after: Indexes in the second one.
    """

    same: bool
    before: range
    after: range


def runs(before: Sequence[Hashable], after: Sequence[Hashable], budget: Budget) -> list[Run]:
    """Align two sequences: equal and different runs in turn, that cover both.

    Args:
        before: First sequence.
        after: Second sequence.
        budget: Reduced by the pairs that are compared; when it does not suffice, all between the common beginning
            and the common end is one different run.
    """
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    ends = len(before) - tail, len(after) - tail
    middle = before[head : ends[0]], after[head : ends[1]]
    pairs = _aligned(*middle) if budget.allows(len(middle[0]) * len(middle[1])) else []
    same = [(i, i) for i in range(head)]
    same += [(head + i, head + j) for i, j in pairs]
    same += [(ends[0] + i, ends[1] + i) for i in range(tail)]
    return _runs(same, len(before), len(after))


def marked_words(before: str, after: str, budget: Budget) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return both texts in pieces, each marked by whether the other text has it at this place.

    Args:
        before: First text.
        after: Second text.
        budget: See ``runs``.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    found = runs(old, new, budget)
    left = _pieces(("same" if run.same else "removed", [old[i] for i in run.before]) for run in found)
    right = _pieces(("same" if run.same else "added", [new[i] for i in run.after]) for run in found)
    return left, right


def _pieces(parts: Iterable[tuple[Mark, Sequence[str]]]) -> tuple[Piece, ...]:
    # Where only the other side has something, two equal parts are neighbours here.
    filled = ((mark, words) for mark, words in parts if words)
    grouped = groupby(filled, key=itemgetter(0))
    return tuple(Piece("".join(word for _, words in group for word in words), mark) for mark, group in grouped)


def _common(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return i
    return min(len(one), len(other))


def _aligned(before: Sequence[Hashable], after: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the index pairs of a longest common subsequence."""
    longest = [[0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i in range(len(before) - 1, -1, -1):
        row, below = longest[i], longest[i + 1]
        for j in range(len(after) - 1, -1, -1):
            row[j] = below[j + 1] + 1 if before[i] == after[j] else max(below[j], row[j + 1])
    found, i, j = [], 0, 0
    while i < len(before) and j < len(after):
        if before[i] == after[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _runs(same: Sequence[tuple[int, int]], before: int, after: int) -> list[Run]:
    found: list[Run] = []
    i = j = 0
    for a, b in [*same, (before, after)]:
        if a > i or b > j:
            found.append(Run(same=False, before=range(i, a), after=range(j, b)))
        if (a, b) == (before, after):
            break
        if found and found[-1].same:
            last = found.pop()
            found.append(Run(same=True, before=range(last.before.start, a + 1), after=range(last.after.start, b + 1)))
        else:
            found.append(Run(same=True, before=range(a, a + 1), after=range(b, b + 1)))
        i, j = a + 1, b + 1
    return found
