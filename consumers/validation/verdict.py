"""What validation decides about a batch, and how the decision comes together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consumers.arrays import Bools, int64s
from consumers.batch import Bytes, Decoded, Int32s, Int64s, Rejection
from consumers.coded import Coded
from consumers.validation.findings import Finding
from consumers.validation.reasons import Flag, Reason
from consumers.validation.times import received_ms

FlagSets = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation found in m decoded rows.

    Attributes:
        accepted: Rows that are stored; int32[k], ascending.
        filtered: Number of rows left out by ``drop_event_codes``.
        rejections: One per refused row, ascending by position.
        event_ids: UUIDs of all rows in RFC byte order; uint8[m, 16].
        received_ms: When each row was received, milliseconds since 1970 UTC; 0 when unknown; int64[m].
        skew_ms: How long after that it says it occurred, milliseconds, 0 when not later; int64[m].
        flags: Set of ``Flag.bit`` per row; uint16[m].
    """

    accepted: Int32s
    filtered: int
    rejections: Sequence[Rejection]
    event_ids: Bytes
    received_ms: Int64s
    skew_ms: Int64s
    flags: FlagSets


class Hearing:
    """The judging of one batch: findings come in, a verdict goes out.

    Args:
        decoded: The rows of the batch.
        timestamps_ms: Kafka timestamp of each row, milliseconds since 1970 UTC; int64[m].

    Attributes:
        columns: Decoded columns by path.
        blank: Paths of columns without anything in them.
        rows: Number of rows, m.
        occurred_us: When each event says it occurred, microseconds since 1970 UTC; int64[m].
        received_ms: When it was received, milliseconds since 1970 UTC, 0 when unknown; int64[m].
        received_known: Where that is known; bool[m].
        event_ids: UUIDs; uint8[m, 16], set by the check that reads them.
        skew_ms: As ``Verdict.skew_ms``, set by the check that measures it.
    """

    def __init__(self, decoded: Decoded, timestamps_ms: Int64s) -> None:
        self.columns, self.blank = decoded.columns, decoded.blank
        self.rows = len(decoded.rows)
        self.occurred_us = int64s(decoded.columns["occurred_at"])
        self.received_ms, self.received_known = received_ms(timestamps_ms)
        self.event_ids = np.zeros((0, 16), np.uint8)
        self.skew_ms = np.zeros(0, np.int64)
        self._decoded = decoded
        self._flags = np.zeros(self.rows, np.uint16)
        self._refused = np.zeros(self.rows, np.bool_)
        self._findings: list[Finding] = []

    def coded(self, path: str) -> Coded:
        """Return a string column as codes."""
        return Coded.of(self.columns[path], self._decoded.generations.get(path))

    def filled(self, paths: Iterable[str]) -> Iterator[str]:
        """Return the paths of those columns that may hold something."""
        return (path for path in paths if path not in self.blank)

    def generation(self, path: str) -> int | None:
        """Return the generation of a column's dictionary."""
        return self._decoded.generations.get(path)

    def text(self, path: str, row: int) -> str:
        """Return the string of one row, for a reason in words."""
        text: str = self.columns[path][row].as_py()
        return text

    def flag(self, flag: Flag, rows: Bools | Int64s) -> None:
        """Note a soft finding on some rows."""
        self._flags[rows] |= flag.bit

    def soft(self, finding: Finding, flag: Flag, *, refuse: bool) -> Iterator[Finding]:
        """Pass a finding on when it refuses, else flag its rows."""
        if refuse:
            yield finding
        else:
            self.flag(flag, finding.rows)

    def add(self, finding: Finding) -> None:
        """Refuse the rows of a finding."""
        if finding.rows.size:
            self._refused[finding.rows] = True
            self._findings.append(finding)

    def verdict(self, dropped: Bools) -> Verdict:
        """Return the verdict.

        Args:
            dropped: Rows that a setting leaves out; bool[m].
        """
        # A filtered event is left out whatever else is wrong with it.
        refused = self._refused & ~dropped
        return Verdict(
            accepted=np.flatnonzero(~(refused | dropped)).astype(np.int32),
            filtered=int(dropped.sum()),
            rejections=[self._rejection(*problem) for problem in self._problems(refused)],
            event_ids=self.event_ids,
            received_ms=self.received_ms,
            skew_ms=self.skew_ms,
            flags=self._flags,
        )

    def _problems(self, refused: Bools) -> Iterator[tuple[int, list[tuple[Reason, str]]]]:
        if not refused.any():
            return
        problems: dict[int, list[tuple[Reason, str]]] = {row: [] for row in np.flatnonzero(refused).tolist()}
        for finding in self._findings:
            for row in finding.rows[refused[finding.rows]].tolist():
                problems[row].append((finding.reason, finding.describe(row)))
        yield from problems.items()

    def _rejection(self, row: int, problems: list[tuple[Reason, str]]) -> Rejection:
        order = list(Reason)
        first = min((reason for reason, _ in problems), key=order.index)
        return Rejection(
            position=int(self._decoded.rows[row]),
            stage="validate",
            reason_code=first.value,
            reason="; ".join(text for _, text in sorted(problems, key=lambda p: order.index(p[0]))),
            tenant_id=self.text("tenant_id", row),
            event_code=self.text("event_code", row),
            event_id=self.text("event_id", row),
        )
