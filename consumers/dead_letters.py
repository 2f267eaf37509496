"""Dead letters: what is kept of a message that is not stored as an event."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consumers.arrays import constant, number_array
from consumers.batch import Int32s, Int64s, Messages, Rejection
from consumers.enrich.retention import expires_ms
from consumers.rows import kafka_arrays
from consumers.validation.times import received_ms
from schemas.columns import DEAD_LETTER_COLUMNS
from sinks.rows import DEAD_LETTERS, schema_of

#: Bytes of a tenant, code or id that are kept in a dead letter's own columns: what is longer was never a real one.
_MAX_NAME_BYTES = 512


@dataclass(frozen=True, slots=True)
class DeadLetterOffice:
    """Builds the dead letters of messages, during processing and later when the sink refuses rows.

    Attributes:
        batch: The messages as consumed.
        schema_ids: Registry id of each message's writer schema, -1 where there is none; int32[n].
        days: Days that dead letters are kept.
        raw_bytes: Bytes of a value that are kept.
        worker_version: Version of this worker.
    """

    batch: Messages
    schema_ids: Int32s
    days: int
    raw_bytes: int
    worker_version: str

    def table(self, rejections: Sequence[Rejection]) -> pa.Table:
        """Return the rows of ``dead_letters``; as ``schemas.columns.DEAD_LETTER_COLUMNS``.

        Args:
            rejections: One per message, ascending by position.
        """
        if not rejections:
            return _no_rows()
        positions = np.array([r.position for r in rejections], np.int32)
        times, known = received_ms(self.batch.timestamps_ms[positions])
        # A message whose time is unknown would be born expired; it is kept until somebody removes it.
        days = np.where(known, self.days, 0).astype(np.uint16)
        expires = number_array(expires_ms(times, days), pa.timestamp("ms", tz="UTC"))
        arrays = kafka_arrays(self.batch, positions, times, self.schema_ids[positions])
        arrays |= self._messages(positions) | _reasons(rejections)
        arrays |= {"worker_version": constant(self.worker_version, len(rejections)), "expires_at": expires}
        return pa.table({column.name: arrays[column.name] for column in DEAD_LETTER_COLUMNS})

    def _messages(self, positions: Int32s) -> dict[str, pa.Array]:
        messages = [self.batch.messages[position] for position in positions.tolist()]
        values = [message.value or b"" for message in messages]
        limit = self.raw_bytes
        return {
            "key": pa.array([message.key or b"" for message in messages], pa.binary()),
            "headers.name": pa.array([[name for name, _ in m.headers] for m in messages], pa.list_(pa.string())),
            "headers.value": pa.array([[v or b"" for _, v in m.headers] for m in messages], pa.list_(pa.binary())),
            "raw": pa.array([value[:limit] for value in values], pa.binary()),
            "raw_bytes": pa.array([len(value) for value in values], pa.uint64()),
            "raw_truncated": pa.array([len(value) > limit for value in values], pa.bool_()),
            "raw_sha256": pa.array([hashlib.sha256(value).digest() for value in values], pa.binary(32)),
        }


@cache
def _no_rows() -> pa.Table:
    return schema_of(DEAD_LETTERS).empty_table()


def _reasons(rejections: Sequence[Rejection]) -> dict[str, pa.Array]:
    texts = {
        "stage": [r.stage for r in rejections],
        "reason_code": [r.reason_code for r in rejections],
        "reason": [r.reason for r in rejections],
        "tenant_id": [_name(r.tenant_id) for r in rejections],
        "event_code": [_name(r.event_code) for r in rejections],
        "event_id": [_name(r.event_id) for r in rejections],
    }
    return {name: pa.array(values, pa.string()) for name, values in texts.items()}


def _name(text: str) -> str:
    # Cutting could turn one tenant into another one; so what is too long is left out, and is in the raw message.
    return text if len(text.encode()) <= _MAX_NAME_BYTES else ""


@dataclass(frozen=True, slots=True)
class RefusedRows:
    """Dead letters of events that were fine until the sink found their rows bad (a ``sinks.sink.DeadLetterSource``).

    Attributes:
        office: Builds the dead letters.
        events: The rows of ``audit_events``, whose identities are known.
        first: Position of the first message of the range among the office's messages.
        offsets: Offsets of the range's messages, ascending; int64[n].
    """

    office: DeadLetterOffice
    events: pa.Table
    first: int
    offsets: Int64s

    def dead_letters(self, reasons: Mapping[int, str], *, stage: str, reason_code: str) -> pa.Table:
        """Return rows for ``dead_letters`` in offset order.

        Args:
            reasons: Reason in words by offset; every offset has a message in the batch.
            stage: Stage to record.
            reason_code: Stable name to record.

        Raises:
            KeyError: An offset has no message in the batch.
        """
        positions = self._positions(sorted(reasons))
        known = self._known(reasons)
        rejections = [
            Rejection(position, stage, reason_code, reasons[offset], *known.get(offset, ("", "", "")))
            for offset, position in positions.items()
        ]
        return self.office.table(rejections)

    def _positions(self, offsets: Sequence[int]) -> dict[int, int]:
        positions = np.searchsorted(self.offsets, offsets)
        found = {int(self.offsets[p]): self.first + int(p) for p in positions if p < len(self.offsets)}
        if missing := [offset for offset in offsets if offset not in found]:
            raise KeyError(f"offsets {missing} have no message in the batch")
        return found

    def _known(self, offsets: Mapping[int, str]) -> dict[int, tuple[str, str, str]]:
        """Return tenant, event code and event id by offset, of those that are events."""
        wanted = pc.is_in(self.events["kafka_offset"], pa.array(list(offsets), pa.int64()))
        rows = self.events.select(["kafka_offset", "tenant_id", "event_code", "event_id"]).filter(wanted).to_pylist()
        return {r["kafka_offset"]: (r["tenant_id"], r["event_code"], str(UUID(bytes=r["event_id"]))) for r in rows}
